#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <string>

#include "base/error.h"

namespace r1::cpu {
namespace {

std::string processor_name() {
  std::string name = "CPU";
  FILE* file = std::fopen("/proc/cpuinfo", "re");
  if (!file) return name;
  char line[256];
  while (std::fgets(line, sizeof line, file)) {
    if (std::strncmp(line, "model name", 10) != 0) continue;
    const char* colon = std::strchr(line, ':');
    if (colon) name = colon + 2;
    if (!name.empty() && name.back() == '\n') name.pop_back();
    break;
  }
  std::fclose(file);
  return name;
}

}  // namespace

CpuBackend::CpuBackend(const BackendOptions& options)
    : options_(options),
      kernels_(choose_kernels(options.family)),
      act_(options.precision),
      act_store_(options.precision == DType::kF32 ? Store::kF32 : Store::kBF16),
      staged_store_(options.precision == DType::kF32 ? Store::kF32
                    : kernels_.bf16_dots             ? Store::kBF16
                                                     : Store::kF32Rounded),
      pool_(options.threads > 0 ? options.threads : available_cores()),
      thread_scratch_(static_cast<size_t>(pool_.threads())),
      sample_scratch_(static_cast<size_t>(pool_.threads())) {}

DeviceInfo CpuBackend::info() const {
  const MemoryStatus memory = memory_status();
  const int threads = pool_.threads();
  return {"cpu",
          std::string(kernels_.detail) + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
          processor_name() + ", kernels: " + std::string(kernels_.family), memory.total_bytes, memory.available_bytes};
}

std::unique_ptr<Buffer> CpuBackend::allocate(int64_t bytes) { return allocate_buffer(bytes); }

void CpuBackend::upload(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void CpuBackend::download(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

int64_t CpuBackend::matrix_bytes(int64_t rows, int64_t cols, DType stored) const {
  return packed_bytes(rows, cols, packed_format(options_.precision, stored, kernels_));
}

std::unique_ptr<Matrix> CpuBackend::load_matrix(const WeightParts& parts, MatrixRole role) {
  try {
    return pack_matrix(parts, role, options_.precision, kernels_, &pool_);
  } catch (const std::bad_alloc&) {
    R1_THROW(ErrorCode::kOutOfMemory, "no memory for weight " + parts.name + " (" + std::to_string(parts.rows()) +
                                          " x " + std::to_string(parts.cols()) +
                                          "); free memory or use a smaller model");
  }
}

std::unique_ptr<Buffer> CpuBackend::load_vector(const WeightParts& parts) { return load_float_vector(parts); }

std::unique_ptr<KvPool> CpuBackend::create_kv_pool(const KvLayout& layout, int64_t max_blocks) {
  return make_kv_pool(layout, max_blocks);
}

const StepView& CpuBackend::begin_step(const Step& step) {
  results_.begin(step.logit_count);
  tokens_.resize(static_cast<size_t>(step.rows));
  std::transform(step.tokens, step.tokens + step.rows, tokens_.begin(),
                 [this](int32_t token) { return results_.resolve(token); });
  positions_.assign(step.positions, step.positions + step.rows);
  slots_.assign(step.slots, step.slots + step.rows);
  sequences_.assign(step.sequences, step.sequences + step.sequence_count);
  logit_rows_.assign(step.logit_rows, step.logit_rows + step.logit_count);
  samples_.assign(step.samples, step.samples + step.logit_count);
  edits_.assign(step.edits, step.edits + step.edit_count);
  rope_key_ = {};

  int32_t stride = 1;
  for (const StepSequence& sequence : sequences_) stride = std::max(stride, sequence.block_count);
  block_table_.assign(sequences_.size() * static_cast<size_t>(stride), 0);
  row_sequence_.assign(static_cast<size_t>(step.rows), -1);
  for (size_t i = 0; i < sequences_.size(); ++i) {
    StepSequence& sequence = sequences_[i];
    std::copy_n(sequence.blocks, sequence.block_count, block_table_.begin() + static_cast<int64_t>(i) * stride);
    std::fill_n(row_sequence_.begin() + sequence.first_row, sequence.rows, static_cast<int32_t>(i));
    sequence.blocks = nullptr;  // the caller's memory ends with this call
  }
  view_ = {
      step.numeric_class,   step.rows,           step.logit_count, tokens_.data(),    positions_.data(), slots_.data(),
      row_sequence_.data(), block_table_.data(), stride,           logit_rows_.data()};
  return view_;
}

void CpuBackend::sample(const SampleParams& p) {
  std::vector<SampleResult>& results = results_.current();
  pool_.parallel_for(p.count, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t row = static_cast<size_t>(p.first + i);
      results[row] = sample_row(kernels_, samples_[row], edits_.data(), p.logits + i * p.vocab, p.vocab,
                                &sample_scratch_[static_cast<size_t>(thread)]);
    }
  });
}

}  // namespace r1::cpu

namespace r1 {

std::unique_ptr<Backend> create_cpu_backend(const BackendOptions& options) {
  R1_CHECK(options.precision != DType::kF16, ErrorCode::kUnsupported,
           "precision \"fp16\" is for CUDA cards without bfloat16; on the CPU use \"f32\" (the default) or \"bf16\"");
  return std::make_unique<cpu::CpuBackend>(options);
}

}  // namespace r1
