#include "backend/cuda/cublas_backend.h"

#include <dlfcn.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "backend/cuda/matrix.h"
#include "backend/forwarding_backend.h"
#include "backend/random_weights.h"

namespace r1::cuda {
namespace {

// cuBLAS (cublas_api.h and library_types.h of CUDA 12 and 13)
using CublasHandle = struct cublasContext*;
constexpr int kCublasSuccess = 0;
constexpr int kOpN = 0, kOpT = 1;
constexpr int kReal16F = 2, kReal16BF = 14;
constexpr int kCompute32F = 68;
constexpr int kGemmDefault = -1;

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // what cuBLAS asks for on Hopper
constexpr int64_t kMadeUp = int64_t{4} << 20;           // different values of the input

struct Cublas {
  int (*create)(CublasHandle*) = nullptr;
  int (*destroy)(CublasHandle) = nullptr;
  int (*set_stream)(CublasHandle, CUstream) = nullptr;
  int (*set_workspace)(CublasHandle, void*, size_t) = nullptr;
  // y[m, n] = alpha · op(a)[m, k] · op(b)[k, n] + beta · y, by columns
  int (*gemm)(CublasHandle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int a_type,
              int lda, const void* b, int b_type, int ldb, const void* beta, void* c, int c_type, int ldc, int compute,
              int algorithm) = nullptr;
};

Cublas load_cublas(const std::string& path) {
  // Never closed: it is for one measurement, and keeps what the driver may still call.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    R1_THROW(ErrorCode::kNotFound,
             "cuBLAS cannot be loaded (" + std::string(reason ? reason : "no reason given") + ").");
  }
  Cublas cublas;
  const auto resolve = [&](auto& member, const char* symbol) {
    void* address = dlsym(library, symbol);
    R1_CHECK(address, ErrorCode::kBadInput, path + " has no " + symbol + ": it is no cuBLAS.");
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(address);
  };
  resolve(cublas.create, "cublasCreate_v2");
  resolve(cublas.destroy, "cublasDestroy_v2");
  resolve(cublas.set_stream, "cublasSetStream_v2");
  resolve(cublas.set_workspace, "cublasSetWorkspace_v2");
  resolve(cublas.gemm, "cublasGemmEx");
  return cublas;
}

void check(int status, const char* what) {
  R1_CHECK(status == kCublasSuccess, ErrorCode::kInternal,
           std::string(what) + " gave cuBLAS status " + std::to_string(status) + ".");
}

class CublasBackend final : public ForwardingBackend {
 public:
  CublasBackend(Backend& inner, CUstream stream, const BackendOptions& options, const std::string& library)
      : ForwardingBackend(inner), options_(options), cublas_(load_cublas(library)) {
    R1_CHECK(options.precision != DType::kF32, ErrorCode::kUnsupported,
             "linear layers are compared with cuBLAS at bf16 and fp16.");
    workspace_ = inner.allocate(kWorkspaceBytes);
    check(cublas_.create(&handle_), "cublasCreate");
    check(cublas_.set_stream(handle_, stream), "cublasSetStream");
    check(cublas_.set_workspace(handle_, workspace_->data, static_cast<size_t>(kWorkspaceBytes)), "cublasSetWorkspace");
  }
  ~CublasBackend() override {
    if (handle_) cublas_.destroy(handle_);
  }
  CublasBackend(const CublasBackend&) = delete;
  CublasBackend& operator=(const CublasBackend&) = delete;

  void norm_linear(const NormLinearParams& p) override { multiply(p.step->rows, p.weight); }
  void norm_qkv(const NormLinearParams& p, const RopeAppendParams& rope) override {
    norm_linear(p);
    rope_append(rope);
  }
  void linear_residual(const LinearResidualParams& p) override { multiply(p.step->rows, p.weight); }
  void norm_swiglu(const NormSwigluParams& p) override { multiply(p.step->rows, p.weight); }

 private:
  /** y[rows][stored_rows] = x[rows][ld] · W^T; the zeros behind the columns of W are multiplied, too. */
  void multiply(int32_t rows, const Matrix* weight) {
    const auto& w = static_cast<const CudaMatrix&>(*weight);
    reserve(inputs_, rows * w.ld, true);
    reserve(outputs_, rows * w.stored_rows, false);
    const float alpha = 1, beta = 0;
    const int type = options_.precision == DType::kBF16 ? kReal16BF : kReal16F;
    const int n = static_cast<int>(w.stored_rows), k = static_cast<int>(w.ld);
    check(cublas_.gemm(handle_, kOpT, kOpN, n, rows, k, &alpha, w.memory.data(), type, k, inputs_->data, type, k, &beta,
                       outputs_->data, type, n, kCompute32F, kGemmDefault),
          "cublasGemmEx");
  }

  /** Grows a buffer to `values` activations; inputs are made up, as power and so speed depend on them. */
  void reserve(std::unique_ptr<Buffer>& buffer, int64_t values, bool made_up) {
    if (buffer && buffer->bytes >= values * 2) return;
    std::vector<uint16_t> random(made_up ? static_cast<size_t>(std::min(values, kMadeUp)) : 0);
    for (size_t i = 0; i < random.size(); ++i) {
      const float value = random_weight(1, i, 1);
      random[i] = options_.precision == DType::kBF16 ? f32_to_bf16(value) : f32_to_f16(value);
    }
    inner().download(nullptr, nullptr, 0);  // what runs may use the old one
    buffer = inner().allocate(values * 2);
    for (int64_t at = 0; made_up && at < values; at += static_cast<int64_t>(random.size())) {
      const int64_t count = std::min(values - at, static_cast<int64_t>(random.size()));
      inner().upload(buffer->as<uint16_t>() + at, random.data(), count * 2);
    }
  }

  const BackendOptions options_;
  const Cublas cublas_;
  CublasHandle handle_ = nullptr;
  std::unique_ptr<Buffer> workspace_, inputs_, outputs_;
};

}  // namespace

std::unique_ptr<Backend> create_cublas_backend(Backend& inner, CUstream stream, const BackendOptions& options,
                                               const std::string& library) {
  return std::make_unique<CublasBackend>(inner, stream, options, library);
}

}  // namespace r1::cuda
