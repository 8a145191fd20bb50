// Blocks of prompts that later requests may share: a tree whose edges are the 64 tokens of a block.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/block_allocator.h"
#include "engine/sequence.h"

namespace r1 {

/**
 * A block in the cache is named by its parent block and its tokens, and a prompt's first block by a root: everything
 * else that its K and V depend on (the tenant's salt; an adapter and a mask would belong there). Names are compared
 * token by token, not by their hash alone, so that no collision can serve another prompt's content.
 *
 * Only prompt positions, computed by the prefill class, enter (of a session's those before its first generated token),
 * and they enter as soon as they are computed: full
 * blocks, which sequences then share, and the last block of a prompt with the tokens it has, its tail. Cached tokens
 * are never written again: rows are appended behind the computed tokens, so a full block is never written, and a tail
 * only behind its tokens and by the one sequence that owns it. Others copy what they can use of a tail, or of a block
 * of which they share the first tokens, before they write: that is the copy on write, as sessions do it too.
 *
 * An owner of a block owns the blocks before it too, so blocks come to be idle from the end of a prompt to its start,
 * and the least recently used one never has another behind it.
 */
class PrefixCache {
 public:
  /** `copy` makes block `to` a copy of block `from`. */
  PrefixCache(BlockAllocator& blocks, bool enabled, std::function<void(int32_t from, int32_t to)> copy);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /**
   * Shares the longest chain of cached blocks that continues `s.chained` and moves `s.computed` behind it. Its own
   * blocks at these places are released. At least one token is left to compute when its logits are wanted.
   */
  void adopt(Sequence& s);
  /**
   * Fills the sequence's own next block from the cached one that agrees with most of the tokens missing there, if that
   * saves enough of them, and moves `s.computed` behind them.
   */
  void copy_start(Sequence& s);
  /**
   * Enters the full blocks of the prompt that have been computed. Where the cache has the same block already, the
   * sequence takes that one in place of its own: the prefill class gives both the same bits. Once the prompt is
   * complete its tail enters too.
   */
  void publish(Sequence& s);
  /** Whether `other`, which computes up to `end` in this step, will then have computed the next block `s` lacks. */
  bool computes_next_of(const Sequence& s, const Sequence& other, int32_t end) const;

  /** Blocks in the cache, owned or idle. */
  int64_t size() const { return size_; }
  /** Tokens of a block that are in the cache: all, the first ones (a tail), or none. */
  int32_t tokens_of(int32_t block) const {
    return static_cast<size_t>(block) < nodes_.size() && nodes_[block] ? nodes_[block]->count : 0;
  }

 private:
  struct Root {
    uint64_t id;
    int64_t nodes = 0;
    int32_t newest = -1;  // of the blocks that prompts begin with
  };
  using RootEntry = std::unordered_map<std::string, Root>::value_type;
  struct Node {
    uint64_t id, parent;  // ids are never used again
    uint64_t hash;        // of parent and tokens
    RootEntry* root;
    int32_t parent_block;       // -1: it begins a prompt
    int32_t newest = -1;        // of its children
    int32_t older, newer = -1;  // its siblings
    int32_t count;              // tokens; of a full block all
    std::array<int32_t, kKvBlockTokens> tokens;
  };
  struct Name {
    uint64_t parent, hash;
    const int32_t* tokens;
  };
  struct Hash {
    using is_transparent = void;
    const PrefixCache* cache;
    size_t operator()(int32_t block) const { return cache->nodes_[block]->hash; }
    size_t operator()(const Name& name) const { return name.hash; }
  };
  struct Equal {
    using is_transparent = void;
    const PrefixCache* cache;
    bool operator()(int32_t a, int32_t b) const { return a == b; }
    bool operator()(const Name& name, int32_t block) const { return cache->named(name, block); }
    bool operator()(int32_t block, const Name& name) const { return cache->named(name, block); }
  };

  static const std::string& root_key(const Request& request) { return request.salt; }
  static int32_t shareable_tokens(const Sequence& s);
  bool uses(const Sequence& s) const { return enabled_ && s.request.cache && !s.request.score; }
  static Name name_of(uint64_t parent, const int32_t* tokens);
  bool named(const Name& name, int32_t block) const;
  int32_t find(const Sequence& s, int32_t index) const;
  int32_t insert(const Sequence& s, int32_t index, int32_t count);
  std::pair<int32_t, int32_t> closest(const Sequence& s, int32_t index, int32_t most) const;
  int32_t& newest_of(RootEntry& root, int32_t parent_block);
  void forget(int32_t block);

  BlockAllocator& blocks_;
  const bool enabled_;
  const std::function<void(int32_t, int32_t)> copy_;
  int64_t size_ = 0;
  uint64_t next_id_ = 1;
  std::unordered_map<std::string, Root> roots_;     // those that blocks hang on
  std::vector<std::unique_ptr<Node>> nodes_;        // by block
  std::unordered_set<int32_t, Hash, Equal> index_;  // full blocks
};

}  // namespace r1
