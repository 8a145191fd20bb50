// A step's arrays on their way to the device and its results on their way back, through host memory that both see.
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

/**
 * Between two decode steps the stream holds no copy: a step's first kernel fetches the arrays, its last ones write the
 * results where the host reads them. Prefill steps, and decode steps with many LogitEdits, have their arrays copied.
 */
class StepBuffer {
 public:
  StepBuffer(LaunchContext& context, const BackendOptions& options);
  /** Packs the step; the view stays valid until the next call. */
  const StepView& begin(const Step& step);
  /** Before each run of the step's kernels. */
  void run();
  /** Launches what brings the arrays of a decode step, and of any other that the same graph is replayed for. */
  void fetch();
  /** The step's kernels have been launched. */
  void end();
  /** Waits for the results of the oldest step that has ended; ends the current one if there is none. */
  void read_results(SampleResult* out);

  const StepArrays& arrays() const;
  const PrefillTile* tiles() const { return tiles_; }
  int32_t tile_count() const { return tile_count_; }
  /** Key tiles of all tiles, as attention_deal.h counts them. */
  int32_t deal_total() const { return deal_total_; }
  /** The largest slot of the step. */
  int32_t last_slot() const { return last_slot_; }
  SampleResult* results() const { return results_.as<SampleResult>(); }

 private:
  /** Byte offsets of the arrays in the block, behind its head; the tail, of variable length, is last. */
  struct Layout {
    int64_t tokens, positions, slots, row_sequence, sequence_begin, logit_rows, samples, tiles, tail;
  };
  static Layout lay_out(int64_t rows, int64_t sequences, int64_t logits, int64_t tiles);
  void check(const Step& step) const;
  void take_place();
  void reserve(int64_t bytes);
  void pack_rows(const Step& step, const Layout& at);
  int64_t pack_tail(const Step& step, const Layout& at);
  void pack_tiles(const Step& step, const Layout& at);
  void send(const Layout& at, int64_t bytes);
  void point_at(const Layout& at);

  /** A step in host memory. */
  struct Place {
    explicit Place(int64_t result_bytes) : results(result_bytes) {}
    PinnedMemory arrays, results;
    Event done;  // the step is over
    int32_t logit_count = 0;
    bool ended = false;  // all of its kernels have been launched
  };
  static_assert(kStepsInFlight == 2);
  Place& place() { return places_[current_]; }
  template <class T>
  T* host(int64_t offset) {
    return reinterpret_cast<T*>(place().arrays.as<char>() + offset);
  }
  StepHead& head() { return *host<StepHead>(0); }

  LaunchContext& context_;
  const BackendOptions options_;
  const int32_t tile_rows_;
  DeviceMemory device_, results_, taken_;
  std::array<Place, kStepsInFlight> places_;
  size_t current_ = 0;                           // the last step's place
  std::array<size_t, kStepsInFlight> unread_{};  // places of the steps that have ended, by their number
  int64_t numbers_ = 0, ended_ = 0, read_ = 0;   // steps
  int32_t runs_ = 0;                             // of the current step
  bool on_device_ = false;                       // its arrays are, or will be before its kernels
  int32_t ahead_ = 0;                            // StepFetchArgs
  StepArrays arrays_{};
  const PrefillTile* tiles_ = nullptr;
  int32_t tile_count_ = 0, deal_total_ = 0, last_slot_ = 0;
  StepView view_{};
};

}  // namespace r1::cuda
