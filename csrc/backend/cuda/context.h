// The primary context of a device, shared by all engines of the process and released with the last one.
#pragma once
#include "backend/cuda/launch.h"

namespace r1::cuda {

/** Retains the device's primary context and makes it current; the driver counts the holders, the last one frees it. */
class DeviceContext {
 public:
  /** Throws kDeviceUnavailable when there is no such device. */
  explicit DeviceContext(int ordinal);
  DeviceContext(const DeviceContext&) = delete;
  DeviceContext& operator=(const DeviceContext&) = delete;
  ~DeviceContext();
  /** To be called on any thread before it uses the driver: the current context is a property of the thread. */
  void make_current() const;
  const DeviceProperties& properties() const { return properties_; }

 private:
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  DeviceProperties properties_;
};

DeviceProperties query_device(CUdevice device);

/** A stream that never waits for the default stream. */
class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();
  CUstream get() const { return stream_; }

 private:
  CUstream stream_ = nullptr;
};

/** The newest CUDA that the driver knows: "13.0". */
std::string cuda_version_text(int driver_version);

/** "580.159.03 (CUDA 13.0)"; the release is not in the driver API, so it is left out where the kernel module does not
 * say. */
std::string driver_text(int driver_version);

}  // namespace r1::cuda
