// How long single steps take on a loaded model: what benches compare that cannot be had from requests.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/class_mix.h"
#include "engine/engine_spec.h"
#include "engine/one_op.h"

namespace r1 {

/** A step whose cost is asked for. */
struct TimedStep {
  NumericClass numeric_class = NumericClass::kDecode;
  int32_t sequences = 0;    // one row each: the last of so many tokens
  int32_t length = 0;       // of each sequence, that row included
  int32_t prompt_rows = 0;  // of one sequence more, from its start; prefill class only
  /** Of each op, for a step of the prefill class, which has what both classes need; absent: the step's own. */
  std::optional<ClassChoices> choices;
  /** The one op that is carried out, in all layers one after the other; absent: all of them. */
  std::optional<StepOp> only;
  bool cublas = false;  // its linear layers by cuBLAS
  /** In the place of the spec's. */
  std::optional<LinearChoices> linear = {};
  double window_ms = 10;  // that a measurement takes at least, unless it were more than kMostRuns
};

struct StepTimes {
  std::vector<double> ms;              // of each round
  float logprob = 0;                   // of the first sequence's greedy token, to compare bits by; nothing for one op
  std::vector<LinearOptions> options;  // of one op's linear layers, where the device has a choice
};

/**
 * Loads the model and measures every step `rounds` times, in turns, so that a machine whose speed changes does so for
 * all of them. A measurement is of as many runs of the step as take `window_ms`, put on the device one behind the
 * other: time that the host needs between two steps is not in it.
 *
 * One op alone finds its weights as cold as in a step: those of the other layers came in between. Keys and values that
 * are few would stay in the caches of a device; the decode class's attention therefore goes through several copies of
 * them, and its time is that of one.
 *
 * `cublas` is the path of the library, or empty where no step wants it.
 */
std::vector<StepTimes> time_steps(const EngineSpec& spec, const std::vector<TimedStep>& steps, int32_t rounds,
                                  const std::string& cublas);

}  // namespace r1
