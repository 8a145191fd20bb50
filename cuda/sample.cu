// The sampling plan (DESIGN.md decision 7), bit for bit as lib/sampling/reference.ts: every f32 operation is rounded on
// its own (backend/sample_math.h), and from the weights on everything is integer, so no order of summation matters.
// Nothing is sorted: weights fall into bins of 1/64 octave, the bin that holds a wanted place in the order (weight
// descending, id ascending) is found from the bins' sums, and only that bin's tokens are looked at.
// Three kernels, each with kSampleChunks blocks for a row; the last block of a row to finish does what concerns it all.
#include "backend/cuda/kernel_params.h"
#include "backend/sample_math.h"
#include "block.cuh"

namespace r1 {

using cuda::kSampleBins;
using cuda::kSampleChunks;
using cuda::SampleArgs;
using cuda::SampleChunk;
using cuda::SampleFixed;

constexpr int kSampleThreads = 256;
constexpr int kSampleWarps = kSampleThreads / 32;
constexpr int kRawBad = 1, kAdjustedBad = 2;  // bits of SampleChunk::bad
using Wide = unsigned long long;              // what atomicAdd takes

/** The row of a block and its scratch memory. */
struct SampleRowView {
  const SampleArgs& a;
  const int row;  // of this launch
  const SampleRow sample;
  SampleFixed* const fixed;
  char* const scratch;
  const cuda::SampleScratch at;
  const int begin, end;  // the block's tokens

  R1_DEVICE explicit SampleRowView(const SampleArgs& args)
      : a(args),
        row(blockIdx.y),
        sample(args.step.samples[args.first + blockIdx.y]),
        fixed(reinterpret_cast<SampleFixed*>(args.fixed) + blockIdx.y),
        scratch(args.scratch + blockIdx.y * cuda::sample_scratch(args.vocab).bytes),
        at(cuda::sample_scratch(args.vocab)),
        begin(static_cast<int>(blockIdx.x * cuda::sample_chunk_tokens(args.vocab))),
        end(min(args.vocab, begin + static_cast<int>(cuda::sample_chunk_tokens(args.vocab)))) {}

  R1_DEVICE const float* logits() const { return a.logits + int64_t{row} * a.vocab; }
  R1_DEVICE SampleResult& result() const { return a.results[a.first + row]; }
  /** Scored text always wants them. */
  R1_DEVICE bool wants_logprobs() const { return sample.target >= 0 || sample.top_logprobs >= 0; }
  template <class T>
  R1_DEVICE T* part(int64_t offset) const {
    return reinterpret_cast<T*>(scratch + offset);
  }
  R1_DEVICE SampleChunk* chunks() const { return part<SampleChunk>(at.chunks); }
  R1_DEVICE float* scaled() const { return part<float>(at.scaled); }
};

R1_DEVICE bool is_padding(const SampleArgs& a) {
  return a.first + static_cast<int>(blockIdx.y) >= a.step.head->logit_limit;
}

/** True in all threads of the row's last block to come here, which then sees what the others wrote (past L1). */
R1_DEVICE bool last_of_row(uint32_t* arrived) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(arrived, 1u) == kSampleChunks - 1;
    if (last) *arrived = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

/**
 * take(first, v) with values[first + j kSampleThreads] in v[j], for this thread's part of values[begin .. end), kAtOnce
 * at a time: all are asked for at once, past L1, as a trip to L2 takes longer than what is done with them.
 */
template <int kAtOnce, class Take>
R1_DEVICE void for_each_values(const float* values, int begin, int end, const Take& take) {
#pragma unroll 1
  for (int first = begin + static_cast<int>(threadIdx.x); first < end; first += kAtOnce * kSampleThreads) {
    float v[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kSampleThreads;
      v[j] = i < end ? __ldcg(values + i) : 0.0f;
    }
    take(first, v);
  }
}
/** take(i, value) for this thread's part of values[begin .. end). */
template <class Take>
R1_DEVICE void for_each_value(const float* values, int begin, int end, const Take& take) {
  constexpr int kAtOnce = 10;  // half of what a thread has of a vocabulary of 152 064
  for_each_values<kAtOnce>(values, begin, end, [&](int first, const float(&v)[kAtOnce]) {
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kSampleThreads;
      if (i < end) take(i, v[j]);
    }
  });
}

// ---- orders of logits -----------------------------------------------------------------------------------------------

/** Larger for larger values, then for lower ids; 0 stands for nothing. -0 and 0 are equal. */
R1_DEVICE Wide logit_key(float v, int id) {
  const uint32_t u = __float_as_uint(v + 0.0f);
  const uint32_t ordered = u & 0x80000000u ? ~u : u | 0x80000000u;
  return static_cast<Wide>(ordered) << 32 | static_cast<uint32_t>(~id);
}
R1_DEVICE int key_id(Wide key) { return key == 0 ? -1 : static_cast<int>(~static_cast<uint32_t>(key)); }
R1_DEVICE float key_value(Wide key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}

R1_DEVICE Wide warp_max_key(Wide key) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    const Wide other = __shfl_xor_sync(~0u, key, offset);
    if (other > key) key = other;
  }
  return key;
}
R1_DEVICE Wide block_max_key(Wide key) {
  __shared__ Wide shared[kSampleWarps];
  key = warp_max_key(key);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = key;
  __syncthreads();
  for (int i = 0; i < kSampleWarps; ++i) {
    if (shared[i] > key) key = shared[i];
  }
  __syncthreads();
  return key;
}

// ---- first kernel: penalties, bias, mask, temperature; the largest; log-probabilities
// ----------------------------------

/** Sum of exp and the best few of the block's unmodified logits, z[0 .. count). */
R1_DEVICE void raw_statistics(const SampleRowView& v, const float* z, int count, float raw_max, SampleChunk& chunk) {
  __shared__ float shared[kSampleWarps];
  float sum = 0.0f;
  for (int i = threadIdx.x; i < count; i += kSampleThreads) sum += expf(z[i] - raw_max);
  sum = block_sum<kSampleWarps>(sum, shared);
  if (threadIdx.x == 0) chunk.raw_sum = raw_max == -__builtin_huge_valf() ? 0.0f : sum;
  Wide previous = ~Wide{0};
  const int wanted = min(v.sample.top_logprobs, kMaxTopLogprobs);
  for (int n = 0; n < wanted; ++n) {  // each the best of those after the one before
    Wide best = 0;
    for (int i = threadIdx.x; i < count; i += kSampleThreads) {
      const Wide key = logit_key(z[i], v.begin + i);
      if (key < previous && key > best) best = key;
    }
    previous = block_max_key(best);
    if (threadIdx.x == 0) chunk.top_values[n] = key_value(previous), chunk.top_tokens[n] = key_id(previous);
    if (previous == 0) previous = 1;  // nothing is left: nothing will be found
  }
}

/** The adjusted logits of the block's tokens, in place. */
R1_DEVICE void apply_edits(const SampleRowView& v, float* z) {
  const SampleRow& s = v.sample;
  const auto* edits = reinterpret_cast<const LogitEdit*>(v.a.step.tail + v.a.step.head->edit_begin);
  for (int e = s.edit_begin + static_cast<int>(threadIdx.x); e < s.edit_end; e += kSampleThreads) {
    const LogitEdit edit = edits[e];
    if (edit.token < v.begin || edit.token >= v.end) continue;
    float& value = z[edit.token - v.begin];
    value = sampling::adjust_logit(value, edit, s.repetition, s.presence, s.frequency);
  }
}

/** Log-probabilities of the row from its chunks: their common maximum, the sum, the best few. By the first warp. */
R1_DEVICE void merge_raw(const SampleRowView& v, const SampleChunk* chunks) {
  const int lane = threadIdx.x;
  const SampleChunk* own = chunks + lane;
  const float raw_max = __ldcg(&own->raw_max), most = warp_max(raw_max);
  double sum = static_cast<double>(__ldcg(&own->raw_sum)) *
               (raw_max == -__builtin_huge_valf() ? 0.0 : exp(static_cast<double>(raw_max) - most));
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  const double log_sum = log(sum);
  SampleResult& result = v.result();
  const int wanted = min(min(v.sample.top_logprobs, kMaxTopLogprobs), v.a.vocab);
  int next = 0;
  for (int n = 0; n < wanted; ++n) {
    const int id = next < wanted ? __ldcg(&own->top_tokens[next]) : -1;
    const Wide key = id < 0 ? 0 : logit_key(__ldcg(&own->top_values[next]), id);
    const Wide best = warp_max_key(key);
    if (key == best && key != 0) {
      ++next;
      result.top_tokens[n] = id;
      result.top_logprobs[n] = static_cast<float>(static_cast<double>(key_value(key)) - most - log_sum);
    }
  }
  if (lane == 0) {
    result.top_count = max(wanted, 0);
    v.fixed->state.raw_max = most, v.fixed->state.log_sum = log_sum;
  }
}

R1_DEVICE void write_result(const SampleRowView& v, int token, SampleStatus status) {
  SampleResult& result = v.result();
  result.token = token, result.status = status;
  if (status == SampleStatus::kOk && v.wants_logprobs()) {
    const cuda::SampleRowState& state = v.fixed->state;
    result.logprob =
        static_cast<float>(static_cast<double>(v.logits()[token]) - __ldcg(&state.raw_max) - __ldcg(&state.log_sum));
  } else {
    result.logprob = __uint_as_float(0x7fc00000u);
    result.top_count = 0;
  }
}

/** The result to where the host reads it, in one piece: a copy behind the step would cost more. By the first warp. */
R1_DEVICE void publish(const SampleRowView& v) {
  __syncwarp();
  const auto* from = reinterpret_cast<const uint4*>(&v.result());
  auto* to = reinterpret_cast<uint4*>(v.a.step.head->host_results + v.a.first + v.row);
  const int lane = threadIdx.x, pieces = __ldcg(&v.result().top_count) > 0 ? sizeof(SampleResult) / 16 : 1;
  static_assert(sizeof(SampleResult) / 16 <= 32 && offsetof(SampleResult, top_tokens) == 16);
  if (lane < pieces) to[lane] = __ldcg(from + lane);
}

/** Decides what can be decided without weights. By the first warp, a lane for each chunk. */
R1_DEVICE void finish_adjust(const SampleRowView& v) {
  static_assert(kSampleChunks == 32, "a lane for each chunk");
  const SampleChunk* own = v.chunks() + threadIdx.x;
  const int any_bad = __ldcg(&own->bad);
  const int bad =
      (__any_sync(~0u, any_bad & kRawBad) ? kRawBad : 0) | (__any_sync(~0u, any_bad & kAdjustedBad) ? kAdjustedBad : 0);
  const int id = __ldcg(&own->best);
  const Wide best = warp_max_key(id < 0 ? 0 : logit_key(__ldcg(&own->best_value), id));
  if (v.wants_logprobs() && !(bad & kRawBad)) merge_raw(v, v.chunks());
  __syncwarp();
  if (threadIdx.x != 0) return;
  cuda::SampleRowState& state = v.fixed->state;
  state.done = 1;
  state.z_max = key_value(best), state.best = key_id(best);
  if (bad & kRawBad) return write_result(v, -1, SampleStatus::kNotFinite);
  if (v.sample.target >= 0 && v.sample.target < v.a.vocab && state.raw_max > -__builtin_huge_valf()) {
    return write_result(v, v.sample.target, SampleStatus::kOk);
  }
  if (bad & kAdjustedBad) return write_result(v, -1, SampleStatus::kNotFinite);
  if (best == 0 || v.sample.target >= 0) return write_result(v, -1, SampleStatus::kEmptySet);
  if (v.sample.temperature == 0.0f) return write_result(v, key_id(best), SampleStatus::kOk);
  state.done = 0;
}

R1_DEVICE void adjust(const SampleRowView& v, float* z) {
  __shared__ SampleChunk chunk;
  __shared__ float shared[kSampleWarps];
  const int count = max(0, v.end - v.begin);
  const float* logits = v.logits() + v.begin;
  float raw_max = -__builtin_huge_valf();
  int bad = 0;
  for_each_value(logits, 0, count, [&](int i, float value) {
    z[i] = value;
    if (sampling::is_bad_logit(value)) bad = kRawBad;
    raw_max = fmaxf(raw_max, value);
  });
  raw_max = block_max<kSampleWarps>(raw_max, shared);  // and z is complete
  if (v.wants_logprobs()) raw_statistics(v, z, count, raw_max, chunk);
  __syncthreads();
  if (v.sample.target < 0) apply_edits(v, z);
  __syncthreads();
  const uint32_t* mask = v.sample.mask;
  Wide best = 0;
  for (int i = threadIdx.x; i < count; i += kSampleThreads) {
    const int id = v.begin + i;
    float value = z[i];
    if (mask && !(mask[id / 32] >> (id % 32) & 1u)) value = -__builtin_huge_valf();
    if (sampling::is_bad_logit(value)) bad |= kAdjustedBad;
    if (v.sample.temperature > 0.0f) {
      value = sampling::f_div(value, v.sample.temperature);
      if (sampling::is_bad_logit(value)) bad |= kAdjustedBad;
    }
    v.scaled()[id] = value;
    if (value > -__builtin_huge_valf()) {
      const Wide key = logit_key(value, id);
      if (key > best) best = key;
    }
  }
  best = block_max_key(best);
  const bool raw_bad = __syncthreads_or(bad & kRawBad), adjusted_bad = __syncthreads_or(bad & kAdjustedBad);
  if (threadIdx.x == 0) {
    chunk.best = key_id(best), chunk.best_value = key_value(best);
    chunk.raw_max = raw_max;
    chunk.bad = (raw_bad ? kRawBad : 0) | (adjusted_bad ? kAdjustedBad : 0);
    v.chunks()[blockIdx.x] = chunk;
  }
}

// ---- second kernel: weights into bins
// ----------------------------------------------------------------------------------

/** 0 for 2^32, the largest; 64 bins to an octave. weight >= 1. */
R1_DEVICE int weight_bin(uint64_t weight) {
  const int exponent = 63 - __clzll(static_cast<long long>(weight));
  const auto fraction = static_cast<int>((exponent >= 6 ? weight >> (exponent - 6) : weight << (6 - exponent)) & 63);
  return kSampleBins - 1 - (exponent * 64 + fraction);
}

R1_DEVICE void weigh(const SampleRowView& v) {
  __shared__ Wide sums[kSampleBins];
  __shared__ uint32_t counts[kSampleBins];
  for (int b = threadIdx.x; b < kSampleBins; b += kSampleThreads) sums[b] = 0, counts[b] = 0;
  __syncthreads();
  const float z_max = __ldcg(&v.fixed->state.z_max);
  Wide enough = 0;
  for_each_value(v.scaled(), v.begin, v.end, [&](int, float value) {
    const uint64_t weight = sampling::weight_of(value, z_max);
    if (weight == 0) return;
    const int bin = weight_bin(weight);
    atomicAdd(&sums[bin], static_cast<Wide>(weight));
    atomicAdd(&counts[bin], 1u);
    if (weight >= v.sample.min_p) enough += weight;
  });
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) enough += __shfl_xor_sync(~0u, enough, offset);
  if (threadIdx.x % 32 == 0 && enough) atomicAdd(reinterpret_cast<Wide*>(&v.fixed->state.min_p_sum), enough);
  __syncthreads();
  for (int b = threadIdx.x; b < kSampleBins; b += kSampleThreads) {
    if (counts[b] == 0) continue;
    atomicAdd(reinterpret_cast<Wide*>(&v.fixed->sums[b]), sums[b]);
    atomicAdd(&v.fixed->counts[b], counts[b]);
  }
}

/** Where each bin begins, in tokens and in weight. */
R1_DEVICE void scan_bins(const SampleRowView& v) {
  constexpr int kPerThread = (kSampleBins + kSampleThreads - 1) / kSampleThreads;
  __shared__ Wide warp_sums[kSampleWarps];
  __shared__ uint32_t warp_counts[kSampleWarps];
  const int first = threadIdx.x * kPerThread, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Wide own_sum = 0;
  uint32_t own_count = 0;
  for (int b = first; b < min(first + kPerThread, kSampleBins); ++b) {
    own_sum += __ldcg(&v.fixed->sums[b]);
    own_count += __ldcg(&v.fixed->counts[b]);
  }
  Wide sum = own_sum;
  uint32_t count = own_count;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const Wide sum_before = __shfl_up_sync(~0u, sum, offset);
    const uint32_t count_before = __shfl_up_sync(~0u, count, offset);
    if (lane >= offset) sum += sum_before, count += count_before;
  }
  if (lane == 31) warp_sums[warp] = sum, warp_counts[warp] = count;
  __syncthreads();
  sum -= own_sum, count -= own_count;
  for (int w = 0; w < warp; ++w) sum += warp_sums[w], count += warp_counts[w];
  for (int b = first; b < min(first + kPerThread, kSampleBins); ++b) {
    v.part<uint64_t>(v.at.before)[b] = sum;
    v.part<uint32_t>(v.at.starts)[b] = count;
    v.part<uint32_t>(v.at.places)[b] = count;
    sum += __ldcg(&v.fixed->sums[b]);
    count += __ldcg(&v.fixed->counts[b]);
  }
}

// ---- third kernel: tokens by bin, then the choice
// -----------------------------------------------------------------------

R1_DEVICE void scatter(const SampleRowView& v) {
  const float z_max = __ldcg(&v.fixed->state.z_max);
  constexpr int kAtOnce = 6;  // registers do not allow for more
  for_each_values<kAtOnce>(v.scaled(), v.begin, v.end, [&](int first, const float(&values)[kAtOnce]) {
    int place[kAtOnce];  // all asked for before the first is used
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const uint64_t weight = first + j * kSampleThreads < v.end ? sampling::weight_of(values[j], z_max) : 0;
      place[j] = weight == 0 ? -1 : static_cast<int>(atomicAdd(v.part<uint32_t>(v.at.places) + weight_bin(weight), 1u));
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (place[j] >= 0) v.part<int32_t>(v.at.order)[place[j]] = first + j * kSampleThreads;
    }
  });
}

/** A token at a place in the order. */
struct Place {
  uint64_t weight, before;  // before: weight of all tokens ahead of it
  int id;
};

/** Looks up places in the order of one row's tokens. By all threads of a block together. */
class OrderedTokens {
  static constexpr int kFew = kSampleThreads;  // tokens that are compared each with each

 public:
  R1_DEVICE explicit OrderedTokens(const SampleRowView& v) : v_(v), z_max_(__ldcg(&v.fixed->state.z_max)) {}

  R1_DEVICE uint64_t total() const { return before(kSampleBins - 1) + sum(kSampleBins - 1); }
  R1_DEVICE uint32_t tokens() const { return start(kSampleBins - 1) + count(kSampleBins - 1); }

  /** The token number `index`, counted from 0. index < tokens(). */
  R1_DEVICE Place at_index(uint32_t index) { return find<true>(index); }
  /** The first token whose cumulative weight exceeds `weight`. weight < total(). */
  R1_DEVICE Place at_weight(uint64_t weight) { return find<false>(weight); }

 private:
  R1_DEVICE uint64_t before(int b) const { return __ldcg(v_.part<uint64_t>(v_.at.before) + b); }
  R1_DEVICE uint32_t start(int b) const { return __ldcg(v_.part<uint32_t>(v_.at.starts) + b); }
  R1_DEVICE uint64_t sum(int b) const { return __ldcg(&v_.fixed->sums[b]); }
  R1_DEVICE uint32_t count(int b) const { return __ldcg(&v_.fixed->counts[b]); }

  /** Ascending in the order: weight descending, id ascending. A weight of 1 to 2^32 less 1 fits 32 bits. */
  R1_DEVICE Wide order_key(int id) const {
    const uint64_t weight = sampling::weight_of(__ldcg(v_.scaled() + id), z_max_);
    return static_cast<Wide>(~static_cast<uint32_t>(weight - 1)) << 32 | static_cast<uint32_t>(id);
  }
  R1_DEVICE static uint64_t key_weight(Wide key) { return uint64_t{~static_cast<uint32_t>(key >> 32)} + 1; }
  template <bool kByIndex>
  R1_DEVICE static uint64_t measure(Wide key) {
    return kByIndex ? 1 : key_weight(key);
  }

  template <bool kByIndex>
  R1_DEVICE Place find(uint64_t target) {
    __shared__ int found_bin;
    for (int b = threadIdx.x; b < kSampleBins; b += kSampleThreads) {
      const uint64_t from = kByIndex ? start(b) : before(b), size = kByIndex ? count(b) : sum(b);
      if (target >= from && target - from < size) found_bin = b;
    }
    __syncthreads();
    const int b = found_bin;
    const int32_t* ids = v_.part<int32_t>(v_.at.order) + start(b);
    const Place place = find_in_bin<kByIndex>(ids, count(b), target - (kByIndex ? start(b) : before(b)), before(b));
    __syncthreads();
    return place;
  }

  /** Radix descent on the keys' bytes, from the top, until few are left. `ahead` is the weight before all of them. */
  template <bool kByIndex>
  R1_DEVICE Place find_in_bin(const int32_t* ids, uint32_t n, uint64_t target, uint64_t ahead) {
    __shared__ Wide measures[256], weights[256];
    __shared__ uint32_t counts[256];
    Wide prefix = 0, mask = 0;  // keys with (key & mask) == prefix are left
    uint32_t left = n;
    for (int shift = 56; left > kFew; shift -= 8) {
      measures[threadIdx.x] = 0, weights[threadIdx.x] = 0, counts[threadIdx.x] = 0;
      __syncthreads();
      for (uint32_t i = threadIdx.x; i < n; i += kSampleThreads) {
        const Wide key = order_key(__ldcg(ids + i));
        if ((key & mask) != prefix) continue;
        const auto digit = static_cast<int>(key >> shift & 255);
        atomicAdd(&measures[digit], static_cast<Wide>(measure<kByIndex>(key)));
        atomicAdd(&weights[digit], static_cast<Wide>(key_weight(key)));
        atomicAdd(&counts[digit], 1u);
      }
      __syncthreads();
      int digit = 0;
      for (; digit < 255 && target >= measures[digit]; ++digit) target -= measures[digit], ahead += weights[digit];
      left = counts[digit];
      prefix |= static_cast<Wide>(digit) << shift;
      mask |= Wide{255} << shift;
      __syncthreads();
    }
    return find_among_few<kByIndex>(ids, n, prefix, mask, target, ahead);
  }

  template <bool kByIndex>
  R1_DEVICE Place find_among_few(const int32_t* ids, uint32_t n, Wide prefix, Wide mask, uint64_t target,
                                 uint64_t ahead) {
    __shared__ Wide keys[kFew];
    __shared__ uint32_t kept;
    __shared__ Place found;
    if (threadIdx.x == 0) kept = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < n; i += kSampleThreads) {
      const Wide key = order_key(__ldcg(ids + i));
      if ((key & mask) == prefix) keys[atomicAdd(&kept, 1u)] = key;
    }
    __syncthreads();
    if (threadIdx.x < kept) {
      const Wide own = keys[threadIdx.x];
      uint64_t measured = 0, weight = ahead;
      for (uint32_t i = 0; i < kept; ++i) {
        if (keys[i] < own) measured += measure<kByIndex>(keys[i]), weight += key_weight(keys[i]);
      }
      if (target >= measured && target - measured < measure<kByIndex>(own)) {
        found = {key_weight(own), weight, static_cast<int>(static_cast<uint32_t>(own))};
      }
    }
    __syncthreads();
    return found;
  }

  const SampleRowView& v_;
  const float z_max_;
};

/** The least cumulative weight that top-p accepts: ceil(p · total / 2^32), at least 1. */
R1_DEVICE uint64_t top_p_needed(uint64_t p, uint64_t total) {
  const uint64_t low = p * total, high = __umul64hi(p, total);
  const uint64_t rounded = low + 0xffffffffull;
  const uint64_t carry = rounded < low ? 1 : 0;
  const uint64_t needed = ((high + carry) << 32) | (rounded >> 32);
  return needed > 0 ? needed : 1;
}

/** top-k, top-p, min-p, draw. What is kept is always the first few tokens of the order, so its weight says it all. */
R1_DEVICE int choose(const SampleRowView& v) {
  const SampleRow& s = v.sample;
  OrderedTokens tokens(v);
  uint64_t kept = tokens.total(),
           lightest = 0;  // weight of what is kept, and of its last token (0: not known to matter)
  if (s.top_k > 0 && static_cast<uint32_t>(s.top_k) < tokens.tokens()) {
    const Place last = tokens.at_index(s.top_k - 1);
    kept = last.before + last.weight, lightest = last.weight;
  }
  if (s.top_p < sampling::kFullWeight) {
    const Place last = tokens.at_weight(top_p_needed(s.top_p, kept) - 1);
    kept = last.before + last.weight, lightest = last.weight;
  }
  // Tokens of at least min_p are a prefix, too, and the shorter one if the last token kept so far is lighter.
  if (lightest < s.min_p) kept = __ldcg(&v.fixed->state.min_p_sum);
  const uint32_t r = sampling::philox_word0(s.seed, s.position, s.choice, 0);
  return tokens.at_weight(sampling::draw_threshold(r, kept)).id;
}

R1_DEVICE void clear_fixed(const SampleRowView& v) {
  for (int b = threadIdx.x; b < kSampleBins; b += kSampleThreads) v.fixed->sums[b] = 0, v.fixed->counts[b] = 0;
  if (threadIdx.x == 0) v.fixed->state.min_p_sum = 0;
}

}  // namespace r1

// Grid: x kSampleChunks pieces of the vocabulary, y logit rows; all three kernels.
extern "C" __global__ void __launch_bounds__(r1::kSampleThreads) sample_adjust(
    const __grid_constant__ r1::SampleArgs a) {
  extern __shared__ float z[];  // [tokens of a chunk]
  r1::pdl_trigger();
  const bool padding = r1::is_padding(a);
  const r1::SampleRowView view(a);  // the step's arrays do not depend on the kernel before
  r1::pdl_wait();
  if (padding) return;
  r1::adjust(view, z);
  if (!r1::last_of_row(&view.fixed->state.arrived[0]) || threadIdx.x >= 32) return;
  r1::finish_adjust(view);
  __syncwarp();
  if (__ldcg(&view.fixed->state.done)) r1::publish(view);
}

extern "C" __global__ void __launch_bounds__(r1::kSampleThreads) sample_weigh(
    const __grid_constant__ r1::SampleArgs a) {
  r1::pdl_trigger();
  const bool padding = r1::is_padding(a);
  const r1::SampleRowView view(a);  // the step's arrays do not depend on the kernel before
  r1::pdl_wait();
  if (padding) return;
  if (__ldcg(&view.fixed->state.done)) return;
  r1::weigh(view);
  if (r1::last_of_row(&view.fixed->state.arrived[1])) r1::scan_bins(view);
}

extern "C" __global__ void __launch_bounds__(r1::kSampleThreads, 4) sample_draw(
    const __grid_constant__ r1::SampleArgs a) {
  r1::pdl_trigger();
  const bool padding = r1::is_padding(a);
  const r1::SampleRowView view(a);  // the step's arrays do not depend on the kernel before
  r1::pdl_wait();
  if (padding) return;
  if (__ldcg(&view.fixed->state.done)) return;
  r1::scatter(view);
  if (!r1::last_of_row(&view.fixed->state.arrived[2])) return;
  const int token = r1::choose(view);
  __syncthreads();
  if (threadIdx.x == 0) r1::write_result(view, token, r1::SampleStatus::kOk);
  if (threadIdx.x < 32) r1::publish(view);
  r1::clear_fixed(view);
}
