// What the engine tells JavaScript (lib/native.ts's NativeEvent), and the queue it waits in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"

namespace r1 {

struct Failure {
  ErrorCode code;
  std::string message;
};

enum class PressureAction : uint8_t {
  kSwapped,
  kRecomputed,
  kRestored,
  kSmallerBatch,
  kSessionSwapped,
  kSessionDropped
};

/** Of a session. */
struct SessionState {
  std::vector<int32_t> tokens;
  std::vector<int32_t> decoded;  // begin and end of each range of tokens that the decode class has computed
  int32_t computed = 0;          // tokens whose K and V exist
  bool open = false;             // a request uses it
};

/** Milliseconds: waiting for admission, from there to the first token, from there to the end. */
struct Timings {
  double queue = 0, prefill = 0, decode = 0;
};

/** Log-probabilities of a run of tokens; the `count` best alternatives of token i start at i * count. */
struct Logprobs {
  int32_t count = 0;
  std::vector<float> values;
  std::vector<int32_t> top_tokens;
  std::vector<float> top_values;

  void append(const SampleResult& result);
  void append(const Logprobs& other);
};

/** Milliseconds of loading: the device and what memory it has, the weights, the first steps. */
struct LoadTimes {
  double device = 0, weights = 0, warmup = 0;
};

struct EngineInfo {
  DeviceInfo device;
  int64_t weight_bytes = 0, workspace_bytes = 0;
  int64_t kv_bytes_per_token = 0, kv_max_bytes = 0;
  DType kv_type = DType::kF32;
  int32_t context_length = 0;  // of a request; less than was asked for when the KV pool cannot hold that much
  LoadTimes load_ms;
};

enum class LoadStage : uint8_t { kCheck, kAllocate, kWeights, kWarmup };

struct ProgressEvent {
  LoadStage stage = LoadStage::kCheck;
  int64_t bytes = 0, total_bytes = 0, tensors = 0, total_tensors = 0;
};
struct ReadyEvent {
  EngineInfo info;
};
struct LoadFailedEvent {
  Failure failure;
};
struct TokensEvent {
  int64_t id;
  std::vector<int32_t> tokens;
  bool has_logprobs;
  Logprobs logprobs;
};
struct ScoresEvent {
  int64_t id;
  int32_t first;  // index of the token that logprobs.values[0] is of
  Logprobs logprobs;
};
struct GateEvent {
  int64_t id;
  std::shared_ptr<const std::vector<float>> logits;  // [vocab], unmodified
  int32_t index;                                     // tokens generated so far
};
struct FinishEvent {
  int64_t id;
  bool stopped;  // by a stop id; otherwise by its length
  int32_t cached_tokens;
  Timings timings;
};
struct CancelledEvent {
  int64_t id;
  int32_t cached_tokens;
  Timings timings;
};
struct ErrorEvent {
  int64_t id;
  Failure failure;
};
/** What was done because KV blocks are short (scheduler.h, session_store.h): `id` is a request's, or a session's. */
struct PressureEvent {
  PressureAction action;
  int64_t id;
  int64_t blocks;
};
/** The answer to a SessionCall. */
struct SessionReply {
  int64_t call;
  std::variant<std::monostate, SessionState, std::vector<std::byte>, Failure> result;
};
struct FailedEvent {
  Failure failure;
};
struct DisposedEvent {};

using Event = std::variant<ProgressEvent, ReadyEvent, LoadFailedEvent, TokensEvent, ScoresEvent, GateEvent, FinishEvent,
                           CancelledEvent, ErrorEvent, PressureEvent, SessionReply, FailedEvent, DisposedEvent>;

/**
 * Events on their way to JavaScript. Consecutive token (or score) events of a request are merged, so what a slow reader
 * leaves here is a few bytes per token. `wake` is called at most once between two drains.
 *
 * The engine's thread pushes and flushes; what it pushes is merely noted, as it is about to hand over the device's next
 * step. All else, the lock included, is left to flush(), which is called while the device works.
 */
class EventQueue {
 public:
  explicit EventQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  void push(Event event) { pushed_.emplace_back(std::move(event)); }
  /** A TokensEvent of one token without log-probabilities. */
  void push_token(int64_t id, int32_t token) { pushed_.emplace_back(OneToken{id, token}); }
  /** Hands over what was pushed; wakes JavaScript if something waits and it has not been woken since the last drain. */
  void flush();
  /** Everything handed over since the last drain, oldest first. Any thread. */
  std::vector<Event> drain();

 private:
  struct OneToken {
    int64_t id;
    int32_t token;
  };
  void hand_over(Event event);
  void hand_over(const OneToken& token);
  bool merge(Event& event);
  Event* newest_of(int64_t id);
  void add(Event event);

  std::function<void()> wake_;
  std::vector<std::variant<OneToken, Event>> pushed_;  // of the engine's thread; kept for its capacity
  std::mutex mutex_;                                   // guards what follows
  std::vector<Event> events_;
  std::unordered_map<int64_t, size_t> last_;  // a request's newest event
  bool woken_ = false;
};

}  // namespace r1
