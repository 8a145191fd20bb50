// Attention of one query row over a range of keys in plain arithmetic: the query heads that share a KV head go
// together, so that K and V are read once. Four warps take tiles of 16 keys in turn, each with a softmax of its own
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). A tile: 8 lanes share a key, a lane has
// 4 keys and 1/8 of their elements, as 16-byte pieces.
#pragma once
#include "attention_run.cuh"
#include "block.cuh"
#include "kv_cache.cuh"

namespace r1 {

constexpr int kTileKeys = 16, kLaneKeys = 4, kKeyLanes = 8;

/** 16 bytes of T as floats. */
template <class T>
R1_DEVICE void unpack(uint4 v, float* to) {
  const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[2 * i] = to_float(T{static_cast<uint16_t>(words[i])});
    to[2 * i + 1] = to_float(T{static_cast<uint16_t>(words[i] >> 16)});
  }
}
template <>
R1_DEVICE void unpack<float>(uint4 v, float* to) {
  to[0] = __uint_as_float(v.x), to[1] = __uint_as_float(v.y);
  to[2] = __uint_as_float(v.z), to[3] = __uint_as_float(v.w);
}

/** Queries in shared memory: [head][element / 4 of a lane][lane of a key], so that lanes read neighbours. */
template <int kDim>
struct SimtQueries {
  float4 q[kHeads][kDim / 32][kKeyLanes];
};

template <class T, int kDim>
class SimtAttention {
  static constexpr int kPiece = 16 / static_cast<int>(sizeof(T));  // elements of 16 bytes
  static constexpr int kElements = kDim / kKeyLanes;               // of a key, that a lane has
  static constexpr int kPieces = kElements / kPiece;
  static constexpr int kOwn = kElements / 4;  // elements of the output that a lane has in the end
  // Whether a tile of V is asked for with the one of K: four pieces of each (f32, heads of 128) take 128 registers.
  static constexpr bool kValuesAhead = kPieces <= 2;

 public:
  static constexpr int kMergedAtOnce = 1;  // results of segments: registers are taken

  R1_DEVICE SimtAttention(const cuda::AttentionArgs& a, SimtQueries<kDim>& queries, WarpResults<kDim>& results)
      : a_(a), queries_(queries), results_(results) {}

  /** A run of keys [first, end) of a row's sequence. */
  R1_DEVICE void begin(int row, int kv_head, int first, int, int) {
    blocks_ = sequence_blocks(a_.step, a_.step.row_sequence[row]);
    kv_head_ = kv_head, first_ = first;
    next_ = first / kBlockTokens * kBlockTokens;
  }

  /** The heads [head, head + heads), which share the KV head. */
  R1_DEVICE void set_heads(int row, int head, int heads) { row_ = row, head_ = head, heads_ = heads; }
  R1_DEVICE void load_heads() {
    load_queries(row_, head_);
    __syncthreads();
  }

  /** The keys of the run that are left before `end`: what each warp finds in its share is left in shared memory. */
  R1_DEVICE void attend(int end) {
    end_ = end;
    reset();
    int key = next_ + kTileKeys * warp();
    if (key < end_) {
      load_tile(key);
      for (;;) {
        add_tile(key);
        key += kTileKeys * kRunWarps;
        if (key >= end_) break;  // and not a condition for the load alone, which would keep a tile in registers
        load_tile(key);
      }
    }
    next_ = end;
    publish();
  }

 private:
  R1_DEVICE static int warp() { return threadIdx.x / 32; }
  R1_DEVICE static int lane() { return threadIdx.x % 32; }
  R1_DEVICE static int sub() { return threadIdx.x % kKeyLanes; }         // which eighth of a key
  R1_DEVICE static int group() { return threadIdx.x % 32 / kKeyLanes; }  // keys group, group + 4, …
  R1_DEVICE static int dimension(int e) { return (sub() + kKeyLanes * (e / kPiece)) * kPiece + e % kPiece; }

  R1_DEVICE void reset() {
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      m_[h] = kNone, l_[h] = 0.0f;
#pragma unroll
      for (int i = 0; i < kOwn; ++i) acc_[h][i] = 0.0f;
    }
  }

  R1_DEVICE void load_queries(int row, int head) {
    const float factor = a_.scale * 1.44269504f;  // exponentials are powers of 2
    const T* q = static_cast<const T*>(a_.qkv) + (int64_t{row} * (a_.heads + 2 * a_.kv_heads) + head) * kDim;
    float* to = reinterpret_cast<float*>(queries_.q);
    for (int i = threadIdx.x; i < heads_ * kDim; i += kRunThreads) {
      const int h = i / kDim, d = i % kDim;
      const int piece = d / kPiece, s = piece % kKeyLanes, e = piece / kKeyLanes * kPiece + d % kPiece;
      to[((h * (kDim / 32) + e / 4) * kKeyLanes + s) * 4 + e % 4] = to_float(q[i]) * factor;
    }
  }

  /** This lane's pieces of a tile of K or V. Keys past the range are not read: their memory may hold anything. */
  R1_DEVICE void load(int key, int64_t plane, uint4 (&to)[kLaneKeys][kPieces]) const {
    const T* from = cache_row<T>(a_.kv, plane, blocks_, key, kv_head_, kDim);
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) {
      const int n = group() + 4 * i;
      const bool valid = key + n < end_;
#pragma unroll
      for (int j = 0; j < kPieces; ++j) {
        const T* at = from + n * kDim + (sub() + kKeyLanes * j) * kPiece;
        to[i][j] = valid ? __ldcg(reinterpret_cast<const uint4*>(at)) : make_uint4(0, 0, 0, 0);
      }
    }
  }
  R1_DEVICE void load_keys(int key) { load(key, a_.kv.k_offset, k_); }
  R1_DEVICE void load_values(int key) { load(key, a_.kv.v_offset, v_); }
  R1_DEVICE void load_tile(int key) {
    load_keys(key);
    if (kValuesAhead) load_values(key);
  }

  R1_DEVICE void add_tile(int key) {
    float p[kHeads][kLaneKeys];
    {
      float k[kLaneKeys][kElements];
#pragma unroll
      for (int i = 0; i < kLaneKeys; ++i) {
#pragma unroll
        for (int j = 0; j < kPieces; ++j) unpack<T>(k_[i][j], k[i] + j * kPiece);
      }
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        if (h < heads_) score(h, k, p[h]);
      }
    }
    if (!kValuesAhead) load_values(key);
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h < heads_) soften(h, key, p[h]);
    }
    float v[kLaneKeys][kElements];
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) {
#pragma unroll
      for (int j = 0; j < kPieces; ++j) unpack<T>(v_[i][j], v[i] + j * kPiece);
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h < heads_) accumulate(h, p[h], v);
    }
  }

  /** p = q · k of this lane's four keys, summed over the 8 lanes that share them. */
  R1_DEVICE void score(int h, const float (&k)[kLaneKeys][kElements], float (&p)[kLaneKeys]) const {
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) p[i] = 0.0f;
#pragma unroll
    for (int e = 0; e < kElements; e += 4) {
      const float4 q = queries_.q[h][e / 4][sub()];
#pragma unroll
      for (int i = 0; i < kLaneKeys; ++i) {
        p[i] = fmaf(q.x, k[i][e], p[i]);
        p[i] = fmaf(q.y, k[i][e + 1], p[i]);
        p[i] = fmaf(q.z, k[i][e + 2], p[i]);
        p[i] = fmaf(q.w, k[i][e + 3], p[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) {
      p[i] += __shfl_xor_sync(~0u, p[i], 1);
      p[i] += __shfl_xor_sync(~0u, p[i], 2);
      p[i] += __shfl_xor_sync(~0u, p[i], 4);
    }
  }

  /** Scores to weights 2^(score - m); the running sums are brought to the new maximum. */
  R1_DEVICE void soften(int h, int key, float (&p)[kLaneKeys]) {
    float most = m_[h];
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) {
      const int n = key + group() + 4 * i;
      if (n < first_ || n >= end_) p[i] = kNone;
      most = fmaxf(most, p[i]);
    }
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 8));
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 16));
    const float base = most == kNone ? 0.0f : most;
    const float factor = exp2_fast(m_[h] - base);
    m_[h] = most;
    l_[h] *= factor;
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i) {
      p[i] = exp2_fast(p[i] - base);
      l_[h] += p[i];
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) acc_[h][i] *= factor;
  }

  /** acc += sum of p · v. Partners exchange halves, so that each lane ends with a quarter of its elements. */
  R1_DEVICE void accumulate(int h, const float (&p)[kLaneKeys], const float (&v)[kLaneKeys][kElements]) {
    float o[kElements];
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      o[e] = p[0] * v[0][e];
#pragma unroll
      for (int i = 1; i < kLaneKeys; ++i) o[e] = fmaf(p[i], v[i][e], o[e]);
    }
    const bool upper = lane() & 16, odd = lane() & 8;
#pragma unroll
    for (int e = 0; e < kElements / 2; ++e) {
      const float give = upper ? o[e] : o[e + kElements / 2];
      const float keep = upper ? o[e + kElements / 2] : o[e];
      o[e] = keep + __shfl_xor_sync(~0u, give, 16);
    }
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
      const float give = odd ? o[e] : o[e + kOwn];
      const float keep = odd ? o[e + kOwn] : o[e];
      acc_[h][e] += keep + __shfl_xor_sync(~0u, give, 8);
    }
  }

  R1_DEVICE void publish() {
    __syncthreads();  // what was published before has been taken
    const int first = (lane() & 16 ? kElements / 2 : 0) + (lane() & 8 ? kOwn : 0);
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= heads_) break;
      float l = l_[h];
      l += __shfl_xor_sync(~0u, l, 8);
      l += __shfl_xor_sync(~0u, l, 16);
      if (lane() == 0) results_.m[warp()][h] = m_[h], results_.l[warp()][h] = l;
#pragma unroll
      for (int i = 0; i < kOwn; ++i) *results_.sums(warp(), h, dimension(first + i)) = acc_[h][i];
    }
  }

  const cuda::AttentionArgs& a_;
  SimtQueries<kDim>& queries_;
  WarpResults<kDim>& results_;
  const int32_t* blocks_ = nullptr;
  int row_ = 0, head_ = 0, kv_head_ = 0, heads_ = 0, first_ = 0, end_ = 0, next_ = 0;
  uint4 k_[kLaneKeys][kPieces], v_[kLaneKeys][kPieces];
  float m_[kHeads], l_[kHeads];  // l of this lane's keys alone
  float acc_[kHeads][kOwn];
};

/** The heads of group `g` = kv_head · chunks + chunk. */
struct HeadGroup {
  int kv_head, head, heads;
  R1_DEVICE HeadGroup(const cuda::AttentionArgs& a, int g) {
    const int per_kv = a.heads / a.kv_heads, chunks = (per_kv + kHeads - 1) / kHeads;
    kv_head = g / chunks;
    const int chunk = g % chunks;
    head = kv_head * per_kv + chunk * kHeads;
    heads = min(kHeads, per_kv - chunk * kHeads);
  }
  R1_DEVICE static int count(const cuda::AttentionArgs& a) {
    return a.kv_heads * ((a.heads / a.kv_heads + kHeads - 1) / kHeads);
  }
};

}  // namespace r1
