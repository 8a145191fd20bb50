// The operations a forward pass is made of, and the memory they work on. cpu/ and cuda/ implement this and nothing
// above knows which one it has. One Backend belongs to one engine and is used from that engine's thread alone.
//
// Shapes are row-major. T = rows of the step, H = hidden size, "act" = the precision's activation type (Precision).
// The residual stream, norms, biases, softmax and logits are float32 everywhere.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/kv_cache.h"
#include "backend/linear_choices.h"
#include "backend/sampling.h"
#include "backend/weights.h"
#include "base/dtype.h"

namespace r1 {

/**
 * The two families of kernels (DESIGN.md 6). Inside a class, what a row computes is bit-equal whatever rows accompany
 * it. Prompt positions are computed by the prefill class, generated ones by the decode class.
 */
enum class NumericClass : uint8_t { kPrefill, kDecode };

constexpr int kMaxDecodeRows = 64;  // rows of a decode-class step
constexpr int kMaxLogitRows = 64;   // rows that can have logits at one time
constexpr int kStepsInFlight = 2;   // steps begun whose results have not been read, at most

struct DeviceInfo {
  std::string kind;     // "cpu" or "cuda"
  std::string name;     // "NVIDIA H200", "AVX-512 BF16, 2 threads"
  std::string detail;   // driver version, compute capability, kernel family; instruction sets on a CPU
  int64_t total_bytes;  // of the device's memory
  int64_t free_bytes;   // that an engine may still take
};

/** What the machine reaches on simple loops, measured when asked for: the yardstick of every bench. */
struct Ceilings {
  double read_bytes_per_s;  // streaming reads of a buffer far larger than the caches
  double copy_bytes_per_s;
  double f32_macs_per_s;   // multiply-adds, all cores
  double bf16_macs_per_s;  // dot products (CPU) or tensor cores; 0 where the device has none
};

/** Memory of a backend. On a GPU `data` is a device address. */
class Buffer {
 public:
  virtual ~Buffer() = default;
  void* data = nullptr;
  int64_t bytes = 0;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// ---- a step --------------------------------------------------------------------------------------------------------

/** A sequence's part of a step. Its rows are neighbours, in order of their slots. */
struct StepSequence {
  const int32_t* blocks;  // block ids of tokens 0..63, 64..127, …, enough for `length` tokens
  int32_t block_count;
  int32_t length;  // tokens in the cache once this step has appended its own
  int32_t first_row, rows;
};

/** A step as the scheduler makes it: a flat list of rows of one numeric class. Host memory, read during begin_step
 * only. */
struct Step {
  NumericClass numeric_class;
  int32_t rows;
  const int32_t* tokens;     // [rows]; a negative one, −1 − i, is what the step before has drawn for its result i
  const int32_t* positions;  // [rows] RoPE positions, independent of the slot
  const int32_t* slots;  // [rows] index of the row's token in its sequence: where its K and V go, and its q in masks
  const StepSequence* sequences;
  int32_t sequence_count;
  const int32_t* logit_rows;  // [logit_count] rows whose logits are wanted, ascending
  int32_t logit_count;
  const SampleRow* samples;  // [logit_count]
  const LogitEdit* edits;
  int32_t edit_count;
};

/**
 * The current step in the backend's memory. `rows` and `logit_count` may be larger than the step's (a graph's bucket):
 * the rows added have sequence -1, append nothing and attend to nothing.
 */
struct StepView {
  NumericClass numeric_class;
  int32_t rows, logit_count;    // padded
  const int32_t* tokens;        // [rows]
  const int32_t* positions;     // [rows]
  const int32_t* slots;         // [rows]
  const int32_t* row_sequence;  // [rows], -1 for padding
  const int32_t* block_table;   // [sequences][block_table_stride]
  int32_t block_table_stride;
  const int32_t* logit_rows;  // [logit_count]
};

// ---- operations ----------------------------------------------------------------------------------------------------

constexpr int32_t kSquaresColumns = 64;
/** From one row of NormInput's squares to the next in a step of `rows` rows: a whole number of 16 bytes. */
constexpr int64_t squares_stride(int64_t hidden, int32_t rows) {
  return (hidden + 4 * kSquaresColumns - 1) / (4 * kSquaresColumns) * (rows > kMaxDecodeRows ? 8 : 4);
}

/**
 * What the next RMSNorm needs of the residual stream, left by the op that writes the stream for the op that norms it: a
 * pass of the norm's own costs a decode step as much as a small product. All null: not wanted. A backend may leave it
 * alone (Backend::takes_norm_input), but then does so in both ops of a step.
 */
struct NormInput {
  const float* gain;  // [H] of the norm
  void* scaled;       // [T][H] act: residual · gain
  float* squares;     // [T][squares_stride(H, T)] sums of the squares of kSquaresColumns columns of the residual each;
                      // of more than kMaxDecodeRows rows as two parts, one behind the other
};

/** residual[t] = table[tokens[t]] */
struct EmbedParams {
  const StepView* step;
  const Matrix* table;  // [vocab][H]
  float* residual;      // [T][H] out
  NormInput next;       // out
};

/** out = rmsnorm(residual) · W^T + bias, where rmsnorm(x) = x / sqrt(mean(x²) + eps) · gain, rounded to act before the
 * product; of a NormInput, residual · gain is what is rounded, and the product what is divided. */
struct NormLinearParams {
  const StepView* step;
  const float* residual;  // [T][H]
  const float* gain;      // [H]
  float eps;
  NormInput prepared;    // of this residual and gain, or null
  const Matrix* weight;  // [N][H]
  const float* bias;     // [N] or null
  void* out;             // [T][N] act
};

/**
 * Rotates Q and K in place (after an optional per-head RMSNorm of each) and appends K and V to the cache.
 * Pairs are (i, i + head_dim/2): x' = x·cos − y·sin, y' = y·cos + x·sin with angle = float(position) · inv_freq[i],
 * cos and sin multiplied by rope_scale.
 */
struct RopeAppendParams {
  const StepView* step;
  void* qkv;  // [T][(heads + 2·kv_heads)·head_dim] act: Q heads, K heads, V heads; Q is left rotated in place
  int heads, kv_heads, head_dim;
  const float* q_norm;  // [head_dim] gains or null
  const float* k_norm;  // [head_dim] gains or null
  float norm_eps;
  const float* inv_freq;  // [head_dim/2]
  float rope_scale;
  const KvPool* kv;
  int layer;
};

/** visible(q, k) = k <= q and (window == 0 or q − k < window), q and k counting tokens of the sequence (slots). */
struct AttentionMask {
  int32_t window = 0;
};

/** out = softmax(scale · Q K^T over the visible keys) V, grouped-query: query head h reads KV head h / (heads /
 * kv_heads) */
struct AttentionParams {
  const StepView* step;
  const void* qkv;  // as RopeAppend left it: the Q part is read
  void* out;        // [T][heads·head_dim] act
  int heads, kv_heads, head_dim;
  float scale;
  const KvPool* kv;
  int layer;
  AttentionMask mask;
};

/** residual += x · W^T + bias */
struct LinearResidualParams {
  const StepView* step;
  const void* x;         // [T][K] act
  const float* x_scale;  // [T] x is x · x_scale[t]; null for 1
  const Matrix* weight;  // [H][K]
  const float* bias;     // [H] or null
  float* residual;       // [T][H]
  NormInput next;        // out
};

/** out = silu(gate) · up with [gate, up] = rmsnorm(residual) · W^T + bias; silu(v) = v / (1 + exp(−v)) */
struct NormSwigluParams {
  const StepView* step;
  const float* residual;  // [T][H]
  const float* gain;      // [H]
  float eps;
  NormInput prepared;    // as NormLinear's
  const Matrix* weight;  // [2·I][H], role kGateUp
  const float* bias;     // [2·I] gate then up, or null
  void* out;             // [T][I] act
  float* out_scale;      // [T] out: fp16 only (null otherwise), the row is out · out_scale, a power of two that avoids
                         // overflow
};

/** logits[i] = rmsnorm(residual[logit_rows[first + i]]) · W^T for i in [0, count); always in the decode class */
struct HeadParams {
  const StepView* step;
  const float* residual;  // [T][H]
  const float* gain;      // [H]
  float eps;
  const Matrix* weight;  // [vocab][H]
  int32_t first, count;  // count <= kMaxLogitRows
  float* logits;         // [count][vocab] out
};

/** Runs the step's sampling plan on logit rows [first, first + count); results wait for read_results(). `logits` are
 * left unchanged. */
struct SampleParams {
  const StepView* step;
  float* logits;  // [count][vocab]
  int32_t vocab;
  int32_t first, count;
};

/** How weights reach a GPU; for measurements to vary. */
struct UploadOptions {
  int64_t stage_bytes = 2 << 20;  // of a copy: enough for PCIe's full rate, and a core's cache holds it
};

struct BackendOptions {
  DType precision;        // act: f32, bf16, fp16
  int32_t max_rows;       // rows of a step, at most
  int32_t max_sequences;  // of a step, at most
  int32_t max_blocks_per_sequence;
  int32_t max_logit_rows;  // of one step over all its chunks (scoring text wants logits of every row)
  int32_t threads;         // that compute (CPU), or that read weights (CUDA); 0 chooses
  std::string
      family;  // kernel family to force on CUDA: "", "sm75", "sm80", "sm90", "simt"; instruction set on the CPU:
               // "", "generic", "avx2", "avx512", "avx512bf16", "neon"
  LinearChoices linear_choices;  // CUDA; rows for other devices and shapes may be among them
  UploadOptions upload{};
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceInfo info() const = 0;
  virtual Ceilings measure_ceilings() = 0;

  // -- memory
  virtual std::unique_ptr<Buffer> allocate(int64_t bytes) = 0;  // throws kOutOfMemory with the figures
  virtual void upload(void* to, const void* from, int64_t bytes) = 0;
  virtual void download(void* to, const void* from, int64_t bytes) = 0;  // waits for all work before it
  /** Bytes that `load_matrix` will take on the device for a matrix of this shape and stored type. */
  virtual int64_t matrix_bytes(int64_t rows, int64_t cols, DType stored) const = 0;
  virtual std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) = 0;
  /** A vector (one column per element) as float32. */
  virtual std::unique_ptr<Buffer> load_vector(const WeightParts& parts) = 0;
  /** load_matrix and load_vector may return before the values are there, and throw for each other. This waits for all,
   * and throws what went wrong meanwhile; to be called before the weights are used. */
  virtual void finish_loading() {}
  /** Loading has failed: nothing is written any more when this returns, so that weights may be freed. */
  virtual void abandon_loading() noexcept {}
  virtual std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) = 0;

  /** Makes block `to` a copy of block `from`, in order with the steps. */
  virtual void copy_block(const KvPool& kv, int32_t from, int32_t to);

  // -- K and V as [token][K, V][kv_head][head_dim] in host memory, in order with the steps; both are done on return
  virtual void read_kv(const KvPool& kv, const KvTokens& tokens, void* to);
  virtual void write_kv(const KvPool& kv, const KvTokens& tokens, const void* from);

  // -- swapping KV blocks out and back, in order with the steps; where the KV cache lies in host memory anyway there is
  //    none: allocate_host gives null and the copies throw kUnsupported
  /** Page-locked host memory for copies that the device makes; throws kOutOfMemory. Null: blocks cannot be copied. */
  virtual std::unique_ptr<Buffer> allocate_host(int64_t bytes);
  /** Neither waits for the copies; host memory may be given to other copies at once, but not read. */
  virtual void copy_blocks_to_host(const KvPool& kv, const BlockCopy* copies, int32_t count);
  virtual void copy_blocks_from_host(const KvPool& kv, const BlockCopy* copies, int32_t count);

  // -- a step: begin_step, run(forward), read_results. With end_step after run, a second step may be begun before the
  //    results of the first are read; they are read in the order of the steps.
  /** Whether run() returns while the device still works. */
  virtual bool asynchronous() const { return false; }
  virtual const StepView& begin_step(const Step& step) = 0;
  /** Executes `forward`, which only calls the ops below; a GPU may replay a graph captured for the step's shape
   * instead. */
  virtual void run(const std::function<void()>& forward) = 0;
  /** What run() has recorded is recorded anew: for measurements whose `forward` is another one than before. */
  virtual void forget_graphs() {}
  /** Choices in the place of BackendOptions'; throws as creating a backend does, and then has the old ones. Graphs are
   * forgotten. */
  virtual void set_linear_choices(const LinearChoices&) {}
  /** What could be chosen for the linear layers that `forward`, which is called between begin_step and read_results,
   * computes. None: a backend without choices, which does not call it. */
  virtual std::vector<LinearOptions> linear_options(const std::function<void()>&) { return {}; }
  /** This backend with the blocks' linear layers by cuBLAS, for measurements: cuda/cublas_backend.h. */
  virtual std::unique_ptr<Backend> with_cublas(const std::string& library);
  /** Puts the step's results where the next step leaves them alone: of kStepsInFlight steps at most. */
  virtual void end_step() = 0;
  /** Waits for the oldest ended step, or else for the current one; out[logit_count]. */
  virtual void read_results(SampleResult* out) = 0;

  // -- ops
  /** Whether some step's ops leave and take a NormInput: else there need be no memory for one. */
  virtual bool takes_norm_input() const { return false; }
  virtual void embed(const EmbedParams&) = 0;
  virtual void norm_linear(const NormLinearParams&) = 0;
  virtual void rope_append(const RopeAppendParams&) = 0;
  /** Both: `rope`'s qkv is what `linear` puts out. A backend that does them at once leaves only the Q part in it. */
  virtual void norm_qkv(const NormLinearParams& linear, const RopeAppendParams& rope) {
    norm_linear(linear);
    rope_append(rope);
  }
  virtual void attention(const AttentionParams&) = 0;
  virtual void linear_residual(const LinearResidualParams&) = 0;
  virtual void norm_swiglu(const NormSwigluParams&) = 0;
  virtual void head(const HeadParams&) = 0;
  virtual void sample(const SampleParams&) = 0;
};

/** The CPU backend. Throws kUnsupported when `options.family` names an instruction set this machine lacks. */
std::unique_ptr<Backend> create_cpu_backend(const BackendOptions& options);
/** Throws kDeviceUnavailable saying what was found and what is needed. `kernel_file` is kernels.fatbin. */
std::unique_ptr<Backend> create_cuda_backend(const BackendOptions& options, int device, const std::string& kernel_file);
/** Bytes per second of copies from pinned host memory to a CUDA device. Throws as create_cuda_backend() does. */
double measure_cuda_upload(int device);
/** A line for each CUDA device, or the reason why there is none. Never throws. */
std::string describe_cuda();

}  // namespace r1
