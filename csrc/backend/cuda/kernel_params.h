// Plain structs that launchers hand to kernels, read by g++ and nvcc alike (C++17). Pointers are device addresses.
#pragma once
#include <cstdint>

#include "backend/sampling.h"
#include "base/host_device.h"

namespace r1::cuda {

/** What a step's arrays begin with, in host memory and on the device. */
struct StepHead {
  int64_t number;              // of a decode step, larger than of those before; 0: of the prefill class
  int32_t pieces;              // of 16 bytes that step_fetch brings: all arrays, this head included; 0: they are copied
  int32_t logit_limit;         // logit rows that are not padding
  SampleResult* host_results;  // [logit_limit] where the host reads what was drawn
  int32_t edit_begin;          // where the LogitEdits begin in the tail
  int32_t reserved;
};
static_assert(sizeof(StepHead) == 32 && sizeof(SampleResult) % 16 == 0);

/**
 * Where a step's arrays lie in device memory; for decode steps of as many (padded) rows and logit rows always the same,
 * so that graphs stay valid.
 */
struct StepArrays {
  const StepHead* head;
  const int32_t* tokens;          // [rows]; a negative one, -1 - i, is the token of results[i]
  const int32_t* positions;       // [rows]
  const int32_t* slots;           // [rows]
  const int32_t* row_sequence;    // [rows], -1 for padding
  const int32_t* sequence_begin;  // [sequences] where a sequence's block ids begin in `tail`
  const int32_t* tail;            // block ids of all sequences, then the LogitEdits
  const int32_t* logit_rows;      // [logit_count]
  const SampleRow* samples;       // [logit_count]
  const SampleResult* results;    // of the step before, until this one samples
};

constexpr int kFetchThreads = 1024;

struct StepFetchArgs {
  const StepHead* places[2];  // in host memory: the steps in flight; of each the arrays follow
  StepHead* to;               // on the device
  int64_t* taken;             // number of the last step that was fetched
  int32_t ahead;              // pieces that each place has at least, of which most steps have no more
};

/** Query rows [first_row, first_row + rows) of one sequence: the work of one prefill attention block. */
struct PrefillTile {
  int32_t first_row, rows, sequence;
  int32_t before;  // sum of key_tiles() (attention_deal.h) of the tiles before this one
};
constexpr int kPrefillTileRows = 64, kWidePrefillTileRows = 128;  // of mma.sync and of wgmma kernels

/** The KV cache of one layer. */
struct KvPlanes {
  char* base;                  // of the pool
  int64_t block_bytes;         // from block to block
  int64_t k_offset, v_offset;  // of the layer's K and V in a block, each [kv_head][64][head_dim]
};

/** Of a row of NormInput's squares (backend.h): columns that one is of, how many, and from one row to the next; where
 * they come in halves, from one row to the next it is twice as far. */
constexpr int kSquaresOf = 64, kSquaresHalf = 32;
R1_HOST_DEVICE constexpr int squares_count(int hidden) { return (hidden + kSquaresOf - 1) / kSquaresOf; }
R1_HOST_DEVICE constexpr int squares_pitch(int count) { return (count + 3) & ~3; }

struct EmbedArgs {
  StepArrays step;
  const void* table;  // [vocab][ld]
  int64_t ld;
  float* residual;  // [rows][hidden]
  int32_t hidden;
  // for the next norm (backend.h, NormInput), or null
  const float* gain;  // [hidden]
  void* scaled;       // [rows][hidden] act
  float* squares;     // [rows][squares_stride(hidden, rows)]
  int32_t halves;     // squares come in halves: a sum, and 0
};

struct RotationsArgs {
  const int32_t* positions;  // [rows]
  const float* inv_freq;     // [pairs]
  float* rotations;          // [rows][pairs] of cosine and sine, times the scale
  int32_t pairs;             // head_dim / 2
  float scale;
};

struct RmsNormArgs {
  const float* x;         // [rows][hidden]
  const int32_t* row_of;  // block b normalises row row_of[b] of x; null for b
  const float* gain;      // [hidden]
  void* out;              // [blocks][ld] act, columns from hidden to ld zero
  int64_t ld;
  int32_t hidden;
  float eps;
};

struct RopeAppendArgs {
  StepArrays step;
  void* qkv;  // [rows][(heads + 2 kv_heads) head_dim]
  KvPlanes kv;
  const float* q_norm;     // [head_dim] or null
  const float* k_norm;     // [head_dim] or null
  const float* rotations;  // [rows][head_dim / 2] of cosine and sine
  float norm_eps;
  int32_t heads, kv_heads, head_dim;
};

constexpr int kMaxDecodeStepRows = 64;            // kMaxDecodeRows, for kernels
constexpr int kMaxSegments = 64;                  // of a row's keys in decode attention
constexpr int kSpanSegments = 8;                  // of a span, and spans of a row: what is merged in one go
constexpr int kLongRow = 2 * 64 * kSpanSegments;  // keys; a longer row has several spans
constexpr int kRunsInts = 2 * kMaxDecodeStepRows + 2;
constexpr int kHeadsPerBlock = 8;  // query heads that share a pass over K and V
/** Dynamic shared memory of a block of decode attention by matrix instructions: so many KV blocks' K and V. */
R1_HOST_DEVICE constexpr unsigned decode_ring_bytes(int head_dim, int stages) {
  return static_cast<unsigned>(2 * stages * 64 * head_dim * 2);
}
/** Counters of a row and group of heads: spans done, then of each span its segments done. */
constexpr int kDecodeCounters = 1 + kMaxSegments / kSpanSegments;
/** decode: rows times groups of heads times kDecodeCounters; prefill: tiles times heads, two of a block that stays. */
constexpr int kAttentionCounters = 64 * 256 * kDecodeCounters;
/** Of attention_decode_merge: for each span one for four dimensions. */
R1_HOST_DEVICE constexpr int decode_merge_threads(int head_dim) { return kMaxSegments / kSpanSegments * head_dim / 4; }
/** Floats of a head's result of a decode segment: the sums, maximum and sum of weights of it and of its span. */
R1_HOST_DEVICE constexpr int decode_partial(int head_dim) { return head_dim + 4; }

// Prefill attention adds up tiles of 64 keys in segments, whose results are merged in their order: one block may take
// all of a row's segments, or each a block of its own. Where a segment begins depends on the place of its keys alone.
// They grow with it, so that a long prompt has no more than some 60.
constexpr int kSegmentTiles = 8;  // of the shortest
/** Rows whose state 128 threads hold, and the float4s of it: accumulators, then maxima and sums. */
constexpr int kStateRows = 64;
R1_HOST_DEVICE constexpr int prefill_partial(int head_dim) { return (head_dim / 8 + 1) * 128; }

/** Shared memory of a block that merges so many segments. */
R1_HOST_DEVICE constexpr unsigned merge_bytes(int segments) { return static_cast<unsigned>(segments * kStateRows * 8); }

R1_HOST_DEVICE constexpr int segment_of_tile(int tile) {
  if (tile < 128) return tile / kSegmentTiles;
  return tile < 512 ? 8 + tile / 16 : 32 + tile / 64;
}
R1_HOST_DEVICE constexpr int first_tile_of(int segment) {
  if (segment < 16) return segment * kSegmentTiles;
  return segment < 40 ? (segment - 8) * 16 : (segment - 32) * 64;
}

struct AttentionArgs {
  StepArrays step;
  const void* qkv;  // [rows][(heads + 2 kv_heads) head_dim], the Q part is read
  void* out;        // [rows][heads head_dim]
  KvPlanes kv;
  // decode: [rows][kv_heads][head_chunks][kMaxSegments][kHeadsPerBlock][decode_partial]
  // prefill: [gridDim.y][heads][gridDim.z][prefill_partial(head_dim)] float4; null where nobody sees a second segment
  float* partials;
  // zero between launches; decode: [rows][kv_heads][head_chunks][kDecodeCounters]; prefill, segments done: as partials
  int32_t* arrived;
  const PrefillTile* tiles;  // prefill: [gridDim.y], where blocks stay: [deal_count]
  // Where blocks stay: how many tiles, and columns; 0 else. Where items are dealt (attention_deal.h): the tiles' key
  // tiles. The blocks' results of items that others finish are then at partials
  // [gridDim.x][2][prefill_partial(head_dim)] float4, flags of them at arrived. Where they are not it is 0, and arrived
  // counts items that were taken beyond each block's first, and blocks that are done.
  int32_t deal_count, deal_total, deal_columns;
  int32_t rows, heads, kv_heads, window;
  float scale;
  // decode: where each row's runs begin, of each row the first slot that may be new, and whether runs come in pairs
  // (attention_decode_plan); for so many blocks of 128 run_teams threads
  int32_t* runs;  // [kRunsInts]
  int32_t run_blocks, run_teams;
  int32_t runs_are_new;  // decode: by the kernel directly before
  int32_t merge_apart;   // decode: runs that are not a row's only one leave their results to attention_decode_merge
};

struct SwigluScaleArgs {
  const float* x;     // [rows][ld_x] sums of the stored rows of a kGateUp matrix: 8 gate, 8 up, 8 gate, and so on
  const float* bias;  // [2 columns] gate, then up, or null
  void* out;          // [rows][columns] fp16
  float* scale;       // [rows]
  int64_t ld_x;
  int32_t columns;
};

struct FillRandomArgs {
  void* out;  // the whole matrix, [stored_rows][ld]
  int64_t ld;
  int64_t first_row;   // of the part in the matrix
  int64_t rows, cols;  // of the part
  int64_t gate_rows;   // kGateUp: rows / 2 of the matrix, else 0
  uint64_t seed;
  float scale;
  int32_t stored;  // DType that the value is rounded to before it becomes the matrix's
};

// ---- sampling
constexpr int kSampleChunks = 32;  // blocks that share a row
constexpr int kSampleBins = 2049;  // of weights 1 to 2^32: 64 to an octave, the largest first

struct SampleArgs {
  StepArrays step;
  const float* logits;    // [count][vocab]
  SampleResult* results;  // [all logit rows]
  char* fixed;            // [kMaxLogitRows] SampleFixed, zero between launches
  char* scratch;          // [count] of sample_scratch(vocab).bytes
  int32_t vocab, first, count;
};

/** What the blocks of a row tell each other. */
struct SampleRowState {
  uint32_t arrived[3];  // blocks done, by kernel; zero between launches
  int32_t done;         // the result is written
  float z_max;          // of the adjusted logits over the temperature
  int32_t best;         // lowest id that has it
  double log_sum;       // of the unmodified logits: log softmax(v) = v - raw_max - log_sum
  float raw_max, reserved;
  uint64_t min_p_sum;  // of weights >= min_p; zero between launches
};

/** The part of a row's scratch that is zero before the first kernel. Its place does not depend on the vocabulary. */
struct SampleFixed {
  SampleRowState state;
  uint64_t sums[kSampleBins];    // weight of the bin's tokens
  uint32_t counts[kSampleBins];  // tokens of the bin
  uint32_t reserved;
};

/** A block's share of the first kernel's work. */
struct SampleChunk {
  float best_value, raw_max, raw_sum;  // raw_sum: of exp(v - raw_max)
  int32_t best;                        // -1: nothing allowed in the chunk
  int32_t bad, reserved[3];
  float top_values[kMaxTopLogprobs];    // best first
  int32_t top_tokens[kMaxTopLogprobs];  // -1 past the end
};

/** Offsets in bytes of the rest of a row's scratch. */
struct SampleScratch {
  int64_t chunks;  // SampleChunk[kSampleChunks]
  int64_t starts;  // u32[bins] where a bin's tokens begin in `order`
  int64_t places;  // u32[bins] places in `order` given away so far
  int64_t before;  // u64[bins] weight of all bins before
  int64_t scaled;  // f32[vocab] adjusted logits over the temperature
  int64_t order;   // i32[vocab] tokens by bin, in no order inside a bin
  int64_t bytes;
};

R1_HOST_DEVICE constexpr SampleScratch sample_scratch(int64_t vocab) {
  SampleScratch s{};
  constexpr int64_t kChunkBytes = (kSampleChunks * static_cast<int64_t>(sizeof(SampleChunk)) + 15) / 16 * 16;
  constexpr int64_t kBins4 = (kSampleBins * 4 + 15) / 16 * 16, kBins8 = (kSampleBins * 8 + 15) / 16 * 16;
  const int64_t vocab_bytes = (vocab * 4 + 15) / 16 * 16;
  s.starts = kChunkBytes;
  s.places = s.starts + kBins4;
  s.before = s.places + kBins4;
  s.scaled = s.before + kBins8;
  s.order = s.scaled + vocab_bytes;
  s.bytes = s.order + vocab_bytes;
  return s;
}

/** Tokens of a chunk: a multiple of 32, so that chunks do not share mask words. */
R1_HOST_DEVICE constexpr int64_t sample_chunk_tokens(int64_t vocab) {
  return ((vocab + kSampleChunks - 1) / kSampleChunks + 31) / 32 * 32;
}

}  // namespace r1::cuda
