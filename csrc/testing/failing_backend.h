// A Backend whose nth allocation fails, and which counts what was not given back.
#pragma once
#include <memory>

#include "backend/backend.h"

namespace r1::testing {

struct AllocationCount {
  int fail_at = 0;      // which one fails, counted from 1; 0: none
  int allocations = 0;  // so far
  int alive = 0;
};

/**
 * Forwards to `inner` what loading needs; buffers, matrices and pools are counted while they live. The ops throw: their
 * arguments are wrappers that `inner` does not know.
 */
std::unique_ptr<Backend> create_failing_backend(std::unique_ptr<Backend> inner, AllocationCount& count);

}  // namespace r1::testing
