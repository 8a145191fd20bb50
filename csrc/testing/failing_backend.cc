#include "testing/failing_backend.h"

#include <string>

#include "base/error.h"

namespace r1::testing {
namespace {

/** Counts one allocation while it lives. */
class Counted {
 public:
  explicit Counted(AllocationCount& count) : count_(count) { ++count_.alive; }
  ~Counted() { --count_.alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  AllocationCount& count_;
};

class CountedBuffer final : public Buffer {
 public:
  CountedBuffer(std::unique_ptr<Buffer> inner, AllocationCount& count) : inner_(std::move(inner)), counted_(count) {
    data = inner_->data;
    bytes = inner_->bytes;
  }

 private:
  std::unique_ptr<Buffer> inner_;
  Counted counted_;
};

class CountedMatrix final : public Matrix {
 public:
  CountedMatrix(std::unique_ptr<Matrix> inner, AllocationCount& count) : inner_(std::move(inner)), counted_(count) {
    rows = inner_->rows, cols = inner_->cols, dtype = inner_->dtype, role = inner_->role, bytes = inner_->bytes;
  }

 private:
  std::unique_ptr<Matrix> inner_;
  Counted counted_;
};

class CountedPool final : public KvPool {
 public:
  CountedPool(std::unique_ptr<KvPool> inner, AllocationCount& count) : inner_(std::move(inner)), counted_(count) {
    layout = inner_->layout, base = inner_->base, max_blocks = inner_->max_blocks, blocks = inner_->blocks;
  }
  void grow(int64_t wanted) override {
    inner_->grow(wanted);
    blocks = inner_->blocks;
  }

 private:
  std::unique_ptr<KvPool> inner_;
  Counted counted_;
};

class FailingBackend final : public Backend {
 public:
  FailingBackend(std::unique_ptr<Backend> inner, AllocationCount& count) : inner_(std::move(inner)), count_(count) {}

  DeviceInfo info() const override { return inner_->info(); }
  Ceilings measure_ceilings() override { return inner_->measure_ceilings(); }

  std::unique_ptr<Buffer> allocate(int64_t bytes) override {
    next();
    return std::make_unique<CountedBuffer>(inner_->allocate(bytes), count_);
  }
  void upload(void* to, const void* from, int64_t bytes) override { inner_->upload(to, from, bytes); }
  void download(void* to, const void* from, int64_t bytes) override { inner_->download(to, from, bytes); }
  int64_t matrix_bytes(int64_t rows, int64_t cols, DType stored) const override {
    return inner_->matrix_bytes(rows, cols, stored);
  }
  std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) override {
    next();
    return std::make_unique<CountedMatrix>(inner_->load_matrix(parts, role), count_);
  }
  std::unique_ptr<Buffer> load_vector(const WeightParts& parts) override {
    next();
    return std::make_unique<CountedBuffer>(inner_->load_vector(parts), count_);
  }
  void finish_loading() override { inner_->finish_loading(); }
  void abandon_loading() noexcept override { inner_->abandon_loading(); }
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override {
    next();
    return std::make_unique<CountedPool>(inner_->create_kv_pool(layout, max_blocks), count_);
  }

  const StepView& begin_step(const Step& step) override { return inner_->begin_step(step); }
  void run(const std::function<void()>&) override { refuse(); }
  void end_step() override { refuse(); }
  void read_results(SampleResult*) override { refuse(); }
  void embed(const EmbedParams&) override { refuse(); }
  void norm_linear(const NormLinearParams&) override { refuse(); }
  void rope_append(const RopeAppendParams&) override { refuse(); }
  void attention(const AttentionParams&) override { refuse(); }
  void linear_residual(const LinearResidualParams&) override { refuse(); }
  void norm_swiglu(const NormSwigluParams&) override { refuse(); }
  void head(const HeadParams&) override { refuse(); }
  void sample(const SampleParams&) override { refuse(); }

 private:
  void next() {
    if (++count_.allocations != count_.fail_at) return;
    R1_THROW(ErrorCode::kOutOfMemory, "allocation " + std::to_string(count_.fail_at) + " was made to fail by a test");
  }
  [[noreturn]] static void refuse() { R1_THROW(ErrorCode::kInternal, "a failing backend only loads"); }

  std::unique_ptr<Backend> inner_;
  AllocationCount& count_;
};

}  // namespace

std::unique_ptr<Backend> create_failing_backend(std::unique_ptr<Backend> inner, AllocationCount& count) {
  return std::make_unique<FailingBackend>(std::move(inner), count);
}

}  // namespace r1::testing
