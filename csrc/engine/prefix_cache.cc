#include "engine/prefix_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace r1 {

namespace {

constexpr int32_t kWorthCopying = 16;  // tokens; fewer are computed as quickly
constexpr int32_t kCandidates = 32;    // blocks, newest first, that are looked at for a common start

}  // namespace

PrefixCache::PrefixCache(BlockAllocator& blocks, bool enabled, std::function<void(int32_t from, int32_t to)> copy)
    : blocks_(blocks), enabled_(enabled), copy_(std::move(copy)), index_(64, Hash{this}, Equal{this}) {
  blocks.on_reclaim([this](int32_t block) { forget(block); });
}

/** Tokens at the start of a prompt that need not be computed: all, but for a last one that gives logits. */
int32_t PrefixCache::shareable_tokens(const Sequence& s) {
  const bool wants_logits = s.length() == s.prompt_length;
  return std::min(s.cacheable, s.prompt_length - (wants_logits ? 1 : 0));
}

PrefixCache::Name PrefixCache::name_of(uint64_t parent, const int32_t* tokens) {
  uint64_t hash = parent * 0x9e3779b97f4a7c15u;
  for (int i = 0; i < kKvBlockTokens; i += 2) {
    uint64_t pair = 0;
    std::memcpy(&pair, tokens + i, sizeof pair);
    hash = (hash ^ pair) * 0xd6e8feb86659fd93u;
    hash ^= hash >> 32;
  }
  return {.parent = parent, .hash = hash, .tokens = tokens};
}

bool PrefixCache::named(const Name& name, int32_t block) const {
  const Node& node = *nodes_[block];
  return node.hash == name.hash && node.parent == name.parent &&
         std::equal(node.tokens.begin(), node.tokens.end(), name.tokens);
}

/** The cached block for tokens [64 · index, 64 · index + 64) of a sequence whose blocks before are cached; or -1. */
int32_t PrefixCache::find(const Sequence& s, int32_t index) const {
  uint64_t parent = 0;
  if (index > 0) {
    parent = nodes_[s.blocks[index - 1]]->id;
  } else {
    const auto root = roots_.find(root_key(s.request));
    if (root == roots_.end()) return -1;
    parent = root->second.id;
  }
  const auto found = index_.find(name_of(parent, s.tokens.data() + int64_t{index} * kKvBlockTokens));
  return found == index_.end() ? -1 : *found;
}

void PrefixCache::adopt(Sequence& s) {
  if (!uses(s)) return;
  const int32_t most = shareable_tokens(s) / kKvBlockTokens;
  while (s.chained < most) {
    const int32_t block = find(s, s.chained);
    if (block < 0) break;
    blocks_.share(block);
    if (static_cast<size_t>(s.chained) < s.blocks.size()) {
      blocks_.release(std::exchange(s.blocks[s.chained], block));
    } else {
      s.blocks.push_back(block);
    }
    ++s.chained;
  }
  s.computed = std::max(s.computed, s.chained * kKvBlockTokens);
}

/** The cached block behind s's first `index` ones that agrees with most of its next `most` tokens, and with how many.
 */
std::pair<int32_t, int32_t> PrefixCache::closest(const Sequence& s, int32_t index, int32_t most) const {
  int32_t block = -1;
  if (index > 0) {
    block = nodes_[s.blocks[index - 1]]->newest;
  } else if (const auto root = roots_.find(root_key(s.request)); root != roots_.end()) {
    block = root->second.newest;
  }
  const int32_t* wanted = s.tokens.data() + int64_t{index} * kKvBlockTokens;
  std::pair<int32_t, int32_t> best{-1, 0};
  for (int32_t looked = 0; block >= 0 && looked < kCandidates; ++looked, block = nodes_[block]->older) {
    const Node& node = *nodes_[block];
    const int32_t* end = wanted + std::min(node.count, most);
    const auto common = static_cast<int32_t>(std::mismatch(wanted, end, node.tokens.begin()).first - wanted);
    if (common > best.second) best = {block, common};
  }
  return best;
}

void PrefixCache::copy_start(Sequence& s) {
  if (!uses(s) || static_cast<size_t>(s.chained) >= s.blocks.size()) return;
  const int32_t begin = s.chained * kKvBlockTokens;
  const int32_t room = std::min(shareable_tokens(s) - begin, kKvBlockTokens);
  if (begin + room - s.computed < kWorthCopying) return;
  const auto [block, tokens] = closest(s, s.chained, room);
  if (begin + tokens - s.computed < kWorthCopying) return;
  blocks_.share(block);  // it has been used
  copy_(block, s.blocks[s.chained]);
  blocks_.release(block);
  s.computed = begin + tokens;
}

void PrefixCache::publish(Sequence& s) {
  if (!enabled_ || !s.request.cache) return;
  const int32_t full = std::min(s.computed, s.cacheable) / kKvBlockTokens;
  for (; s.chained < full; ++s.chained) {
    const int32_t own = s.blocks[s.chained], known = find(s, s.chained);
    const int32_t block = known < 0 ? insert(s, s.chained, kKvBlockTokens) : known;
    if (block == own) continue;
    blocks_.share(block);
    s.blocks[s.chained] = block;
    blocks_.release(own);
  }
  const int32_t tail = s.cacheable - s.chained * kKvBlockTokens;
  if (s.computed < s.cacheable || tail < kWorthCopying || tokens_of(s.blocks[s.chained]) > 0) return;
  if (closest(s, s.chained, tail).second == tail) return;
  insert(s, s.chained, tail);
}

/** The newest of the blocks behind `parent_block`, or of those that begin a prompt. */
int32_t& PrefixCache::newest_of(RootEntry& root, int32_t parent_block) {
  return parent_block < 0 ? root.second.newest : nodes_[parent_block]->newest;
}

/** Enters block `index` of a sequence, whose blocks before are in the cache, with its first `count` tokens. */
int32_t PrefixCache::insert(const Sequence& s, int32_t index, int32_t count) {
  const int32_t block = s.blocks[index];
  if (nodes_.size() <= static_cast<size_t>(block)) nodes_.resize(block + 1);
  auto node = std::make_unique<Node>();
  if (index > 0) {
    const Node& parent = *nodes_[s.blocks[index - 1]];
    node->root = parent.root;
    node->parent = parent.id;
    node->parent_block = s.blocks[index - 1];
  } else {
    const auto [root, added] = roots_.try_emplace(root_key(s.request), Root{next_id_});
    if (added) ++next_id_;
    node->root = &*root;
    node->parent = root->second.id;
    node->parent_block = -1;
  }
  const int32_t* tokens = s.tokens.data() + int64_t{index} * kKvBlockTokens;
  node->id = next_id_++;
  node->count = count;
  std::copy_n(tokens, count, node->tokens.begin());
  if (count == kKvBlockTokens) node->hash = name_of(node->parent, tokens).hash;
  ++node->root->second.nodes;
  ++size_;
  int32_t& newest = newest_of(*node->root, node->parent_block);
  node->older = newest;
  if (newest >= 0) nodes_[newest]->newer = block;
  newest = block;
  nodes_[block] = std::move(node);
  if (count == kKvBlockTokens) index_.insert(block);
  blocks_.keep(block);
  return block;
}

/** It is reclaimed: it is the last of its chain, so that no other hangs on it. */
void PrefixCache::forget(int32_t block) {
  if (nodes_[block]->count == kKvBlockTokens) index_.erase(block);
  const std::unique_ptr<Node> node = std::move(nodes_[block]);
  if (node->older >= 0) nodes_[node->older]->newer = node->newer;
  (node->newer >= 0 ? nodes_[node->newer]->older : newest_of(*node->root, node->parent_block)) = node->older;
  --size_;
  if (--node->root->second.nodes == 0) roots_.erase(roots_.find(node->root->first));
}

bool PrefixCache::computes_next_of(const Sequence& s, const Sequence& other, int32_t end) const {
  if (!uses(s) || !other.request.cache) return false;
  if (s.chained != other.chained || s.chained >= shareable_tokens(s) / kKvBlockTokens) return false;
  const int32_t begin = s.chained * kKvBlockTokens;
  if (end < begin + kKvBlockTokens || other.cacheable < begin + kKvBlockTokens) return false;
  const bool same_start = s.chained > 0 ? s.blocks[s.chained - 1] == other.blocks[s.chained - 1]
                                        : root_key(s.request) == root_key(other.request);
  return same_start &&
         std::equal(s.tokens.begin() + begin, s.tokens.begin() + begin + kKvBlockTokens, other.tokens.begin() + begin);
}

}  // namespace r1
