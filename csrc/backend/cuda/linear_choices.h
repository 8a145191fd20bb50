// The table of choices, looked up by shape and device: what plan_linear asks before its rules.
#pragma once
#include <map>
#include <string_view>
#include <tuple>

#include "backend/cuda/family.h"
#include "backend/linear_choices.h"

namespace r1::cuda {

class ChoiceTable {
 public:
  ChoiceTable() = default;
  /**
   * Throws kBadInput, naming the row, what is expected and what to do, when no kernel has its tile, when its
   * ring does not fit into shared memory with the splits of its shape, and for two rows of the same key. Rows for other
   * devices are checked as well, so that a table is either right or wrong wherever it is read.
   */
  explicit ChoiceTable(const LinearChoices& choices);

  /** Null: the rules choose. `rows` of a step. */
  const StreamChoice* stream(NumericClass numeric_class, int sms, int64_t stored_rows, int64_t k, int tokens,
                             bool paired) const;
  const TileChoice* tile(int sms, int64_t stored_rows, int64_t k, int rows, bool paired) const;
  /** 0: the rules choose. `family` of the kernels, not of the device. */
  int splits(KernelFamily family, int64_t stored_rows, int64_t k) const;

 private:
  using StreamKey = std::tuple<NumericClass, int, int64_t, int64_t, int, bool>;
  using TileKey = std::tuple<int, int64_t, int64_t, int64_t, bool>;  // with token tiles in the place of rows
  using SplitsKey = std::tuple<std::string_view, int64_t, int64_t>;  // views of family_name()

  void add(const SplitsChoice& choice);
  void add(const StreamChoice& choice);
  void add(const TileChoice& choice);

  std::map<StreamKey, StreamChoice> stream_;
  std::map<TileKey, TileChoice> tile_;
  std::map<SplitsKey, int> splits_;
};

}  // namespace r1::cuda
