#include "engine/session_store.h"

#include <algorithm>

namespace r1 {

SessionStore::SessionStore(Backend& backend, const KvPool& kv, BlockAllocator& blocks, const PrefixCache& cache,
                           SwapSpace& swap, double kv_share)
    : backend_(backend),
      kv_(kv),
      blocks_(blocks),
      cache_(cache),
      swap_(swap),
      most_pinned_(static_cast<int64_t>(kv_share * static_cast<double>(blocks.capacity()))) {}

Session* SessionStore::find(int64_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

Session* SessionStore::session_of(const Sequence& s) {
  Session* session = find(s.request.session);
  return session && session->request == s.request.id ? session : nullptr;
}

// ---- from one request to the next

void SessionStore::create(int64_t id) {
  Session& session = sessions_[id];
  session.id = id;
  session.used = ++clock_;
}

void SessionStore::fork(int64_t from, int64_t id, const Sequence* user) {
  const Session* session = find(from);
  if (!session || session->filling()) return;
  Session copy = *session;
  copy.id = id;
  copy.request = 0;
  copy.used = ++clock_;
  std::vector<int32_t> blocks = std::move(copy.blocks);
  if (user && user->admitted) {  // it has the session's blocks, and writes behind what the two have in common
    const int32_t full = std::min(user->common, user->computed) / kKvBlockTokens;
    const size_t count = std::min(static_cast<size_t>(full), user->blocks.size());
    blocks.assign(user->blocks.begin(), user->blocks.begin() + static_cast<std::ptrdiff_t>(count));
    copy.computed = static_cast<int32_t>(count) * kKvBlockTokens;
    copy.chained = std::min(user->chained, static_cast<int32_t>(count));
  }
  copy.blocks.clear();
  for (const int32_t block : blocks) blocks_.share(block);
  take_blocks(copy, blocks, copy.computed);
  swap_.share(copy.saved);
  sessions_[id] = std::move(copy);
}

void SessionStore::drop(int64_t id) {
  Session* session = find(id);
  if (!session) return;
  release(*session);
  swap_.release(session->saved);
  sessions_.erase(id);
}

void SessionStore::open(Sequence& s) {
  Session& session = idle(s.request.session);
  session.request = s.request.id;
  session.used = ++clock_;
  if (!session.foreign && session.salt != s.request.salt) return;  // another tenant's
  const auto most = std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(session.tokens.size()), s.prompt_length - 1);
  const auto end = session.tokens.begin() + most;
  s.common =
      static_cast<int32_t>(std::mismatch(session.tokens.begin(), end, s.tokens.begin()).first - session.tokens.begin());
  for (const TokenRange& range : session.decoded) {
    if (range.begin >= s.common) break;
    s.decoded.push_back({range.begin, std::min(range.end, s.common)});
  }
  if (!s.decoded.empty()) s.cacheable = s.decoded.front().begin;
  if (session.foreign && s.common > 0) s.cacheable = 0;
}

void SessionStore::lend(Sequence& s) {
  Session* session = lender_of(s);
  if (!session) return;
  s.lent = std::min(s.common, session->computed);
  session->computed = 0;
  const int64_t kept = blocks_for(s.lent);
  if (!session->saved.empty()) {
    while (static_cast<int64_t>(session->saved.size()) > kept) swap_.release_last(session->saved);
    s.saved = std::exchange(session->saved, {});
    s.saved_tokens = s.computed = s.lent;
    return;
  }
  while (static_cast<int64_t>(session->blocks.size()) > kept) release_last(*session);
  int32_t last = -1;
  if (s.lent % kKvBlockTokens != 0) {
    const int32_t block = session->blocks.back();
    if (blocks_.owners(block) > 1 || cache_.tokens_of(block) > 0) last = block;
  }
  s.blocks = std::exchange(session->blocks, {});
  for (const int32_t block : s.blocks) blocks_.unpin(block);
  s.chained = std::min(std::exchange(session->chained, 0), s.lent / kKvBlockTokens);
  s.computed = s.lent;
  if (last < 0) return;
  s.blocks.pop_back();
  s.computed = s.lent / kKvBlockTokens * kKvBlockTokens;
  blocks_.pin(last);
  session->blocks.push_back(last);
}

void SessionStore::copy_last(Sequence& s) {
  Session* session = lender_of(s);
  if (!session || session->blocks.empty()) return;
  if (s.computed < s.lent) {
    backend_.copy_block(kv_, session->blocks.back(), s.blocks[s.lent / kKvBlockTokens]);
    s.computed = s.lent;
  }
  release(*session);
}

void SessionStore::take_back(Sequence& s) {
  Session* session = lender_of(s);
  if (!session) return;
  if (!s.saved.empty()) {
    session->saved = std::exchange(s.saved, {});
    session->computed = std::exchange(s.saved_tokens, 0);
    return;
  }
  const int32_t tokens = std::min(s.computed, s.lent);
  std::vector<int32_t> last = std::exchange(session->blocks, {});
  take_blocks(*session, s.blocks, tokens);
  session->chained = std::min(s.chained, tokens / kKvBlockTokens);
  if (last.empty()) return;
  session->blocks.push_back(last.back());
  if (tokens < s.lent) {
    session->computed = s.lent;
  } else {
    release_last(*session);
  }
}

void SessionStore::hand_over(Sequence& s) {
  Session* session = session_of(s);
  if (!session) return;
  session->request = 0;
  session->used = ++clock_;
  if (!s.admitted) return;
  // The newest token has not been computed, but while JavaScript chose the next one; it will be, as a part of a prompt.
  const int32_t usable = s.length() - (s.output_length() > 0 ? 1 : 0);
  session->tokens = s.tokens;
  session->decoded = s.decoded;
  if (usable > s.prompt_length) session->decoded.push_back({s.prompt_length, usable});
  session->salt = s.request.salt;
  session->foreign &= s.common > 0;
  if (!s.saved.empty()) {
    session->computed = std::min(s.saved_tokens, usable);
    session->chained = 0;
    session->saved = std::exchange(s.saved, {});
    while (static_cast<int64_t>(session->saved.size()) > blocks_for(session->computed)) {
      swap_.release_last(session->saved);
    }
    return;
  }
  take_blocks(*session, s.blocks, std::min(s.computed, usable));
  session->chained = std::min(s.chained, session->computed / kKvBlockTokens);
}

/** The session, which has none, gets the first blocks of `blocks`, enough for `tokens`; the rest are released. */
void SessionStore::take_blocks(Session& session, std::vector<int32_t>& blocks, int32_t tokens) {
  while (static_cast<int64_t>(blocks.size()) > blocks_for(tokens)) {
    blocks_.release(blocks.back());
    blocks.pop_back();
  }
  for (const int32_t block : blocks) blocks_.pin(block);
  session.computed = tokens;
  session.blocks = std::exchange(blocks, {});
}

// ---- room

bool SessionStore::extend(std::vector<int32_t>& blocks, int64_t count, int64_t spare) {
  // The device may refuse the memory that the first try counts on.
  for (int tries = 0; tries < 2; ++tries) {
    const int64_t missing = std::max<int64_t>(0, count - static_cast<int64_t>(blocks.size()));
    if (!make_room(missing + spare)) return false;
    if (blocks_.extend(blocks, count)) return true;
  }
  return false;
}

/** Makes `count` blocks available, if sessions have that many to give. */
bool SessionStore::make_room(int64_t count) {
  const int64_t missing = count - blocks_.available();
  if (missing <= 0) return true;
  if (missing > blocks_.pinned()) return false;
  evict(missing);
  return count <= blocks_.available();
}

void SessionStore::limit() {
  if (blocks_.pinned() > most_pinned_) evict(blocks_.pinned() - most_pinned_);
}

bool SessionStore::swap_out(const std::vector<int32_t>& blocks, int64_t count, std::vector<int32_t>& slots) {
  while (!swap_.save(blocks, count, slots)) {
    if (count > swap_.capacity() || !drop_swapped()) return false;
  }
  return true;
}

template <class F>
Session* SessionStore::least_recent(F&& eligible) {
  Session* oldest = nullptr;
  for (auto& [id, session] : sessions_) {
    if (eligible(session) && (!oldest || session.used < oldest->used)) oldest = &session;
  }
  return oldest;
}

/** Whether it helps if the session gives its blocks up. */
bool SessionStore::holds_pinned(const Session& session) const {
  return std::any_of(session.blocks.begin(), session.blocks.end(), [&](int32_t b) { return blocks_.pinned(b); });
}

/** Sessions give up `count` pinned blocks, the least recently used first. */
void SessionStore::evict(int64_t count) {
  while (count > 0) {
    Session* session = least_recent([this](const Session& s) { return holds_pinned(s); });
    if (!session) return;
    const int64_t before = blocks_.pinned();
    give_up(*session, count);
    count -= before - blocks_.pinned();
  }
}

/** Its blocks go to the swap space, or as many from the end as it takes to free `count`. */
void SessionStore::give_up(Session& session, int64_t count) {
  const auto held = static_cast<int64_t>(session.blocks.size());
  const bool swapped = session.computed > 0 && swap_.save(session.blocks, held, session.saved);
  if (swapped) {
    const int32_t computed = session.computed;
    release(session);
    session.computed = computed;
  } else {
    const int64_t wanted = blocks_.pinned() - count;
    while (!session.blocks.empty() && blocks_.pinned() > wanted) release_last(session);
  }
  pressure_.push_back({.action = swapped ? PressureAction::kSessionSwapped : PressureAction::kSessionDropped,
                       .id = session.id,
                       .blocks = held - static_cast<int64_t>(session.blocks.size())});
}

/** The least recently used of the sessions in the swap space leaves it for good. */
bool SessionStore::drop_swapped() {
  Session* session = least_recent([](const Session& s) { return !s.saved.empty(); });
  if (!session) return false;
  pressure_.push_back({.action = PressureAction::kSessionDropped,
                       .id = session->id,
                       .blocks = static_cast<int64_t>(session->saved.size())});
  swap_.release(session->saved);
  session->computed = 0;
  return true;
}

void SessionStore::release_last(Session& session) {
  const int32_t block = session.blocks.back();
  session.blocks.pop_back();
  blocks_.unpin(block);
  blocks_.release(block);
  const auto left = static_cast<int32_t>(session.blocks.size());
  session.computed = std::min(session.computed, left * kKvBlockTokens);
  session.chained = std::min(session.chained, left);
}

/** Last first, as the prefix cache wants it. */
void SessionStore::release(Session& session) {
  while (!session.blocks.empty()) release_last(session);
}

}  // namespace r1
