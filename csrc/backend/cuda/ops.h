// The launchers: each validates its Params, chooses a kernel from one flat table, launches it and checks.
// `act` is the activation type; kernels are named by op and type ("embed_bf16").
#pragma once
#include "backend/cuda/kernel_params.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/matrix.h"
#include "backend/cuda/step.h"
#include "backend/cuda/tensor_map.h"

namespace r1::cuda {

/** What the launchers of one engine share. */
struct OpContext {
  LaunchContext& launch;
  const StepBuffer& step;
  TensorMapCache& maps;
  DType act;
  // What the forward pass has made so far:
  const float* rotations_of = nullptr;  // inv_freq of the table of rotations()
  /** Of the runs of decode attention; 0 blocks: there are none. */
  struct RunsKey {
    int64_t blocks = 0, groups = 0;
    int32_t window = 0, teams = 1;
    bool operator==(const RunsKey&) const = default;
  } runs_of;
  /** A new step, or another pass. */
  void forget() { rotations_of = nullptr, runs_of = {}; }
};

/** Output of rmsnorm: act [rows][ld], ld the hidden size rounded up to kRowAlign, padding zero. */
struct Normed {
  void* data;
  int64_t ld;
};

void embed(OpContext& op, const EmbedParams& p);
/** Row i of the output is the norm of row `row_of[i]` of x (device memory), or of row i where row_of is null. */
Normed rmsnorm(OpContext& op, const float* x, const int32_t* row_of, int32_t rows, int64_t hidden, const float* gain,
               float eps);
/** Cosines and sines of the step's positions, made by the first call of a forward pass. Steps have at most max_rows. */
const float* rotations(OpContext& op, const RopeAppendParams& p, int32_t max_rows);
void rope_append(OpContext& op, const RopeAppendParams& p, const float* rotations);
void attention(OpContext& op, const AttentionParams& p);
/** fp16: SwiGLU of the stored rows' sums x [rows][ld_x] f32, then out · scale with a power of two per row. */
void swiglu_scale(OpContext& op, const float* x, int64_t ld_x, const float* bias, int32_t rows, int64_t columns,
                  void* out, float* scale);
void sample(OpContext& op, const SampleParams& p);

Ceilings measure_ceilings(LaunchContext& context);

/** A CudaMatrix of ours, checked. */
const CudaMatrix& as_cuda(const Matrix* matrix);
KvPlanes planes_of(const KvPool& pool, int layer);

}  // namespace r1::cuda
