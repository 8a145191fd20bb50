#include "backend/cpu/sample_row.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "backend/sample_math.h"

namespace r1::cpu {
namespace {

using sampling::comes_before;

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

// In a token's place when none can be chosen.
constexpr int32_t kNothingLeft = -1, kOutOfRange = -2;

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

/** Weights by their bit length: how many and how much, so that most of the vocabulary need not be looked at again. */
struct Histogram {
  int32_t counts[34] = {};
  uint64_t sums[34] = {};
  uint64_t total = 0;

  explicit Histogram(const std::vector<uint64_t>& weights) {
    for (const uint64_t w : weights) {
      const int length = std::bit_width(w);
      ++counts[length];
      sums[length] += w;
    }
    for (int i = 1; i < 34; ++i) total += sums[i];
  }

  /** The smallest weight of the longest buckets that together satisfy `enough(count, sum)`; 1 when none do. */
  template <class Enough>
  uint64_t cut(Enough enough) const {
    int64_t count = 0;
    uint64_t sum = 0;
    for (int length = 33; length > 0; --length) {
      count += counts[length];
      sum += sums[length];
      if (enough(count, sum)) return uint64_t{1} << (length - 1);
    }
    return 1;
  }
};

uint64_t draw_threshold(const SampleRow& row, uint64_t total) {
  return sampling::draw_threshold(sampling::philox_word0(row.seed, row.position, row.choice, 0), total);
}

/** The smallest weight that the first filter in force, or the draw if there is none, can let through. */
uint64_t first_cut(const SampleRow& row, const Histogram& histogram) {
  if (row.top_k > 0) return histogram.cut([&](int64_t count, uint64_t) { return count >= row.top_k; });
  if (row.top_p < sampling::kFullWeight) {
    return histogram.cut(
        [&](int64_t, uint64_t sum) { return sampling::top_p_reached(sum, row.top_p, histogram.total); });
  }
  if (row.min_p > 0) return row.min_p;
  const uint64_t threshold = draw_threshold(row, histogram.total);
  return histogram.cut([&](int64_t, uint64_t sum) { return sum > threshold; });
}

/** top-k → top-p → min-p → draw over weights in the order of comes_before. */
int32_t draw(const SampleRow& row, SampleScratch* scratch) {
  const std::vector<uint64_t>& weights = scratch->weights;
  std::vector<Candidate>& candidates = scratch->candidates;
  const Histogram histogram(weights);
  const uint64_t cut = first_cut(row, histogram);
  candidates.clear();
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= cut) candidates.push_back({weights[i], static_cast<int32_t>(i)});
  }
  uint64_t total = histogram.total;  // of what is kept so far, candidates or not
  const auto recount = [&] { total = total_weight(candidates.data(), candidates.data() + candidates.size()); };
  if (row.top_k > 0) {
    if (static_cast<size_t>(row.top_k) < candidates.size()) {
      std::nth_element(candidates.begin(), candidates.begin() + row.top_k, candidates.end(), before);
      candidates.resize(static_cast<size_t>(row.top_k));
    }
    recount();
  }
  if (row.top_p < sampling::kFullWeight) {
    const auto reached = [&](uint64_t sum) { return sampling::top_p_reached(sum, row.top_p, total); };
    candidates.resize(shortest_prefix(&candidates, reached));
    recount();
  }
  if (row.min_p > 0) {
    std::erase_if(candidates, [&](const Candidate& c) { return c.weight < row.min_p; });
    recount();
  }
  if (candidates.empty()) return kNothingLeft;
  const uint64_t threshold = draw_threshold(row, total);
  return candidates[shortest_prefix(&candidates, [&](uint64_t sum) { return sum > threshold; }) - 1].id;
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

/**
 * The token the plan chooses; kNothingLeft when no token is above −inf, kOutOfRange when finite logits become NaN or
 * +inf by the plan's own arithmetic.
 */
int32_t choose(const Kernels& kernels, const SampleRow& row, const LogitEdit* edits, const float* logits,
               float largest_logit, int32_t vocab, SampleScratch* scratch) {
  const float* z = adjust(row, edits, logits, vocab, scratch);
  float largest = largest_logit;
  bool bad = false;
  if (z != logits) largest = kernels.row_max(z, vocab, &bad);
  if (bad) return kOutOfRange;
  if (largest == kNegativeInfinity) return kNothingLeft;
  if (row.temperature != 0 && std::isinf(largest / row.temperature) && largest > 0) return kOutOfRange;
  if (row.temperature == 0) return lowest_of_largest(z, largest, vocab);
  scratch->weights.resize(static_cast<size_t>(vocab));
  kernels.weigh(z, largest, row.temperature, vocab, scratch->weights.data());
  return draw(row, scratch);
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
    result.status = result.token == kOutOfRange ? SampleStatus::kNotFinite : SampleStatus::kEmptySet;
    result.token = -1;
    return result;
  }
  if (row.target >= 0 || row.top_logprobs >= 0) add_logprobs(kernels, row, logits, largest, vocab, &result);
  return result;
}

}  // namespace r1::cpu
