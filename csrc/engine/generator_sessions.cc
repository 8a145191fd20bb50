// Sessions between their requests.
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "engine/format.h"
#include "engine/generator.h"

namespace r1 {

void Generator::create_session(int64_t id) { sessions_.create(id); }

void Generator::fork_session(int64_t from, int64_t id) {
  const Sequence* user = nullptr;
  scheduler_.for_each([&](const Sequence& s) {
    if (s.request.session == from) user = &s;
  });
  sessions_.fork(from, id, user);
}

void Generator::drop_session(int64_t id) { sessions_.drop(id); }

void Generator::check_session(const Request& request) const {
  if (request.session == 0) return;
  R1_CHECK(!request.score, ErrorCode::kInvalidArgument, "A request that scores its prompt cannot be in a session.");
  sessions_.check_free(request.session);
}

void Generator::check_content(const SessionCall::Fill& content) const {
  for (const int32_t token : content.tokens) {
    R1_CHECK(token >= 0 && token < vocab_, ErrorCode::kInvalidArgument,
             "Token id " + std::to_string(token) + " of the session is outside the vocabulary of " +
                 std::to_string(vocab_) + ".");
  }
  R1_CHECK(content.tokens.size() <= static_cast<size_t>(options_.context_length), ErrorCode::kContextOverflow,
           "The session has " + std::to_string(content.tokens.size()) + " tokens and the context holds " +
               std::to_string(options_.context_length) + ". Load the model with a larger contextLength.");
}

void Generator::answer(SessionCall call) {
  const int64_t id = call.session;
  SessionReply reply{.call = call.call, .result = {}};
  try {
    std::visit(
        [&](auto& what) {
          using What = std::decay_t<decltype(what)>;
          if constexpr (std::is_same_v<What, SessionCall::State>) {
            reply.result = sessions_.state(id);
          } else if constexpr (std::is_same_v<What, SessionCall::Read>) {
            reply.result = sessions_.read(id, what);
          } else if constexpr (std::is_same_v<What, SessionCall::Fill>) {
            check_content(what);
            sessions_.fill(id, std::move(what));
          } else if constexpr (std::is_same_v<What, SessionCall::Write>) {
            sessions_.write(id, what);
          } else {
            sessions_.seal(id);
          }
        },
        call.what);
  } catch (const Error& error) {
    events_.push(SessionReply{call.call, Failure{error.code(), error.what()}});
    if (error.code() == ErrorCode::kDeviceLost) throw;
    return;
  } catch (const std::bad_alloc&) {
    reply.result = Failure{ErrorCode::kOutOfMemory, "The host has no memory left for this part of a session."};
  }
  events_.push(std::move(reply));
}

}  // namespace r1
