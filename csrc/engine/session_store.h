// Conversations between their requests: the tokens of each, and their K and V as long as there is room.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "engine/block_allocator.h"
#include "engine/events.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/session_call.h"
#include "engine/swap_space.h"

namespace r1 {

struct Session {
  int64_t id = 0;
  std::vector<int32_t> tokens;
  std::vector<TokenRange> decoded;  // ascending; computed by the decode class, all other tokens by the prefill class
  int32_t computed = 0;             // tokens [0, computed) have their K and V in `blocks`, or in `saved`
  std::vector<int32_t> blocks;      // enough for `computed` tokens
  std::vector<int32_t> saved;       // the same in the swap space; one of the two is empty
  int32_t chained = 0;              // blocks [0, chained) are in the prefix cache
  std::string salt;                 // of the requests that filled it
  bool foreign = false;             // K and V were read from outside: other requests may not share them
  int64_t request = 0;              // that uses it; 0: none
  uint64_t used = 0;                // larger: more recently
  std::vector<int32_t> written;     // while it is being filled: tokens of each layer

  bool filling() const { return !written.empty(); }
};

/**
 * A session is a list of tokens and of who computed each; its K and V are merely kept: what is lost is computed anew,
 * by the same classes and hence bit for bit, when the next request wants it.
 *
 * That request takes over the K and V of the tokens that its prompt begins with (lend), and when it ends the session
 * has the request's tokens and K and V (hand_over). Meanwhile the session has none, but its tokens stay as they were
 * for forks. Forks share blocks, which are never written while they have several owners or are in the prefix cache: a
 * request copies the last, partly filled one before it goes on there.
 *
 * All sessions together pin at most a share of the pool. Beyond it, and whenever a request is short of blocks, the
 * least recently used gives up its own: to the swap space, or for good, from its end. Requests that are swapped out go
 * before sessions there.
 */
class SessionStore {
 public:
  SessionStore(Backend& backend, const KvPool& kv, BlockAllocator& blocks, const PrefixCache& cache, SwapSpace& swap,
               double kv_share);

  // -- from one request to the next
  void create(int64_t id);
  /** `user` is the sequence that uses session `from`, or null. Nothing is made when there is no such session. */
  void fork(int64_t from, int64_t id, const Sequence* user);
  void drop(int64_t id);
  /** Throws kBadInput unless a request may use the session now. */
  void check_free(int64_t id) const;
  /** The sequence will use its request's session: notes how much of its prompt that holds, and by whom computed. */
  void open(Sequence& s);
  /** Gives the sequence K and V of its prompt's start, before it runs for the first time. */
  void lend(Sequence& s);
  /** lend() has left the last block, of which tokens are wanted, as others own it too: copies it to the sequence's. */
  void copy_last(Sequence& s);
  /** The sequence cannot start yet: the session has its K and V back. */
  void take_back(Sequence& s);
  /** The sequence has ended. Unless it never ran, the session takes its tokens, blocks and host copies. */
  void hand_over(Sequence& s);

  // -- room
  /** As BlockAllocator::extend, but sessions give up what is missing for `count` and for `spare` more. */
  bool extend(std::vector<int32_t>& blocks, int64_t count, int64_t spare);
  /** Sessions give up what they pin beyond their share. */
  void limit();
  /** Copies a sequence's blocks to the swap space, in place of sessions' where need be. */
  bool swap_out(const std::vector<int32_t>& blocks, int64_t count, std::vector<int32_t>& slots);
  std::vector<PressureEvent> take_pressure() { return std::exchange(pressure_, {}); }

  // -- its K and V from and to the outside (session_transfer.cc)
  SessionState state(int64_t id) const;
  /** [token][K, V][kv_head][head_dim] of a layer. */
  std::vector<std::byte> read(int64_t id, const SessionCall::Read& part);
  /** Throws kOutOfMemory with the figures when there are no blocks for all tokens. */
  void fill(int64_t id, SessionCall::Fill content);
  void write(int64_t id, const SessionCall::Write& part);
  /** It has K and V of the tokens that were written for every layer, from the first on. */
  void seal(int64_t id);

  int64_t size() const { return static_cast<int64_t>(sessions_.size()); }
  template <class F>
  void for_each(F&& visit) const {
    for (const auto& [id, session] : sessions_) visit(session);
  }

 private:
  Session* find(int64_t id);
  const Session& known(int64_t id) const;
  /** One that no request uses. */
  Session& idle(int64_t id);
  /** The session that the sequence uses; null when it is gone. */
  Session* session_of(const Sequence& s);
  /** The same before the sequence runs for the first time: afterwards its K and V are its own. */
  Session* lender_of(const Sequence& s) { return s.admitted ? nullptr : session_of(s); }
  template <class F>
  Session* least_recent(F&& eligible);
  bool holds_pinned(const Session& session) const;
  void take_blocks(Session& session, std::vector<int32_t>& blocks, int32_t tokens);
  void release_last(Session& session);
  void release(Session& session);
  bool make_room(int64_t count);
  void give_up(Session& session, int64_t count);
  void evict(int64_t count);
  bool drop_swapped();
  int64_t span_bytes(int32_t layer, int64_t first, int64_t count, int64_t most) const;

  Backend& backend_;
  const KvPool& kv_;
  BlockAllocator& blocks_;
  const PrefixCache& cache_;
  SwapSpace& swap_;
  const int64_t most_pinned_;
  uint64_t clock_ = 0;
  std::unordered_map<int64_t, Session> sessions_;
  std::vector<PressureEvent> pressure_;
};

}  // namespace r1
