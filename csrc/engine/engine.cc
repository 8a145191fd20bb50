#include "engine/engine.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"

namespace r1 {
namespace {

/** The exception being handled, as users see it. */
Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "The host has no memory left. Load a smaller model, or free memory."};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, std::string("The engine met an unexpected exception: ") + error.what() + "."};
  } catch (...) {
    return {ErrorCode::kInternal, "The engine met an exception of unknown type."};
  }
}

}  // namespace

Engine::Engine(EngineSpec spec, std::function<void()> wake, BackendFactory factory)
    : spec_(std::move(spec)), factory_(std::move(factory)), events_(std::move(wake)), thread_([this] { run(); }) {}

Engine::~Engine() {
  dispose();
  thread_.join();
}

// ---- any thread

int64_t Engine::submit(Request request) {
  const std::lock_guard lock(mutex_);
  if (ended_) return 0;
  const int64_t id = request.id = next_id_++;
  request.submitted = Clock::now();
  commands_.emplace_back(std::move(request));
  changed_.notify_one();
  return id;
}

void Engine::cancel(int64_t id) { post(Cancel{id}); }

void Engine::verdict(int64_t id, int32_t token) { post(Verdict{id, token}); }

int64_t Engine::create_session() {
  const std::lock_guard lock(mutex_);
  const int64_t id = next_session_++;
  enqueue(CreateSession{id});
  return id;
}

int64_t Engine::fork_session(int64_t from) {
  const std::lock_guard lock(mutex_);
  const int64_t id = next_session_++;
  enqueue(ForkSession{from, id});
  return id;
}

void Engine::drop_session(int64_t id) { post(DropSession{id}); }

int64_t Engine::ask(SessionCall call) {
  const std::lock_guard lock(mutex_);
  if (ended_) return 0;
  const int64_t number = call.call = next_call_++;
  enqueue(std::move(call));
  return number;
}

void Engine::post(Command command) {
  const std::lock_guard lock(mutex_);
  enqueue(std::move(command));
}

/** With the lock held. */
void Engine::enqueue(Command command) {
  if (ended_) return;
  commands_.emplace_back(std::move(command));
  changed_.notify_one();
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Engine::dispose() {
  const std::lock_guard lock(mutex_);
  stopping_->store(true);
  changed_.notify_one();
}

// ---- the engine's thread

/** Everything posted since the last call. */
std::vector<Engine::Command> Engine::take_commands() {
  const std::lock_guard lock(mutex_);
  return std::exchange(commands_, {});
}

/** Sleeps until there is a command, the engine is to stop, or `deadline` comes. */
void Engine::wait(std::optional<Clock::time_point> deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !commands_.empty() || stopping_->load(); };
  if (deadline) {
    changed_.wait_until(lock, *deadline, ready);
  } else {
    changed_.wait(lock, ready);
  }
}

void Engine::run() {
  pthread_setname_np(pthread_self(), "r1-engine");
  const std::optional<Failure> failure = serve();
  // By now all memory is back. A failed engine stays to answer requests until it is disposed.
  while (failure && !stopping_->load()) {
    wait({});
    reject(take_commands(), *failure);
    events_.flush();
  }
  end();
}

/** Loads and generates. Returns why it could not go on; nothing when it was disposed. */
std::optional<Failure> Engine::serve() {
  std::optional<Failure> failure;
  bool ready = false;
  try {
    LoadedModel loaded = load_model(spec_, factory_, stopping_, [this](const ProgressEvent& progress) {
      events_.push(progress);
      events_.flush();
    });
    const GeneratorOptions options{.context_length = spec_.context_length,
                                   .max_sequences = spec_.max_sequences,
                                   .prefill_rows = loaded.prefill_rows,
                                   .step_tokens = loaded.step_tokens,
                                   .step_tokens_may_grow = spec_.step_tokens == 0,
                                   .max_queue = loaded.max_queue,
                                   .target_inter_token_ms = spec_.target_inter_token_ms,
                                   .prefix_cache = spec_.prefix_cache,
                                   .host_kv_memory = spec_.host_kv_memory,
                                   .session_kv_share = spec_.session_kv_share,
                                   .launch_ahead = spec_.launch_ahead.value_or(loaded.backend->asynchronous())};
    const auto report = [this](const EngineStats& stats) {
      publish(stats);
      events_.flush();
    };
    const Clock::time_point loaded_at = Clock::now();
    Generator generator(*loaded.backend, *loaded.model, *loaded.kv, options, events_, report, *stopping_);
    if (spec_.device.kind == DeviceKind::kCuda) generator.warm_up();
    loaded.info.load_ms.warmup = std::chrono::duration<double, std::milli>(Clock::now() - loaded_at).count();
    ready = true;
    events_.push(ReadyEvent{loaded.info});
    events_.flush();
    failure = generate(generator);
  } catch (...) {
    failure = current_failure();
  }
  if (!failure) return failure;
  if (ready) {
    events_.push(FailedEvent{*failure});
  } else {
    events_.push(LoadFailedEvent{*failure});
  }
  events_.flush();
  return failure;
}

/** Steps until the engine is disposed, or returns why it failed: then every open request has had its "error". */
std::optional<Failure> Engine::generate(Generator& generator) {
  bool worked = false;
  std::vector<Command> commands;
  try {
    while (!stopping_->load()) {
      if (!worked) wait(generator.next_deadline());
      commands = take_commands();
      std::reverse(commands.begin(), commands.end());
      while (!commands.empty()) {  // one by one: those left when the device fails have to be answered
        Command command = std::move(commands.back());
        commands.pop_back();
        apply(generator, std::move(command));
      }
      worked = generator.iterate();
    }
  } catch (...) {
    if (!stopping_->load()) {
      Failure failure = current_failure();
      generator.fail_all(failure);
      reject(commands, failure);
      publish({});
      return failure;
    }
  }
  reject(commands, {ErrorCode::kDisposed, "The model was disposed."});
  generator.cancel_all();
  return std::nullopt;
}

void Engine::apply(Generator& generator, Command command) {
  if (auto* request = std::get_if<Request>(&command)) {
    generator.submit(std::move(*request));
  } else if (const auto* cancel = std::get_if<Cancel>(&command)) {
    generator.cancel(cancel->id);
  } else if (const auto* verdict = std::get_if<Verdict>(&command)) {
    generator.verdict(verdict->id, verdict->token);
  } else if (const auto* create = std::get_if<CreateSession>(&command)) {
    generator.create_session(create->id);
  } else if (const auto* fork = std::get_if<ForkSession>(&command)) {
    generator.fork_session(fork->from, fork->id);
  } else if (const auto* drop = std::get_if<DropSession>(&command)) {
    generator.drop_session(drop->id);
  } else if (auto* call = std::get_if<SessionCall>(&command)) {
    generator.answer(std::move(*call));
  }
}

void Engine::publish(const EngineStats& stats) {
  const std::lock_guard lock(mutex_);
  stats_ = stats;
}

void Engine::reject(const std::vector<Command>& commands, const Failure& failure) {
  for (const Command& command : commands) {
    if (const auto* request = std::get_if<Request>(&command)) events_.push(ErrorEvent{request->id, failure});
    if (const auto* call = std::get_if<SessionCall>(&command)) events_.push(SessionReply{call->call, failure});
  }
}

void Engine::end() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    stats_ = {};
    commands = std::exchange(commands_, {});
  }
  reject(commands, {ErrorCode::kDisposed, "The model was disposed."});
  events_.push(DisposedEvent{});
  events_.flush();
}

}  // namespace r1
