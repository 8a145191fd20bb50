#include "testing/step_data.h"

#include <cmath>

#include "testing/values.h"

namespace r1::testing {
namespace {

SampleRow sample_row(const Napi::Object& from) {
  SampleRow row{};
  row.temperature = static_cast<float>(number(from, "temperature"));
  row.repetition = static_cast<float>(number_or(from, "repetition", 1));
  row.presence = static_cast<float>(number_or(from, "presence", 0));
  row.frequency = static_cast<float>(number_or(from, "frequency", 0));
  row.top_k = static_cast<int32_t>(number_or(from, "topK", 0));
  row.top_logprobs = static_cast<int32_t>(number_or(from, "topLogprobs", -1));
  row.top_p = static_cast<uint64_t>(std::floor(4294967296.0 * number_or(from, "topP", 1)));
  row.min_p = static_cast<uint64_t>(std::floor(4294967296.0 * number_or(from, "minP", 0)));
  row.seed = static_cast<uint64_t>(number_or(from, "seed", 0));
  row.position = static_cast<uint32_t>(number_or(from, "position", 0));
  row.choice = static_cast<uint32_t>(number_or(from, "choice", 0));
  row.target = static_cast<int32_t>(number_or(from, "target", -1));
  return row;
}

}  // namespace

StepData::StepData(Backend& backend, const Napi::Object& from) {
  const std::string numeric_class = text_or(from, "numericClass", "");
  R1_CHECK(numeric_class == "prefill" || numeric_class == "decode", ErrorCode::kInvalidArgument,
           "numericClass must be prefill or decode, found '" + numeric_class + "'");
  step_.numeric_class = numeric_class == "prefill" ? NumericClass::kPrefill : NumericClass::kDecode;
  step_.rows = static_cast<int32_t>(number(from, "rows"));
  tokens_ = ints(from, "tokens");
  if (tokens_.empty()) tokens_.assign(static_cast<size_t>(step_.rows), 0);
  read_sequences(from);
  positions_ = ints(from, "positions");
  if (positions_.empty()) positions_ = slots_;
  logit_rows_ = ints(from, "logitRows");
  read_samples(backend, from);
  const auto rows = static_cast<size_t>(step_.rows);
  R1_CHECK(tokens_.size() == rows && positions_.size() == rows && slots_.size() == rows &&
               samples_.size() == logit_rows_.size(),
           ErrorCode::kInvalidArgument, "the arrays of a step differ in length");
  step_.tokens = tokens_.data();
  step_.positions = positions_.data();
  step_.slots = slots_.data();
  step_.sequences = sequences_.data();
  step_.sequence_count = static_cast<int32_t>(sequences_.size());
  step_.logit_rows = logit_rows_.data();
  step_.logit_count = static_cast<int32_t>(logit_rows_.size());
  step_.samples = samples_.data();
  step_.edits = edits_.data();
  step_.edit_count = static_cast<int32_t>(edits_.size());
}

void StepData::read_sequences(const Napi::Object& from) {
  const Napi::Array list = object(from, "sequences").As<Napi::Array>();
  blocks_.reserve(list.Length());
  slots_ = ints(from, "slots");
  const bool derive_slots = slots_.empty();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object entry = list.Get(i).ToObject();
    const auto& blocks = blocks_.emplace_back(ints(entry, "blocks"));
    StepSequence sequence{};
    sequence.blocks = blocks.data();
    sequence.block_count = static_cast<int32_t>(blocks.size());
    sequence.length = static_cast<int32_t>(number(entry, "length"));
    sequence.first_row = static_cast<int32_t>(number(entry, "firstRow"));
    sequence.rows = static_cast<int32_t>(number(entry, "rows"));
    if (derive_slots) {
      for (int32_t r = 0; r < sequence.rows; ++r) slots_.push_back(sequence.length - sequence.rows + r);
    }
    sequences_.push_back(sequence);
  }
}

void StepData::read_samples(Backend& backend, const Napi::Object& from) {
  if (!present(from, "samples")) {
    // Logit rows without a plan: greedy, which reads the logits and changes nothing.
    SampleRow greedy{};
    greedy.repetition = 1;
    greedy.top_logprobs = -1;
    greedy.top_p = uint64_t{1} << 32;
    greedy.target = -1;
    samples_.assign(logit_rows_.size(), greedy);
    return;
  }
  const Napi::Array list = object(from, "samples").As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object entry = list.Get(i).ToObject();
    SampleRow row = sample_row(entry);
    row.edit_begin = static_cast<int32_t>(edits_.size());
    if (present(entry, "edits")) {
      const Napi::Array edits = object(entry, "edits").As<Napi::Array>();
      for (uint32_t e = 0; e < edits.Length(); ++e) {
        const Napi::Object edit = edits.Get(e).ToObject();
        const uint32_t seen = edit.Get("seen").ToBoolean().Value() ? kEditSeen : 0;
        edits_.push_back({static_cast<int32_t>(number(edit, "token")),
                          static_cast<uint32_t>(number_or(edit, "count", 0)) | seen,
                          static_cast<float>(number_or(edit, "bias", 0))});
      }
    }
    row.edit_end = static_cast<int32_t>(edits_.size());
    if (present(entry, "mask")) {
      const Bytes words = bytes_of(entry.Get("mask"), "mask");
      auto mask = backend.allocate(words.size);
      backend.upload(mask->data, words.data, words.size);
      row.mask = mask->as<uint32_t>();
      masks_.push_back(std::move(mask));
    }
    samples_.push_back(row);
  }
}

}  // namespace r1::testing
