// The sampling plan as it reaches a backend: plain numbers per row, already rounded as DESIGN.md's normative arithmetic
// asks. lib/sampling/reference.ts is the oracle; csrc/backend/sample_math.h holds the arithmetic both backends share.
#pragma once
#include <cstdint>

namespace r1 {

constexpr int kMaxTopLogprobs = 20;

/**
 * One row of logits to turn into a token. Order: penalties and bias (edits) → mask → temperature → top-k → top-p →
 * min-p → draw. Temperature 0 is greedy: the lowest id among the largest adjusted logits.
 */
struct SampleRow {
  float temperature;             // 0 or >= 0.001
  float repetition;              // z > 0 ? z / r : z * r for tokens whose edit says "seen"; 1 is off
  float presence;                // subtracted once for tokens with count > 0
  float frequency;               // fround(frequency * count) is subtracted
  int32_t top_k;                 // 0 is off
  int32_t top_logprobs;          // -1: no logprobs; 0: of the token alone; n <= kMaxTopLogprobs: and the n best
  uint64_t top_p;                // floor(2^32 * topP); 2^32 is off
  uint64_t min_p;                // floor(2^32 * minP); 0 is off
  uint64_t seed;                 // Philox4x32-10 key: low word, high word
  uint32_t position;             // Philox counter word 0: index of the token in its sequence (prompt included)
  uint32_t choice;               // Philox counter word 1
  int32_t edit_begin, edit_end;  // this row's LogitEdits
  const uint32_t* mask;          // in backend memory: ceil(vocab / 32) words, bit set = allowed; null allows everything
  int32_t target;  // >= 0: nothing is drawn, `token` is this id and its logprob is reported (scoring given text)
  int32_t reserved = 0;
};

/** One token whose logit is adjusted. Tokens within a row are distinct; any order. */
struct LogitEdit {
  int32_t token;
  uint32_t count;  // bit 31: seen in prompt or output (repetition); bits 0..30: occurrences in the output
  float bias;      // added after the penalties; -inf bans
};
constexpr uint32_t kEditSeen = 1u << 31;

enum class SampleStatus : int32_t { kOk = 0, kEmptySet = 1, kNotFinite = 2 };  // NaN or +inf among the logits

struct SampleResult {
  int32_t token;
  SampleStatus status;
  float logprob;  // of `token` under softmax of the unmodified logits; NaN when not asked for
  int32_t top_count;
  int32_t top_tokens[kMaxTopLogprobs];  // best first; ties by lowest id
  float top_logprobs[kMaxTopLogprobs];
};

}  // namespace r1
