// A step described by a test, held in host memory in the form that Backend::begin_step reads.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"

namespace r1::testing {

/**
 * From { numericClass: "prefill" | "decode", rows, tokens?, positions?, slots?, sequences: [{ blocks, length, firstRow,
 * rows }], logitRows?, samples?, edits?: { tokens, counts, biases }, masks? }. Absent tokens are zeros; absent slots
 * are the last `rows` tokens of each sequence; absent positions are the slots.
 */
class StepData {
 public:
  /** `masks` of the samples are uploaded to `backend`. */
  StepData(Backend& backend, const Napi::Object& from);
  const Step& step() const { return step_; }

 private:
  void read_sequences(const Napi::Object& from);
  void read_samples(Backend& backend, const Napi::Object& from);

  std::vector<int32_t> tokens_, positions_, slots_, logit_rows_;
  std::vector<std::vector<int32_t>> blocks_;
  std::vector<StepSequence> sequences_;
  std::vector<SampleRow> samples_;
  std::vector<LogitEdit> edits_;
  std::vector<std::unique_ptr<Buffer>> masks_;
  Step step_{};
};

/** The step's ops, which are not to be those of an earlier step of its shape. */
inline void run_ops(Backend& backend, const std::function<void()>& ops) {
  backend.forget_graphs();
  backend.run(ops);
}

}  // namespace r1::testing
