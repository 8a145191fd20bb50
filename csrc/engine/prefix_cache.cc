#include "engine/prefix_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace r1 {

PrefixCache::PrefixCache(BlockAllocator& blocks, bool enabled)
    : blocks_(blocks), enabled_(enabled), index_(64, Hash{this}, Equal{this}) {
  blocks.on_reclaim([this](int32_t block) { forget(block); });
}

/** Blocks at the start of a prompt that need not be computed: all full ones, but for a last token that gives logits. */
int32_t PrefixCache::shareable_blocks(const Sequence& s) {
  const bool wants_logits = s.length() == s.prompt_length;
  return (s.prompt_length - (wants_logits ? 1 : 0)) / kKvBlockTokens;
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
  if (!enabled_ || !s.request.cache || s.request.score) return;
  const int32_t most = shareable_blocks(s);
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

void PrefixCache::publish(Sequence& s) {
  if (!enabled_ || !s.request.cache) return;
  const int32_t full = std::min(s.computed, s.prompt_length) / kKvBlockTokens;
  for (; s.chained < full; ++s.chained) {
    const int32_t own = s.blocks[s.chained], known = find(s, s.chained),
                  block = known < 0 ? insert(s, s.chained) : known;
    if (block == own) continue;
    blocks_.share(block);
    s.blocks[s.chained] = block;
    blocks_.release(own);
  }
}

int32_t PrefixCache::insert(const Sequence& s, int32_t index) {
  const int32_t block = s.blocks[index];
  auto node = std::make_unique<Node>();
  if (index > 0) {
    const Node& parent = *nodes_[s.blocks[index - 1]];
    node->root = parent.root;
    node->parent = parent.id;
  } else {
    const auto [root, added] = roots_.try_emplace(root_key(s.request), Root{next_id_});
    if (added) ++next_id_;
    node->root = &*root;
    node->parent = root->second.id;
  }
  const int32_t* tokens = s.tokens.data() + int64_t{index} * kKvBlockTokens;
  node->id = next_id_++;
  node->hash = name_of(node->parent, tokens).hash;
  std::copy_n(tokens, kKvBlockTokens, node->tokens.begin());
  ++node->root->second.nodes;
  if (nodes_.size() <= static_cast<size_t>(block)) nodes_.resize(block + 1);
  nodes_[block] = std::move(node);
  index_.insert(block);
  blocks_.keep(block);
  return block;
}

void PrefixCache::forget(int32_t block) {
  index_.erase(block);
  auto* root = nodes_[block]->root;
  nodes_[block].reset();
  if (--root->second.nodes == 0) roots_.erase(roots_.find(root->first));
}

bool PrefixCache::computes_next_of(const Sequence& s, const Sequence& other, int32_t end) const {
  if (!enabled_ || !s.request.cache || s.request.score || !other.request.cache) return false;
  if (s.chained != other.chained || s.chained >= shareable_blocks(s)) return false;
  const int32_t begin = s.chained * kKvBlockTokens;
  if (end < begin + kKvBlockTokens || other.prompt_length < begin + kKvBlockTokens) return false;
  const bool same_start = s.chained > 0 ? s.blocks[s.chained - 1] == other.blocks[s.chained - 1]
                                        : root_key(s.request) == root_key(other.request);
  return same_start &&
         std::equal(s.tokens.begin() + begin, s.tokens.begin() + begin + kKvBlockTokens, other.tokens.begin() + begin);
}

}  // namespace r1
