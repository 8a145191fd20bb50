#include "testing/recording_backend.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "engine/block_allocator.h"

namespace r1::testing {
namespace {

uint64_t mix(uint64_t x) {  // the finalizer of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class VectorBuffer final : public Buffer {
 public:
  explicit VectorBuffer(int64_t size) : bytes_(static_cast<size_t>(size)) {
    data = bytes_.data();
    bytes = size;
  }

 private:
  std::vector<uint8_t> bytes_;
};

class RecordingPool final : public KvPool {
 public:
  RecordingPool(const RecordingBackend& backend, int64_t most)
      : backend_(backend), halves_(static_cast<size_t>(most * 2 * kKvBlockTokens)) {
    layout = kRecordingLayout;
    max_blocks = most;
    base = halves_.data();
  }
  void grow(int64_t wanted) override {
    R1_CHECK(wanted <= max_blocks, ErrorCode::kInternal, "the pool is asked to grow beyond its capacity");
    R1_CHECK(wanted <= backend_.memory(), ErrorCode::kOutOfMemory, "the device has no memory for more blocks");
    blocks = std::max(blocks, wanted);
  }

 private:
  const RecordingBackend& backend_;
  std::vector<uint32_t> halves_;  // [block][K, V][token]
};

class RecordingModel final : public Model {
 public:
  RecordingModel() : Model(config_of(), kRecordingLayout) {}
  void forward(Backend&, const StepView&, const KvPool&, const LayerTap&) override {}
  void head(Backend&, const StepView&, int32_t, int32_t, float*) override {}

 private:
  static ModelConfig config_of() {
    ModelConfig config;
    config.vocab = kRecordingVocab;
    return config;
  }
};

void require(bool condition, const std::string& what) { R1_CHECK(condition, ErrorCode::kInternal, what); }

}  // namespace

Fingerprint next_fingerprint(Fingerprint before, int32_t token, NumericClass numeric_class) {
  return mix(before * 31 + static_cast<uint64_t>(token) * 2 + (numeric_class == NumericClass::kDecode ? 1 : 0) + 7);
}

int32_t token_after(Fingerprint at, int32_t vocab) {
  return static_cast<int32_t>(mix(at + 0x9e3779b97f4a7c15u) % static_cast<uint64_t>(vocab));
}

std::unique_ptr<Model> create_recording_model() { return std::make_unique<RecordingModel>(); }

RecordingBackend::RecordingBackend(RecordingOptions options, std::function<void(double)> advance,
                                   std::function<void(const Step&)> inspect)
    : options_(options), advance_(std::move(advance)), inspect_(std::move(inspect)) {}

DeviceInfo RecordingBackend::info() const {
  return {.kind = "recording", .name = "", .detail = "", .total_bytes = 0, .free_bytes = 0};
}

// ---- memory

std::unique_ptr<Buffer> RecordingBackend::allocate(int64_t bytes) { return std::make_unique<VectorBuffer>(bytes); }

void RecordingBackend::upload(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void RecordingBackend::download(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

std::unique_ptr<Matrix> RecordingBackend::load_matrix(const WeightParts&, MatrixRole) { return nullptr; }
std::unique_ptr<Buffer> RecordingBackend::load_vector(const WeightParts&) { return nullptr; }

std::unique_ptr<KvPool> RecordingBackend::create_kv_pool(const KvLayout&, int64_t max_blocks) {
  auto pool = std::make_unique<RecordingPool>(*this, max_blocks);
  pool_ = pool.get();
  return pool;
}

std::unique_ptr<Buffer> RecordingBackend::allocate_host(int64_t bytes) {
  return options_.swaps ? allocate(bytes) : nullptr;
}

void RecordingBackend::copy_blocks_to_host(const KvPool& kv, const BlockCopy* copies, int32_t count) {
  const int64_t bytes = kv.layout.block_bytes();
  for (const BlockCopy* copy = copies; copy != copies + count; ++copy) {
    std::memcpy(copy->host, static_cast<const char*>(kv.base) + copy->block * bytes, static_cast<size_t>(bytes));
  }
}

void RecordingBackend::copy_blocks_from_host(const KvPool& kv, const BlockCopy* copies, int32_t count) {
  const int64_t bytes = kv.layout.block_bytes();
  for (const BlockCopy* copy = copies; copy != copies + count; ++copy) {
    std::memcpy(static_cast<char*>(kv.base) + copy->block * bytes, copy->host, static_cast<size_t>(bytes));
  }
}

// ---- a step

void RecordingBackend::check_shape(const Step& step) const {
  const bool decode = step.numeric_class == NumericClass::kDecode;
  require(step.rows >= 1 && step.rows <= (decode ? kMaxDecodeRows : options_.prefill_rows),
          "a step of " + std::to_string(step.rows) + " rows");
  int32_t row = 0;
  for (const StepSequence* s = step.sequences; s != step.sequences + step.sequence_count; ++s) {
    require(s->first_row == row && s->rows > 0, "the rows of a step's sequences are neighbours");
    require(s->block_count >= blocks_for(s->length), "a sequence has blocks for all its tokens");
    for (int32_t i = 0; i < s->rows; ++i, ++row) {
      const int32_t slot = s->length - s->rows + i;
      require(step.slots[row] == slot && step.positions[row] == slot, "a sequence's slots are in order");
    }
    for (int32_t i = 0; i < s->block_count; ++i) {
      require(s->blocks[i] >= 0 && s->blocks[i] < pool_->blocks, "a block exists");
    }
  }
  require(row == step.rows, "every row belongs to a sequence");
  for (int32_t i = 0; i < step.logit_count; ++i) {
    require(step.logit_rows[i] < step.rows && (i == 0 || step.logit_rows[i - 1] < step.logit_rows[i]),
            "logit rows ascend");
  }
}

Fingerprint RecordingBackend::fingerprint(int32_t block, int32_t slot) const {
  const auto* at = static_cast<const uint32_t*>(pool_->base) + int64_t{block} * 2 * kKvBlockTokens + slot;
  return at[0] | static_cast<Fingerprint>(at[kKvBlockTokens]) << 32;
}

void RecordingBackend::store(int32_t block, int32_t slot, Fingerprint value) {
  auto* at = static_cast<uint32_t*>(pool_->base) + int64_t{block} * 2 * kKvBlockTokens + slot;
  at[0] = static_cast<uint32_t>(value);
  at[kKvBlockTokens] = static_cast<uint32_t>(value >> 32);
}

/** Writes the fingerprints of a sequence's rows; each reads the one before from the cache. */
void RecordingBackend::append(const Step& step, const StepSequence& sequence) {
  const auto block = [&](int32_t slot) { return sequence.blocks[slot / kKvBlockTokens]; };
  for (int32_t row = sequence.first_row; row < sequence.first_row + sequence.rows; ++row) {
    const int32_t slot = step.slots[row], last = slot - 1;
    const Fingerprint before = slot == 0 ? kStart : fingerprint(block(last), last % kKvBlockTokens);
    rows_[row] = next_fingerprint(before, results_.resolve(step.tokens[row]), step.numeric_class);
    store(block(slot), slot % kKvBlockTokens, rows_[row]);
  }
}

const StepView& RecordingBackend::begin_step(const Step& step) {
  check_shape(step);
  inspect_(step);
  results_.begin(step.logit_count);
  rows_.assign(step.rows, 0);
  for (int32_t i = 0; i < step.sequence_count; ++i) append(step, step.sequences[i]);
  for (int32_t i = 0; i < step.logit_count; ++i) {
    const Fingerprint at = rows_[step.logit_rows[i]];
    const int32_t target = step.samples[i].target;
    SampleResult& result = results_.current()[i];
    result.token = target >= 0 ? target : token_after(at, kRecordingVocab);
    result.logprob = -static_cast<float>(at % 1000) / 100;
  }
  view_.numeric_class = step.numeric_class;
  view_.rows = step.rows;
  view_.logit_count = step.logit_count;
  return view_;
}

void RecordingBackend::run(const std::function<void()>& forward) {
  forward();
  running_.push_back(options_.step_ms + options_.row_ms * view_.rows);
  if (!options_.asynchronous) pass();
}

void RecordingBackend::read_results(SampleResult* out) {
  if (options_.asynchronous) pass();
  if (options_.fail_at > 0 && ++waited_ >= options_.fail_at) {
    R1_THROW(ErrorCode::kDeviceLost, "the device was lost by a test");
  }
  results_.read(out);
}

/** The oldest of the steps in flight is over. */
void RecordingBackend::pass() {
  advance_(running_.front());
  running_.pop_front();
}

}  // namespace r1::testing
