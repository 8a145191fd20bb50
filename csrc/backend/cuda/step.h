// A step's arrays on their way to the device: packed in pinned memory, one copy, fixed addresses for decode steps.
#pragma once
#include <array>

#include "backend/cuda/kernel_params.h"
#include "backend/cuda/launch.h"

namespace r1::cuda {

/** Decode steps are padded to one of few sizes, each with a graph of its own: the power of two that is not less. */
constexpr int32_t decode_bucket(int32_t n) {
  int32_t bucket = 1;
  while (bucket < n) bucket *= 2;
  return n == 0 ? 0 : bucket;
}

class StepBuffer {
 public:
  StepBuffer(LaunchContext& context, const BackendOptions& options);
  /** Packs and copies the step; the view stays valid until the next call. */
  const StepView& begin(const Step& step);
  /** Has the results copied to the host once the step is done. */
  void end();
  /** Waits for the results of the oldest step that has ended; ends the current one if there is none. */
  void read_results(SampleResult* out);

  const StepArrays& arrays() const { return arrays_; }
  const PrefillTile* tiles() const { return tiles_; }
  int32_t tile_count() const { return tile_count_; }
  /** Key tiles of all tiles, as attention_deal.h counts them. */
  int32_t deal_total() const { return deal_total_; }
  /** The largest slot of a prefill step. */
  int32_t last_slot() const { return last_slot_; }
  SampleResult* results() const { return results_.as<SampleResult>(); }

 private:
  /** Byte offsets of the arrays in the block; the tail, of variable length, is last. */
  struct Layout {
    int64_t scalars, tokens, positions, slots, row_sequence, sequence_begin, logit_rows, samples, tiles, tail;
  };
  static Layout lay_out(int64_t rows, int64_t sequences, int64_t logits, int64_t tiles);
  void check(const Step& step) const;
  void reserve(int64_t bytes);
  void pack_rows(const Step& step, const Layout& at);
  int64_t pack_tail(const Step& step, const Layout& at);
  void pack_tiles(const Step& step, const Layout& at);
  void point_at(const Layout& at);
  template <class T>
  T* host(int64_t offset) {
    return reinterpret_cast<T*>(host_.as<char>() + offset);
  }

  LaunchContext& context_;
  const BackendOptions options_;
  const int32_t tile_rows_;
  DeviceMemory device_;
  PinnedMemory host_;
  /** Where the results of an ended step wait to be read. */
  struct Results {
    explicit Results(int64_t bytes) : host(bytes) {}
    PinnedMemory host;
    Event there;
    int32_t count = 0;
  };
  DeviceMemory results_;
  std::array<Results, kStepsInFlight> read_back_;
  int64_t ended_ = 0, read_ = 0;  // steps
  Event copied_;                  // the last copy out of host_
  StepArrays arrays_{};
  const PrefillTile* tiles_ = nullptr;
  int32_t tile_count_ = 0, deal_total_ = 0, last_slot_ = 0;
  int32_t logit_count_ = 0;  // not padded
  StepView view_{};
};

}  // namespace r1::cuda
