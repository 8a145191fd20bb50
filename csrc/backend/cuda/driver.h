// The CUDA driver: found with dlopen, its results turned into r1::Error.
#pragma once
#include <string>

#include "backend/cuda/driver_api.h"
#include "base/error.h"

namespace r1::cuda {

/** The functions of libcuda.so.1, loaded and initialised at the first call. Throws kDeviceUnavailable saying what is
 * missing. */
const DriverApi& driver();

/** "CUDA_ERROR_OUT_OF_MEMORY: out of memory" */
std::string result_text(CUresult result);

/** True for errors after which a context answers nothing but errors. */
bool is_sticky(CUresult result);

/** Throws the Error for a failed call: kOutOfMemory, kDeviceLost for sticky errors, else kInternal. `what` is the call.
 */
[[noreturn]] void throw_driver_error(CUresult result, const char* what, const char* file, int line);

}  // namespace r1::cuda

/** Calls a driver function, R1_CUDA(mem_free(p)), and throws when it fails. */
#define R1_CUDA(call)                                                                                              \
  do {                                                                                                             \
    const ::r1::cuda::CUresult r1_result_ = ::r1::cuda::driver().call;                                             \
    if (r1_result_ != ::r1::cuda::kSuccess) ::r1::cuda::throw_driver_error(r1_result_, #call, __FILE__, __LINE__); \
  } while (0)
