#include "model/model.h"

#include <string>

#include "base/error.h"
#include "model/dense.h"

namespace r1 {
namespace {

constexpr ModelFamily kFamilies[] = {
    {"dense", plan_dense, load_dense},
};

}  // namespace

const ModelFamily& model_family(std::string_view architecture) {
  std::string names;
  for (const ModelFamily& family : kFamilies) {
    if (family.name == architecture) return family;
    names += (names.empty() ? "" : ", ") + std::string(family.name);
  }
  R1_THROW(ErrorCode::kUnsupported,
           "There is no architecture '" + std::string(architecture) + "'; this version has: " + names + ".");
}

}  // namespace r1
