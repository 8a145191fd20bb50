// y = x W^T and what is done with it: the launcher of all linear kernels.
#pragma once
#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/linear_candidates.h"
#include "backend/cuda/linear_params.h"
#include "backend/cuda/linear_plan.h"
#include "backend/cuda/matrix.h"
#include "backend/cuda/tensor_map.h"

namespace r1::cuda {

struct LinearCall {
  NumericClass numeric_class;
  int rows;       // T
  const void* x;  // [T][ldx] of x_type, 16-byte aligned rows
  DType x_type;
  int64_t ldx;                     // elements
  const float* x_scale = nullptr;  // [T] x is x · x_scale[t]; null for 1
  NormInput prepared = {};         // x is its `scaled`, yet to be divided by the root of the mean square; or null
  float norm_eps = 0;
  const CudaMatrix* w;          // [N][K]
  const float* bias = nullptr;  // [N] (kGateUp: gate, then up) or null
  void* y;      // [T][ldy]: see LinearEpilogue; kStore and kStoreF32 of a kGateUp matrix give its stored rows
  int64_t ldy;  // elements
  LinearEpilogue epilogue;
  DType act;             // of y where the epilogue stores act; the same as x_type
  NormInput next = {};   // kAddResidual: to be left for the next norm, or null
  RopeAppend rope = {};  // kRopeAppend
};

/** How the ops of a step leave and take NormInputs. */
enum class NormForm : uint8_t {
  kNone,    // not at all
  kGroups,  // squares of kSquaresColumns columns: linear_sm90_stream_*
  kHalves,  // squares in two parts: linear_sm90_prefill_*, whose tiles end in the middle of such columns
};

/** Where it is not kNone, RoPE and the append may be done with the product before. */
NormForm norm_form(KernelFamily family, DType act, NumericClass numeric_class, int32_t rows);

/** Chooses a kernel and a configuration for every call (linear_plan.h), and launches it. */
class LinearLauncher {
 public:
  LinearLauncher(LaunchContext& context, TensorMapCache& maps, const LinearChoices& choices)
      : context_(context), maps_(maps), choices_(choices) {}
  /** Throws kUnsupported, naming it, for a combination that no kernel computes. */
  void run(const LinearCall& call);

  /** In the place of those before. What was captured keeps to the old ones. */
  void set_choices(const LinearChoices& choices) { choices_ = ChoiceTable(choices); }
  /** What there is to choose for the shapes that `calls` runs, each once. */
  std::vector<LinearOptions> options(const std::function<void()>& calls);

 private:
  void run_once(const LinearCall& call);
  void launch_stream(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out);
  void launch_tile(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out);
  void launch_mma(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out);
  void launch_simt(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out);

  LaunchContext& context_;
  TensorMapCache& maps_;
  ChoiceTable choices_;
  std::vector<LinearShape>* shapes_ = nullptr;  // that run() meets; null: nobody asks
};

}  // namespace r1::cuda
