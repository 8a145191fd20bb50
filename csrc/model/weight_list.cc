#include "model/weight_list.h"

#include <set>

#include "base/error.h"

namespace r1 {
namespace {

std::string shape(int64_t rows, int64_t cols) {
  return "[" + std::to_string(rows) + (cols == 1 ? "" : ", " + std::to_string(cols)) + "]";
}

/** The checkpoint's names of a weight's parts, for messages. */
std::string part_names(const WeightParts& weight) {
  std::string names;
  for (const auto& part : weight.parts) names += (names.empty() ? "" : ", ") + part->name;
  return names;
}

void check_weight(const WeightSpec& spec, const WeightParts& weight) {
  R1_CHECK(!weight.parts.empty(), ErrorCode::kBadCheckpoint, "The weight '" + spec.name + "' has no parts.");
  for (const auto& part : weight.parts) {
    R1_CHECK(part->cols == spec.cols, ErrorCode::kBadCheckpoint,
             "Tensor '" + part->name + "' has the shape " + shape(part->rows, part->cols) + ", but '" + spec.name +
                 "' needs " + std::to_string(spec.cols) + " columns. The config does not belong to these weights.");
    R1_CHECK(part->dtype == weight.parts.front()->dtype, ErrorCode::kUnsupported,
             "Tensors '" + part_names(weight) +
                 "' are stored in different types, and they must share one: convert the " +
                 "checkpoint to a single type.");
  }
  R1_CHECK(weight.rows() == spec.rows, ErrorCode::kBadCheckpoint,
           "'" + part_names(weight) + "' has the shape " + shape(weight.rows(), spec.cols) + ", but '" + spec.name +
               "' needs " + shape(spec.rows, spec.cols) + ". The config does not belong to these weights.");
}

/** Keeps weights from being freed while they are written. */
class Loading {
 public:
  explicit Loading(Backend& backend) : backend_(backend) {}
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;
  ~Loading() { backend_.abandon_loading(); }

 private:
  Backend& backend_;
};

}  // namespace

const Matrix* Weights::matrix(const std::string& name) const {
  const auto found = matrices_.find(name);
  return found == matrices_.end() ? nullptr : found->second.get();
}

const float* Weights::vector(const std::string& name) const {
  const auto found = vectors_.find(name);
  return found == vectors_.end() ? nullptr : found->second->as<const float>();
}

void check_weights(const std::vector<WeightSpec>& specs, const WeightTable& table) {
  std::set<std::string> known;
  for (const WeightSpec& spec : specs) {
    known.insert(spec.name);
    const auto found = table.find(spec.name);
    if (found != table.end()) {
      check_weight(spec, found->second);
    } else if (!spec.optional) {
      R1_THROW(ErrorCode::kBadCheckpoint,
               "The weight '" + spec.name + "' " + shape(spec.rows, spec.cols) + " is missing from the checkpoint.");
    }
  }
  for (const auto& [name, weight] : table) {
    R1_CHECK(known.contains(name), ErrorCode::kBadCheckpoint,
             "The checkpoint brings '" + name + "' (" + part_names(weight) + "), which this config has no use for.");
  }
}

WeightCount count_weights(const Backend& backend, const std::vector<WeightSpec>& specs, const WeightTable& table) {
  WeightCount count;
  for (const WeightSpec& spec : specs) {
    const auto found = table.find(spec.name);
    if (found == table.end()) continue;
    const DType stored = found->second.parts.front()->dtype;
    count.bytes += spec.kind == WeightKind::kVector ? spec.rows * dtype_size(DType::kF32)
                                                    : backend.matrix_bytes(spec.rows, spec.cols, stored);
    count.tensors += 1;
  }
  return count;
}

Weights load_weights(Backend& backend, const std::vector<WeightSpec>& specs, const WeightTable& table,
                     const LoadProgress& progress) {
  Weights weights;
  const Loading loading(backend);  // ends before `weights` does
  WeightCount done;
  if (progress) progress(done);
  for (const WeightSpec& spec : specs) {
    const auto found = table.find(spec.name);
    if (found == table.end()) continue;
    if (spec.kind == WeightKind::kVector) {
      auto vector = backend.load_vector(found->second);
      done.bytes += vector->bytes;
      weights.vectors_[spec.name] = std::move(vector);
    } else {
      const MatrixRole role = spec.kind == WeightKind::kGateUp ? MatrixRole::kGateUp : MatrixRole::kLinear;
      auto matrix = backend.load_matrix(found->second, role);
      done.bytes += matrix->bytes;
      weights.matrices_[spec.name] = std::move(matrix);
    }
    done.tensors += 1;
    if (progress) progress(done);
  }
  backend.finish_loading();
  return weights;
}

}  // namespace r1
