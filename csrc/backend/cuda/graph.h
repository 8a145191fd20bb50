// Steps recorded once as CUDA graphs and replayed.
#pragma once
#include <compare>
#include <functional>
#include <map>

#include "backend/cuda/launch.h"

namespace r1::cuda {

class GraphCache {
 public:
  explicit GraphCache(LaunchContext& context) : context_(context) {}
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;
  ~GraphCache();

  /** What a decode step's kernels depend on; all else is read from buffers at fixed addresses. */
  struct Key {
    int32_t rows, logit_count;  // padded
    bool long_rows;             // some row has more than kLongRow keys
    auto operator<=>(const Key&) const = default;
  };

  /**
   * Runs `work`, which launches on the context's stream. The first time for a key it runs directly, which loads kernels
   * and sizes scratch memory; the second time it is captured; from then on the graph is replayed.
   */
  void run(const Key& key, const std::function<void()>& work);

 private:
  struct Entry {
    CUgraphExec graph = nullptr;
    int64_t generation = -1;  // of the scratch memory whose addresses the graph holds, or at its first direct run
  };
  CUgraphExec capture(const std::function<void()>& work);

  LaunchContext& context_;
  std::map<Key, Entry> entries_;
};

}  // namespace r1::cuda
