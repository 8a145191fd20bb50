// Decode attention of one row and the heads of a group: the four warps of a team each leave what they found in their
// share of a segment's keys, and the four become one. Segments are merged in their order to spans, spans in theirs to
// the row's result: a span in registers where a team has it all, what is left in memory by the last team to finish a
// part, or by a kernel of its own. A block is a team, or two.
#pragma once
#include "attention_state.cuh"
#include "kv_cache.cuh"

namespace r1 {

constexpr int kRunThreads = 128, kRunWarps = 4;  // of a team
constexpr int kHeads = cuda::kHeadsPerBlock;
constexpr float kNone = -__builtin_huge_valf();  // m where no key has been seen
static_assert(kHeads * 16 == kRunThreads);       // 16 threads to a head

R1_DEVICE int team() { return threadIdx.x / kRunThreads; }
R1_DEVICE int team_thread() { return threadIdx.x % kRunThreads; }
R1_DEVICE int team_warp() { return team_thread() / 32; }
R1_DEVICE void team_sync() { named_sync(1 + team(), kRunThreads); }

/** Keys that the row at `slot` sees: [first, slot]. */
R1_DEVICE int first_visible(int slot, int window) { return window > 0 ? max(0, slot + 1 - window) : 0; }

/**
 * How a row's keys are cut: into segments of about two KV blocks, or as many as kMaxSegments allow, and those into
 * spans of up to kSpanSegments; by position and window alone.
 */
struct Segments {
  int first, slot, first_block, blocks, count, spans;
  R1_DEVICE Segments(int slot_, int window) : first(first_visible(slot_, window)), slot(slot_) {
    first_block = first / kBlockTokens;
    blocks = slot / kBlockTokens - first_block + 1;
    count = min((blocks + 1) / 2, cuda::kMaxSegments);
    spans = (count + cuda::kSpanSegments - 1) / cuda::kSpanSegments;
  }
  /** Keys [x, y) of segments [from, to). */
  R1_DEVICE int2 range(int from, int to) const {
    return make_int2(max(first, block_of(from) * kBlockTokens), min(slot + 1, block_of(to) * kBlockTokens));
  }
  R1_DEVICE int span_begin(int span) const { return part_begin(span, spans); }
  R1_DEVICE int span_of(int segment) const { return part_of(segment, spans); }
  /** The first segment of a part, where all are cut into `parts` of equal length, about; and the part of a segment. */
  R1_DEVICE int part_begin(int part, int parts) const { return part * count / parts; }
  R1_DEVICE int part_of(int segment, int parts) const { return ((segment + 1) * parts - 1) / count; }

 private:
  R1_DEVICE int block_of(int segment) const { return first_block + segment * blocks / count; }
};

/** Of each warp and head: the sum of the weights 2^(score - m) times V, m, and l, the sum of the weights. */
template <int kDim>
struct WarpResults {
  float m[kRunWarps][kHeads], l[kRunWarps][kHeads];
  alignas(16) float acc[kRunWarps][kHeads]
                       [kDim];  // four floats at a time, in an order that keeps pairs of heads on other banks
  /** Where dimension d of a head is; those behind it in the same four floats follow. */
  R1_DEVICE float* sums(int warp, int head, int d) { return &acc[warp][head][((d / 4) ^ (head & 6)) * 4 + d % 4]; }
};

template <int kDim>
struct RunShared {
  WarpResults<kDim> results;
  bool last;
};

/** A thread's part of a head's result over some keys. */
template <int kDim>
struct HeadResult {
  static constexpr int kPieces = kDim / 64;
  float m, l;
  float4 v[kPieces];

  /** So that the first result appended is taken over bit by bit: -0 + x is x for every x. */
  R1_DEVICE void clear() {
    m = kNone, l = -0.0f;
#pragma unroll
    for (int j = 0; j < kPieces; ++j) v[j] = make_float4(-0.0f, -0.0f, -0.0f, -0.0f);
  }
  /** Adds the result of the keys directly behind these. */
  R1_DEVICE void append(HeadResult later) {
    const Shares shares = merge_sums(m, l, later.m, later.l, 1.0f);
    m = later.m, l = later.l;
#pragma unroll
    for (int j = 0; j < kPieces; ++j) {
      v[j] = make_float4(shares.add(v[j].x, later.v[j].x), shares.add(v[j].y, later.v[j].y),
                         shares.add(v[j].z, later.v[j].z), shares.add(v[j].w, later.v[j].w));
    }
  }
};

/**
 * Results in memory: [segment][head][kDim sums, m and l of the segment, m and l of its span]; a span's sums lie where
 * its first segment's were.
 */
template <int kDim>
struct PartialResults {
  static constexpr int kPartial = cuda::decode_partial(kDim), kStride = kHeads * kPartial;
  static constexpr int kSegment = kDim, kSpan = kDim + 2;  // where m and l are in one
};

/** A run of a row's segments. */
template <class T, int kDim, int kAtOnce>
class Run : PartialResults<kDim> {
  using Result = HeadResult<kDim>;
  using PartialResults<kDim>::kPartial, PartialResults<kDim>::kStride;
  using PartialResults<kDim>::kSegment, PartialResults<kDim>::kSpan;
  static constexpr int kSpanSegments = cuda::kSpanSegments;

 public:
  /** `out` is where the first of the `heads` heads goes, the others behind it. */
  R1_DEVICE Run(RunShared<kDim>& shared, int heads, T* out) : shared_(shared), heads_(heads), out_(out) {}

  /** What the warps have published, which may not publish again before all threads have come to a barrier. */
  R1_DEVICE Result take() const {
    team_sync();
    return sum(shared_.results);
  }

  /** A row of two segments: what has been published of the first, and of the second by another team. */
  R1_DEVICE void store_pair(WarpResults<kDim>& second) {
    span_.clear();
    span_.append(sum(shared_.results));
    span_.append(sum(second));
    store(span_);
  }

  /** The four warps' results in their order, as one. */
  R1_DEVICE static Result sum(WarpResults<kDim>& r) {
    const int h = head();
    float most = r.m[0][h];
#pragma unroll
    for (int w = 1; w < kRunWarps; ++w) most = fmaxf(most, r.m[w][h]);
    Result result;
    result.m = most, result.l = 0.0f;
#pragma unroll
    for (int j = 0; j < Result::kPieces; ++j) result.v[j] = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int w = 0; w < kRunWarps; ++w) {
      const float share = r.m[w][h] == kNone ? 0.0f : exp2_fast(r.m[w][h] - most);
      result.l = __fmaf_rn(r.l[w][h], share, result.l);
#pragma unroll
      for (int j = 0; j < Result::kPieces; ++j) {
        const float4 v = *reinterpret_cast<const float4*>(r.sums(w, h, dimension(j)));
        float4& sum = result.v[j];
        sum = make_float4(__fmaf_rn(v.x, share, sum.x), __fmaf_rn(v.y, share, sum.y), __fmaf_rn(v.z, share, sum.z),
                          __fmaf_rn(v.w, share, sum.w));
      }
    }
    return result;
  }

  R1_DEVICE void store(const Result& result) const {
    if (head() >= heads_) return;
    const float inverse = 1.0f / result.l;
#pragma unroll
    for (int j = 0; j < Result::kPieces; ++j) {
      const float4 v = make_float4(result.v[j].x * inverse, result.v[j].y * inverse, result.v[j].z * inverse,
                                   result.v[j].w * inverse);
      T* to = out_ + head() * kDim + dimension(j);
      if constexpr (sizeof(T) == 4) {
        *reinterpret_cast<float4*>(to) = v;
      } else {
        *reinterpret_cast<uint2*>(to) = make_uint2(pack2<T>(v.x, v.y), pack2<T>(v.z, v.w));
      }
    }
  }

  /** Segments [first, end) of a row follow, whose partial results and counters these are. */
  R1_DEVICE void begin(int first, int end, float* partials, int32_t* arrived) {
    first_ = first, end_ = end;
    partials_ = partials, arrived_ = arrived;
    span_.clear();
  }

  /** After the segment's keys: its result goes to its span, or to memory where the span is not this run's alone. */
  R1_DEVICE void close_segment(const Segments& segments, int segment) {
    const Result result = take();
    const int span = segments.span_of(segment);
    if (!has_span(segments, span)) return save(result, segment, kSegment);
    span_.append(result);
    if (segments.spans == 1 || segment + 1 < segments.span_begin(span + 1)) return;
    save(span_, segments.span_begin(span), kSpan);
    span_.clear();
  }

  /** After the run's last segment. `apart`: what other runs have a part in is left to merge_row(). */
  R1_DEVICE void finish(const Segments& segments, bool apart) {
    const int first_span = segments.span_of(first_), last_span = segments.span_of(end_ - 1);
    if (segments.spans == 1 && has_span(segments, 0)) return store(span_);
    if (apart) return;
    int done = last_span - first_span + 1;
    for (int span = first_span; span <= last_span; span += max(1, last_span - first_span)) {
      if (!has_span(segments, span) && !finish_span(segments, span)) --done;
    }
    if (done == 0 || !arrive(arrived_, done, segments.spans)) return;
    store(merge([&](int span) { return segments.span_begin(span); }, segments.spans, kSpan));
  }

 private:
  R1_DEVICE static int head() { return team_thread() / 16; }
  R1_DEVICE static int dimension(int j) { return j * 64 + threadIdx.x % 16 * 4; }
  R1_DEVICE bool has_span(const Segments& segments, int span) const {
    return first_ <= segments.span_begin(span) && segments.span_begin(span + 1) <= end_;
  }
  R1_DEVICE float* partial(int segment) const { return partials_ + segment * kStride + head() * kPartial; }

  R1_DEVICE void save(const Result& result, int segment, int sums) const {
    if (head() >= heads_) return;
    float* to = partial(segment);
#pragma unroll
    for (int j = 0; j < Result::kPieces; ++j) *reinterpret_cast<float4*>(to + dimension(j)) = result.v[j];
    if (threadIdx.x % 16 == 0) *reinterpret_cast<float2*>(to + sums) = make_float2(result.m, result.l);
  }

  /** All threads have saved `count` of `expected` results; true for the team that completes them. */
  R1_DEVICE bool arrive(int32_t* arrived, int count, int expected) const {
    team_sync();
    if (count == expected) return true;
    if (team_thread() == 0) shared_.last = last_to_arrive(arrived, expected, count);
    team_sync();
    return shared_.last;
  }

  /** The segments of a span that is shared with other runs: the last to come here merges them, to a result to count. */
  R1_DEVICE bool finish_span(const Segments& segments, int span) {
    const int begin = segments.span_begin(span), end = segments.span_begin(span + 1);
    if (!arrive(arrived_ + 1 + span, min(end, end_) - max(begin, first_), end - begin)) {
      return false;
    }
    const Result result = merge([&](int i) { return begin + i; }, end - begin, kSegment);
    if (segments.spans == 1) {
      store(result);
      return false;
    }
    save(result, begin, kSpan);
    return true;
  }

  /** `count` results in order; kAtOnce of them are loaded at a time. */
  template <class Place>
  R1_DEVICE Result merge(const Place& place, int count, int sums) const {
    static_assert(cuda::kMaxSegments / kSpanSegments == kSpanSegments && kSpanSegments % kAtOnce == 0);
    Result total;
    total.clear();
    if (head() >= heads_) return total;
#pragma unroll 1
    for (int first = 0; first < count; first += kAtOnce) {
      Result parts[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (first + i < count) parts[i] = load(place(first + i), sums);
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (first + i < count) total.append(parts[i]);
      }
    }
    return total;
  }
  R1_DEVICE Result load(int segment, int sums) const {
    const float* from = partial(segment);
    const float2 ml = __ldcg(reinterpret_cast<const float2*>(from + sums));
    Result result;
    result.m = ml.x, result.l = ml.y;
#pragma unroll
    for (int j = 0; j < Result::kPieces; ++j) {
      result.v[j] = __ldcg(reinterpret_cast<const float4*>(from + dimension(j)));
    }
    return result;
  }

  RunShared<kDim>& shared_;
  const int heads_;
  T* const out_;
  int first_ = 0, end_ = 0;
  float* partials_ = nullptr;
  int32_t* arrived_ = nullptr;
  Result span_;  // of its segments so far
};

/**
 * One head of a row: what its runs have left in memory, from `results` on, becomes `out`. By decode_merge_threads(kDim)
 * threads, of which kDim / 4 take a span each; bits are those of Run::finish(). A rehearsal writes nothing.
 */
template <class T, int kDim>
R1_DEVICE void merge_row(const Segments& segments, int runs, const float* results, T* out, bool rehearsal) {
  using Layout = PartialResults<kDim>;
  using Result = HeadResult<64>;  // of four dimensions of this thread
  constexpr int kLanes = kDim / 4, kSpans = cuda::kMaxSegments / cuda::kSpanSegments;
  __shared__ float4 sums[kSpans][kLanes];
  __shared__ float2 weights[kSpans];
  const int span = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  if (span < segments.spans) {
    const int begin = segments.span_begin(span), end = segments.span_begin(span + 1);
    const bool whole = segments.part_of(begin, runs) == segments.part_of(end - 1, runs);  // a run has all of it
    const int count = whole ? 1 : end - begin, terms = whole ? Layout::kSpan : Layout::kSegment;
    Result parts[cuda::kSpanSegments], result;
#pragma unroll
    for (int i = 0; i < cuda::kSpanSegments; ++i) {
      if (i >= count) continue;
      const float* from = results + (begin + i) * Layout::kStride;
      const float2 ml = __ldcg(reinterpret_cast<const float2*>(from + terms));
      parts[i].m = ml.x, parts[i].l = ml.y;
      parts[i].v[0] = __ldcg(reinterpret_cast<const float4*>(from) + lane);
    }
    result.clear();
#pragma unroll
    for (int i = 0; i < cuda::kSpanSegments; ++i) {
      if (i < count) result.append(parts[i]);
    }
    sums[span][lane] = result.v[0];
    if (lane == 0) weights[span] = make_float2(result.m, result.l);
  }
  __syncthreads();
  if (span == 0) {
    Result total;
    total.clear();
#pragma unroll
    for (int i = 0; i < kSpans; ++i) {
      if (i >= segments.spans) continue;
      Result part;
      part.m = weights[i].x, part.l = weights[i].y, part.v[0] = sums[i][lane];
      total.append(part);
    }
    const float inverse = 1.0f / total.l;
    const float4 v = total.v[0];
    const uint2 packed = make_uint2(pack2<T>(v.x * inverse, v.y * inverse), pack2<T>(v.z * inverse, v.w * inverse));
    if (!rehearsal) *reinterpret_cast<uint2*>(out + lane * 4) = packed;
  }
  __syncthreads();  // shared memory is written again
}

}  // namespace r1
