// Blocks of prompts that later requests may share: a tree whose edges are the 64 tokens of a block.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/block_allocator.h"
#include "engine/sequence.h"

namespace r1 {

/**
 * A block in the cache is named by its parent block and its tokens, and a prompt's first block by a root: everything
 * else that its K and V depend on (the tenant's salt; an adapter and a mask would belong there). Names are compared
 * token by token, not by their hash alone, so that no collision can serve another prompt's content.
 *
 * Only full blocks of prompt positions, computed by the prefill class, enter, and they enter as soon as they are
 * computed. They are never written again: rows are appended behind the computed tokens, which a full block has none of,
 * and a sequence that reads a shared block computes from the end of it. What a session forks off in the middle of a
 * block would have to be copied first; full blocks are shared by its forks as they are here.
 *
 * An owner of a block owns the blocks before it too, so blocks come to be idle from the end of a prompt to its start,
 * and the least recently used one never has another behind it.
 */
class PrefixCache {
 public:
  PrefixCache(BlockAllocator& blocks, bool enabled);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /**
   * Shares the longest chain of cached blocks that continues `s.chained` and moves `s.computed` behind it. Its own
   * blocks at these places are released. At least one token is left to compute when its logits are wanted.
   */
  void adopt(Sequence& s);
  /**
   * Enters the full blocks of the prompt that have been computed. Where the cache has the same block already, the
   * sequence takes that one in place of its own: the prefill class gives both the same bits.
   */
  void publish(Sequence& s);
  /** Whether `other`, which computes up to `end` in this step, will then have computed the next block `s` lacks. */
  bool computes_next_of(const Sequence& s, const Sequence& other, int32_t end) const;

  /** Blocks in the cache, owned or idle. */
  int64_t size() const { return static_cast<int64_t>(index_.size()); }
  bool has(int32_t block) const { return static_cast<size_t>(block) < nodes_.size() && nodes_[block] != nullptr; }

 private:
  struct Root {
    uint64_t id;
    int64_t nodes = 0;
  };
  struct Node {
    uint64_t id, parent;  // ids are never used again
    uint64_t hash;        // of parent and tokens
    std::unordered_map<std::string, Root>::value_type* root;
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
  static int32_t shareable_blocks(const Sequence& s);
  static Name name_of(uint64_t parent, const int32_t* tokens);
  bool named(const Name& name, int32_t block) const;
  int32_t find(const Sequence& s, int32_t index) const;
  int32_t insert(const Sequence& s, int32_t index);
  void forget(int32_t block);

  BlockAllocator& blocks_;
  const bool enabled_;
  uint64_t next_id_ = 1;
  std::unordered_map<std::string, Root> roots_;  // those that blocks hang on
  std::vector<std::unique_ptr<Node>> nodes_;     // by block
  std::unordered_set<int32_t, Hash, Equal> index_;
};

}  // namespace r1
