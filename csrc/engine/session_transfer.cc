// What is asked of a session between requests: whether it can be used, and its content from and to the outside.
#include <algorithm>
#include <string>

#include "base/error.h"
#include "engine/format.h"
#include "engine/session_store.h"

namespace r1 {
namespace {

constexpr int64_t kMostBytes = int64_t{64} << 20;  // of one call: streams wait for it

/** Throws kInvalidArgument unless the pairs are ascending, disjoint ranges of `length` tokens. */
std::vector<TokenRange> ranges_of(const std::vector<int32_t>& pairs, size_t length) {
  std::vector<TokenRange> ranges;
  R1_CHECK(pairs.size() % 2 == 0, ErrorCode::kInvalidArgument, "The ranges of decoded tokens must come in pairs.");
  int32_t before = 0;
  for (size_t i = 0; i < pairs.size(); i += 2) {
    const TokenRange range{pairs[i], pairs[i + 1]};
    R1_CHECK(range.begin >= before && range.end > range.begin && static_cast<size_t>(range.end) <= length,
             ErrorCode::kInvalidArgument,
             "The range [" + std::to_string(range.begin) + ", " + std::to_string(range.end) +
                 ") of decoded tokens is empty, out of order or outside of the session's " + std::to_string(length) +
                 " tokens.");
    before = range.end;
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

const Session& SessionStore::known(int64_t id) const {
  const auto found = sessions_.find(id);
  R1_CHECK(found != sessions_.end(), ErrorCode::kBadInput,
           "Session " + std::to_string(id) + " is not known to this engine: it was dropped, or never made.");
  return found->second;
}

Session& SessionStore::idle(int64_t id) {
  R1_CHECK(known(id).request == 0, ErrorCode::kBadInput,
           "A request is using session " + std::to_string(id) + ". Wait until it has ended.");
  return *find(id);
}

void SessionStore::check_free(int64_t id) const {
  const Session& session = known(id);
  R1_CHECK(
      session.request == 0, ErrorCode::kBadInput,
      "Session " + std::to_string(id) + " already has an open request. Wait until it has ended, or fork the session.");
  R1_CHECK(!session.filling(), ErrorCode::kBadInput,
           "Session " + std::to_string(id) + " is being filled; it has to be sealed before it can be used.");
}

SessionState SessionStore::state(int64_t id) const {
  const Session& session = known(id);
  SessionState state{
      .tokens = session.tokens, .decoded = {}, .computed = session.computed, .open = session.request != 0};
  for (const TokenRange& range : session.decoded) state.decoded.insert(state.decoded.end(), {range.begin, range.end});
  return state;
}

/** Bytes of tokens [first, first + count) of a layer. Throws kInvalidArgument where there are `most` or they are many.
 */
int64_t SessionStore::span_bytes(int32_t layer, int64_t first, int64_t count, int64_t most) const {
  const KvLayout& layout = kv_.layout;
  R1_CHECK(layer >= 0 && layer < layout.layers, ErrorCode::kInvalidArgument,
           "There is no layer " + std::to_string(layer) + " of " + std::to_string(layout.layers) + ".");
  R1_CHECK(first >= 0 && count > 0 && first + count <= most, ErrorCode::kInvalidArgument,
           "Tokens " + std::to_string(first) + " to " + std::to_string(first + count) + " are outside of the " +
               std::to_string(most) + " there are.");
  const int64_t bytes = count * layout.layer_bytes_per_token();
  R1_CHECK(bytes <= kMostBytes, ErrorCode::kInvalidArgument,
           format_bytes(bytes) + " are too much for one call; ask for at most " + format_bytes(kMostBytes) + ".");
  return bytes;
}

std::vector<std::byte> SessionStore::read(int64_t id, const SessionCall::Read& part) {
  const Session& session = idle(id);
  const int64_t bytes = span_bytes(part.layer, part.first, part.count, session.computed);
  std::vector<std::byte> out(static_cast<size_t>(bytes));
  const auto& places = session.saved.empty() ? session.blocks : session.saved;
  const KvTokens tokens{.blocks = places.data(), .layer = part.layer, .first = part.first, .count = part.count};
  if (session.saved.empty()) {
    backend_.read_kv(kv_, tokens, out.data());
    return out;
  }
  for_each_block(tokens, [&](int32_t slot, int32_t row, int32_t count, int32_t token) {
    const auto* planes = static_cast<const char*>(swap_.wait_for(slot)) + kv_.layout.k_offset(part.layer);
    gather_kv(kv_.layout, planes, row, count, out.data() + token * kv_.layout.layer_bytes_per_token());
  });
  return out;
}

void SessionStore::fill(int64_t id, SessionCall::Fill content) {
  Session& session = idle(id);
  R1_CHECK(session.tokens.empty() && !session.filling(), ErrorCode::kBadInput,
           "Session " + std::to_string(id) + " is not empty; only a new one can be filled.");
  const auto length = static_cast<int64_t>(content.tokens.size());
  std::vector<TokenRange> decoded = ranges_of(content.decoded, content.tokens.size());
  std::vector<int32_t> blocks;
  if (!extend(blocks, blocks_for(length), 0)) {
    const int64_t bytes = blocks_.layout().block_bytes();
    R1_THROW(ErrorCode::kOutOfMemory,
             "The KV cache of this session needs " + format_bytes(blocks_for(length) * bytes) + " for " +
                 std::to_string(length) + " tokens, and " +
                 format_bytes((blocks_.available() + blocks_.pinned()) * bytes) + " of " +
                 format_bytes(blocks_.capacity() * bytes) +
                 " are not in use by open requests. Wait for those to end, or load the model with more kvMemory.");
  }
  take_blocks(session, blocks, static_cast<int32_t>(length));
  session.computed = 0;
  session.tokens = std::move(content.tokens);
  session.decoded = std::move(decoded);
  session.foreign = true;
  session.written.assign(static_cast<size_t>(kv_.layout.layers), 0);
  session.used = ++clock_;
}

void SessionStore::write(int64_t id, const SessionCall::Write& part) {
  Session& session = idle(id);
  R1_CHECK(session.filling(), ErrorCode::kBadInput, "Session " + std::to_string(id) + " is not being filled.");
  const int64_t bytes = span_bytes(part.layer, part.first, part.count, static_cast<int64_t>(session.tokens.size()));
  R1_CHECK(static_cast<int64_t>(part.data.size()) == bytes, ErrorCode::kInvalidArgument,
           "K and V of " + std::to_string(part.count) + " tokens of a layer are " + std::to_string(bytes) +
               " bytes, not " + std::to_string(part.data.size()) + ".");
  int32_t& written = session.written[static_cast<size_t>(part.layer)];
  R1_CHECK(part.first <= written, ErrorCode::kInvalidArgument,
           "Tokens are to be written from the first on, and the next of layer " + std::to_string(part.layer) + " is " +
               std::to_string(written) + ", not " + std::to_string(part.first) + ".");
  written = std::max(written, part.first + part.count);
  // Requests may have needed blocks meanwhile: what they took is computed anew.
  const auto room = static_cast<int32_t>(session.blocks.size()) * kKvBlockTokens - part.first;
  const int32_t count = std::min(part.count, room);
  if (count <= 0) return;
  backend_.write_kv(kv_, {.blocks = session.blocks.data(), .layer = part.layer, .first = part.first, .count = count},
                    part.data.data());
}

void SessionStore::seal(int64_t id) {
  Session& session = idle(id);
  R1_CHECK(session.filling(), ErrorCode::kBadInput, "Session " + std::to_string(id) + " is not being filled.");
  const int32_t written = *std::min_element(session.written.begin(), session.written.end());
  const int32_t room = static_cast<int32_t>(session.blocks.size()) * kKvBlockTokens;
  session.written.clear();
  std::vector<int32_t> blocks = std::exchange(session.blocks, {});
  for (const int32_t block : blocks) blocks_.unpin(block);
  take_blocks(session, blocks, std::min(written, room));
}

}  // namespace r1
