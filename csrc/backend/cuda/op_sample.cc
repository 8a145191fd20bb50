// Sampling: three kernels over all logit rows at once, each row shared by kSampleChunks blocks.
#include "backend/cuda/ops.h"

namespace r1::cuda {

void sample(OpContext& op, const SampleParams& p) {
  if (p.count == 0) return;
  R1_CHECK(p.vocab > 0 && p.count > 0 && p.count <= kMaxLogitRows, ErrorCode::kInvalidArgument,
           "sampling expects 1 to " + std::to_string(kMaxLogitRows) + " rows of logits, found " +
               std::to_string(p.count) + ".");
  const int64_t fixed_bytes = kMaxLogitRows * static_cast<int64_t>(sizeof(SampleFixed));
  char* scratch =
      op.launch.workspace_as<char>(Workspace::kSample, fixed_bytes + p.count * sample_scratch(p.vocab).bytes);
  const SampleArgs args{.step = op.step.arrays(),
                        .logits = p.logits,
                        .results = op.step.results(),
                        .fixed = scratch,
                        .scratch = scratch + fixed_bytes,
                        .vocab = p.vocab,
                        .first = p.first,
                        .count = p.count};
  LaunchShape shape{.grid_x = kSampleChunks, .grid_y = static_cast<unsigned>(p.count), .block = 256};
  shape.shared_bytes = static_cast<unsigned>(sample_chunk_tokens(p.vocab) * 4);
  op.launch.launch(op.launch.kernel("sample_adjust"), shape, args);
  shape.shared_bytes = 0;
  op.launch.launch(op.launch.kernel("sample_weigh"), shape, args);
  op.launch.launch(op.launch.kernel("sample_draw"), shape, args);
}

}  // namespace r1::cuda
