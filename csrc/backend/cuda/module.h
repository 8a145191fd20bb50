// kernels.fatbin: fatbins one after the other, each with a header that says how long it is.
#pragma once
#include <future>
#include <span>
#include <string>
#include <vector>

#include "backend/cuda/driver.h"

namespace r1::cuda {

/** The fatbins of a file; `path` for messages. Throws kUnsupported on an empty file and kBadCheckpoint on a damaged
 * one. */
std::vector<std::span<const std::byte>> split_fatbins(std::span<const std::byte> file, const std::string& path);

/** The kernels of a file, loaded into the current context by a thread of their own: weights come in meanwhile. */
class KernelModules {
 public:
  /** Throws kUnsupported when there is no such file. */
  explicit KernelModules(const std::string& path);
  KernelModules(const KernelModules&) = delete;
  KernelModules& operator=(const KernelModules&) = delete;
  ~KernelModules();
  /**
   * The kernel of that name, or null, once all are loaded. Throws kDeviceUnavailable, saying what was found and is
   * needed, where no code in the file suits the device or driver, and kBadCheckpoint where the file is damaged.
   */
  CUfunction find(const std::string& name) const;

 private:
  std::shared_future<std::vector<CUmodule>> modules_;
};

}  // namespace r1::cuda
