// An engine: one thread that loads a model and then steps its requests until it is disposed.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "engine/engine_spec.h"
#include "engine/events.h"
#include "engine/generator.h"
#include "engine/loader.h"
#include "engine/request.h"
#include "engine/session_call.h"

namespace r1 {

/** All methods are thread-safe and return at once; only the destructor waits (for the end of the step or read in
 * progress). */
class Engine {
 public:
  /** Starts the thread. `wake` is called from it: at most once between two drains. */
  Engine(EngineSpec spec, std::function<void()> wake, BackendFactory factory = create_backend);
  /** Disposes and waits for the thread. */
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /** Returns the request's id, from 1; 0 when the engine has already been disposed and no event can follow. */
  int64_t submit(Request request);
  void cancel(int64_t id);
  void verdict(int64_t id, int32_t token);

  /** The new session's id, from 1. */
  int64_t create_session();
  int64_t fork_session(int64_t from);
  void drop_session(int64_t id);
  /** A SessionReply with the returned number follows; 0 when the engine has been disposed and no event can follow. */
  int64_t ask(SessionCall call);

  std::vector<Event> drain() { return events_.drain(); }
  EngineStats stats() const;
  void dispose();

 private:
  struct Cancel {
    int64_t id;
  };
  struct Verdict {
    int64_t id;
    int32_t token;
  };
  struct CreateSession {
    int64_t id;
  };
  struct ForkSession {
    int64_t from, id;
  };
  struct DropSession {
    int64_t id;
  };
  using Command = std::variant<Request, Cancel, Verdict, CreateSession, ForkSession, DropSession, SessionCall>;

  void post(Command command);
  void enqueue(Command command);
  std::vector<Command> take_commands();
  void wait(std::optional<Clock::time_point> deadline);
  void run();
  std::optional<Failure> serve();
  std::optional<Failure> generate(Generator& generator);
  static void apply(Generator& generator, Command command);
  void publish(const EngineStats& stats);
  void reject(const std::vector<Command>& commands, const Failure& failure);
  void end();

  const EngineSpec spec_;
  const BackendFactory factory_;
  EventQueue events_;
  const std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Command> commands_;
  int64_t next_id_ = 1, next_session_ = 1, next_call_ = 1;
  bool ended_ = false;
  EngineStats stats_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace r1
