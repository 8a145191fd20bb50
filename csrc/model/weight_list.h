// The weights a model family asks for, checked against what the checkpoint brings, and loaded.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace r1 {

/** What the checkpoint brings, by the engine's name for it. */
using WeightTable = std::map<std::string, WeightParts>;

enum class WeightKind : uint8_t { kMatrix, kGateUp, kVector };

/** A weight that a family asks for. */
struct WeightSpec {
  std::string name;
  WeightKind kind;
  int64_t rows, cols;  // a vector has one column
  bool optional = false;
};

struct WeightCount {
  int64_t bytes = 0, tensors = 0;  // on the device; engine weights
};
/** Called before the first weight and after each one. May throw to give the load up. */
using LoadProgress = std::function<void(const WeightCount& done)>;

/** Loaded weights; an optional one that is absent is null. */
class Weights {
 public:
  const Matrix* matrix(const std::string& name) const;
  const float* vector(const std::string& name) const;

 private:
  friend Weights load_weights(Backend& backend, const std::vector<WeightSpec>& specs, const WeightTable& table,
                              const LoadProgress& progress);
  std::map<std::string, std::unique_ptr<Matrix>> matrices_;
  std::map<std::string, std::unique_ptr<Buffer>> vectors_;
};

/** Throws kBadCheckpoint naming the first weight that is missing, not asked for or of another shape. */
void check_weights(const std::vector<WeightSpec>& specs, const WeightTable& table);

/** Bytes on the device of the weights in `table` that `specs` ask for. */
WeightCount count_weights(const Backend& backend, const std::vector<WeightSpec>& specs, const WeightTable& table);

Weights load_weights(Backend& backend, const std::vector<WeightSpec>& specs, const WeightTable& table,
                     const LoadProgress& progress);

}  // namespace r1
