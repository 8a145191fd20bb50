// The engine's step loop on a recording backend and a clock of its own, one round at a time, checked after each.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "binding/session_calls.h"
#include "engine/generator.h"
#include "testing/recording_backend.h"

namespace r1::testing {

class TestEngine : public Napi::ObjectWrap<TestEngine> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TestEngine(const Napi::CallbackInfo& info);

 private:
  struct Part {
    int64_t id;
    int32_t first, rows, logits;
  };
  struct Owners;
  struct Recorded {
    NumericClass numeric_class;
    Clock::time_point begin;
    int64_t in_flight;  // steps, when it was handed over
    std::vector<Part> parts;
  };

  Napi::Value submit(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void verdict(const Napi::CallbackInfo& info);
  Napi::Value iterate(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  Napi::Value take_trace(const Napi::CallbackInfo& info);
  Napi::Value take_steps(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value now(const Napi::CallbackInfo& info);
  void advance(const Napi::CallbackInfo& info);
  Napi::Value deadline(const Napi::CallbackInfo& info);
  void set_memory(const Napi::CallbackInfo& info);
  Napi::Value expected(const Napi::CallbackInfo& info);

  Napi::Value create_session(const Napi::CallbackInfo& info);
  Napi::Value fork_session(const Napi::CallbackInfo& info);
  void drop_session(const Napi::CallbackInfo& info);
  void fail_all(const Napi::CallbackInfo& info);
  Napi::Value session_state(const Napi::CallbackInfo& info) { return ask(info, state_call(info)); }
  Napi::Value read_session(const Napi::CallbackInfo& info) { return ask(info, read_call(info)); }
  Napi::Value fill_session(const Napi::CallbackInfo& info) { return ask(info, fill_call(info)); }
  Napi::Value write_session(const Napi::CallbackInfo& info) { return ask(info, write_call(info)); }
  Napi::Value seal_session(const Napi::CallbackInfo& info) { return ask(info, seal_call(info)); }
  Napi::Value ask(const Napi::CallbackInfo& info, SessionCall call);
  void take_events();

  void note(const char* what);
  void inspect(const Step& step);
  const Sequence& owner(const StepSequence& part) const;
  void check_part(const Step& step, const StepSequence& part, const Sequence& s) const;
  void check_blocks() const;
  void check_chain(const Sequence& s) const;
  void check_counts(const Owners& owners) const;
  void check_sessions();
  void check_content(const Session& session) const;
  void check_order() const;
  void check_idle() const;

  Clock::time_point clock_{};
  int64_t next_id_ = 1, next_session_ = 1, next_call_ = 1;
  int64_t rounds_ = 0;
  std::vector<Event> waiting_events_;  // taken out of the queue, and not yet drained
  std::vector<SessionReply> replies_;
  std::vector<Recorded> recorded_;
  std::vector<std::string> trace_;
  bool record_ = false;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<RecordingBackend> backend_;  // outlives the rest
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvPool> kv_;
  std::unique_ptr<EventQueue> events_;
  std::unique_ptr<Generator> generator_;
};

/** (LimitOptions, rounds) → the limits after each round: csrc/engine/batch_limits.h. */
Napi::Value batch_limits(const Napi::CallbackInfo& info);

}  // namespace r1::testing
