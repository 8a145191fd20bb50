#include "backend/cuda/graph.h"

namespace r1::cuda {

GraphCache::~GraphCache() {
  for (auto& [key, entry] : entries_) {
    if (entry.graph) driver().graph_exec_destroy(entry.graph);
  }
}

void GraphCache::run(const Key& key, const std::function<void()>& work) {
  Entry& entry = entries_[key];
  if (entry.generation != context_.generation()) {
    if (entry.graph) {
      R1_CUDA(stream_synchronize(context_.stream()));  // the stale graph may still be running
      driver().graph_exec_destroy(entry.graph);
      entry.graph = nullptr;
    }
    work();
    entry.generation = context_.generation();
    return;
  }
  if (!entry.graph) entry.graph = capture(work);
  R1_CUDA(graph_launch(entry.graph, context_.stream()));
}

CUgraphExec GraphCache::capture(const std::function<void()>& work) {
  CUgraph graph = nullptr;
  R1_CUDA(stream_begin_capture(context_.stream(), kCaptureModeThreadLocal));
  context_.set_capturing(true);
  try {
    work();
  } catch (...) {
    context_.set_capturing(false);
    driver().stream_end_capture(context_.stream(), &graph);
    if (graph) driver().graph_destroy(graph);
    throw;
  }
  context_.set_capturing(false);
  R1_CUDA(stream_end_capture(context_.stream(), &graph));
  CUgraphExec exec = nullptr;
  const CUresult result = driver().graph_instantiate(&exec, graph, 0);
  driver().graph_destroy(graph);
  if (result != kSuccess) throw_driver_error(result, "graph_instantiate()", __FILE__, __LINE__);
  return exec;
}

}  // namespace r1::cuda
