#include "backend/cpu/sample_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/sample_math.h"

namespace r1::cpu {
namespace {

using sampling::comes_before;

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

bool before(const Candidate& a, const Candidate& b) { return comes_before(a.weight, a.id, b.weight, b.id); }

uint64_t total_weight(const Candidate* begin, const Candidate* end) {
  uint64_t total = 0;
  for (; begin != end; ++begin) total += begin->weight;
  return total;
}

/**
 * Length of the shortest prefix, in the order of candidates, whose cumulative weight satisfies `enough` (monotone, true
 * for the whole). Afterwards that prefix is in front and its last candidate in its place. Halves the range instead of
 * sorting.
 */
template <class Enough>
size_t shortest_prefix(std::vector<Candidate>* candidates, Enough enough) {
  Candidate* const base = candidates->data();
  size_t low = 0, high = candidates->size();
  uint64_t sum = 0;  // of the first `low`
  while (high - low > 32) {
    const size_t middle = low + (high - low) / 2;
    std::nth_element(base + low, base + middle, base + high, before);
    const uint64_t through = sum + total_weight(base + low, base + middle);
    if (enough(through)) {
      high = middle;
    } else {
      sum = through;
      low = middle;
    }
  }
  std::sort(base + low, base + high, before);
  for (; low < high; ++low) {
    sum += base[low].weight;
    if (enough(sum)) return low + 1;
  }
  return high;
}

/** The logits after penalties, bias and mask; `logits` itself where the plan changes nothing. */
const float* adjust(const SampleRow& row, const LogitEdit* edits, const float* logits, int32_t vocab,
                    SampleScratch* scratch) {
  if (row.edit_begin >= row.edit_end && !row.mask) return logits;
  std::vector<float>& z = scratch->adjusted;
  z.assign(logits, logits + vocab);
  for (int32_t i = row.edit_begin; i < row.edit_end; ++i) {
    const LogitEdit& edit = edits[i];
    if (edit.token < 0 || edit.token >= vocab) continue;
    float& value = z[static_cast<size_t>(edit.token)];
    value = sampling::adjust_logit(value, edit, row.repetition, row.presence, row.frequency);
  }
  if (row.mask) {
    for (int32_t i = 0; i < vocab; ++i) {
      if (!((row.mask[i / 32] >> (i % 32)) & 1u)) z[static_cast<size_t>(i)] = kNegativeInfinity;
    }
  }
  return z.data();
}

int32_t lowest_of_largest(const float* z, float largest, int32_t vocab) {
  for (int32_t i = 0; i < vocab; ++i) {
    if (z[i] == largest) return i;
  }
  return 0;
}

/** Everything with a weight above zero. */
void collect(const float* z, float largest, float temperature, int32_t vocab, std::vector<Candidate>* out) {
  out->clear();
  const float z_max = sampling::f_div(largest, temperature);
  // A logit below this certainly has weight zero (e^-23 < 2^-33); the slack covers the roundings of the division.
  const double slack = 1e-6 * std::abs(static_cast<double>(largest));
  const float cut = static_cast<float>(static_cast<double>(largest) - 23.0 * static_cast<double>(temperature) - slack);
  for (int32_t i = 0; i < vocab; ++i) {
    if (z[i] < cut) continue;
    const uint64_t weight = sampling::weight_of(sampling::f_div(z[i], temperature), z_max);
    if (weight != 0) out->push_back({weight, i});
  }
}

void keep_top_k(int32_t k, std::vector<Candidate>* candidates) {
  const size_t count = static_cast<size_t>(k);
  if (k <= 0 || count >= candidates->size()) return;
  std::nth_element(candidates->begin(), candidates->begin() + k, candidates->end(), before);
  candidates->resize(count);
}

void keep_top_p(uint64_t p, std::vector<Candidate>* candidates) {
  if (p >= sampling::kFullWeight) return;
  const uint64_t total = total_weight(candidates->data(), candidates->data() + candidates->size());
  candidates->resize(shortest_prefix(candidates, [&](uint64_t sum) { return sampling::top_p_reached(sum, p, total); }));
}

void keep_min_p(uint64_t min_p, std::vector<Candidate>* candidates) {
  if (min_p == 0) return;
  std::erase_if(*candidates, [&](const Candidate& c) { return c.weight < min_p; });
}

int32_t draw(const SampleRow& row, std::vector<Candidate>* candidates) {
  const uint64_t total = total_weight(candidates->data(), candidates->data() + candidates->size());
  const uint32_t r = sampling::philox_word0(row.seed, row.position, row.choice, 0);
  const uint64_t threshold = sampling::draw_threshold(r, total);
  const size_t count = shortest_prefix(candidates, [&](uint64_t sum) { return sum > threshold; });
  return (*candidates)[count - 1].id;
}

/** Logprobs of `token` and of the best few under softmax of the unmodified logits. */
void add_logprobs(const Kernels& kernels, const SampleRow& row, const float* logits, float largest, int32_t vocab,
                  SampleResult* result) {
  const double log_sum = std::log(kernels.sum_exp(logits, largest, vocab));
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(static_cast<double>(logits[id]) - static_cast<double>(largest) - log_sum);
  };
  result->logprob = logprob(result->token);
  const int wanted = std::min({row.top_logprobs, kMaxTopLogprobs, vocab});
  if (wanted <= 0) return;
  // Insertion into a short sorted list; ids come in ascending order, so an equal logit goes behind.
  int count = 0;
  int32_t* best = result->top_tokens;
  for (int32_t i = 0; i < vocab; ++i) {
    if (count == wanted && !(logits[i] > logits[best[count - 1]])) continue;
    int at = count < wanted ? count++ : wanted - 1;
    for (; at > 0 && logits[i] > logits[best[at - 1]]; --at) best[at] = best[at - 1];
    best[at] = i;
  }
  result->top_count = count;
  for (int i = 0; i < count; ++i) result->top_logprobs[i] = logprob(best[i]);
}

/** The token the plan chooses, or -1 when nothing is left to choose from. */
int32_t choose(const Kernels& kernels, const SampleRow& row, const LogitEdit* edits, const float* logits,
               float largest_logit, int32_t vocab, SampleScratch* scratch) {
  const float* z = adjust(row, edits, logits, vocab, scratch);
  float largest = largest_logit;
  bool bad = false;
  if (z != logits) largest = kernels.row_max(z, vocab, &bad);
  if (largest == kNegativeInfinity) return -1;
  if (row.temperature == 0) return lowest_of_largest(z, largest, vocab);
  collect(z, largest, row.temperature, vocab, &scratch->candidates);
  keep_top_k(row.top_k, &scratch->candidates);
  keep_top_p(row.top_p, &scratch->candidates);
  keep_min_p(row.min_p, &scratch->candidates);
  if (scratch->candidates.empty()) return -1;
  return draw(row, &scratch->candidates);
}

}  // namespace

SampleResult sample_row(const Kernels& kernels, const SampleRow& row, const LogitEdit* edits, const float* logits,
                        int32_t vocab, SampleScratch* scratch) {
  SampleResult result{};
  result.token = -1;
  result.logprob = std::numeric_limits<float>::quiet_NaN();
  bool bad = false;
  const float largest = kernels.row_max(logits, vocab, &bad);
  if (bad) {
    result.status = SampleStatus::kNotFinite;
    return result;
  }
  result.token = row.target >= 0 ? row.target : choose(kernels, row, edits, logits, largest, vocab, scratch);
  if (result.token < 0 || result.token >= vocab || largest == kNegativeInfinity) {
    result.token = -1;
    result.status = SampleStatus::kEmptySet;
    return result;
  }
  if (row.target >= 0 || row.top_logprobs >= 0) add_logprobs(kernels, row, logits, largest, vocab, &result);
  return result;
}

}  // namespace r1::cpu
