// The yardstick of prefill: linear layers by cuBLAS, loaded at run time for a measurement. No engine uses it.
#pragma once
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/cuda/driver_api.h"

namespace r1::cuda {

/**
 * `inner`, whose stream is `stream`, but with the products of the blocks' linear layers by cublasGemmEx of `library` (a
 * path of libcublas.so): bf16 or fp16 inputs and outputs, float32 sums, the weights of each call. Products alone: no
 * norm, no bias, no SwiGLU, nothing added to the residual; what follows computes from activations that are not theirs.
 * Throws kNotFound where the library cannot be loaded, kUnsupported for f32.
 */
std::unique_ptr<Backend> create_cublas_backend(Backend& inner, CUstream stream, const BackendOptions& options,
                                               const std::string& library);

}  // namespace r1::cuda
