// The sampling plan of one row of logits, exactly as DESIGN.md decision 7 has it.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/sampling.h"

namespace r1::cpu {

struct Candidate {
  uint64_t weight;
  int32_t id;
};

/** Memory that is kept from token to token. */
struct SampleScratch {
  std::vector<float> adjusted;
  std::vector<uint64_t> weights;
  std::vector<Candidate> candidates;
};

SampleResult sample_row(const Kernels& kernels, const SampleRow& row, const LogitEdit* edits, const float* logits,
                        int32_t vocab, SampleScratch* scratch);

}  // namespace r1::cpu
