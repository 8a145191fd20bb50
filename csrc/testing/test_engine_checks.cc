// What must hold in every step and after every round of a TestEngine.
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "testing/test_engine.h"

namespace r1::testing {
namespace {

[[noreturn]] void broken(const std::string& rule) { R1_THROW(ErrorCode::kInternal, "broken: " + rule); }

void require(bool condition, const std::string& rule) {
  if (!condition) broken(rule);
}

std::string name(const Sequence& s) { return "request " + std::to_string(s.request.id); }

std::string name(const Session& session) { return "session " + std::to_string(session.id); }

}  // namespace

/** Who lists each block and each slot of the swap space. */
struct TestEngine::Owners {
  struct Block {
    int32_t owners = 0, sessions = 0;
    bool in_session = false;  // one of them is a session or uses one
  };
  std::vector<Block> of;
  std::unordered_set<int32_t> slots;

  explicit Owners(size_t blocks) : of(blocks) {}
  void add(const std::vector<int32_t>& blocks, const std::vector<int32_t>& saved, bool in_session,
           const std::string& who) {
    const std::unordered_set<int32_t> distinct(blocks.begin(), blocks.end());
    require(distinct.size() == blocks.size(), who + " lists a block twice");
    for (const int32_t block : blocks) {
      ++of[block].owners;
      of[block].in_session |= in_session;
    }
    slots.insert(saved.begin(), saved.end());
  }
};

const Sequence& TestEngine::owner(const StepSequence& part) const {
  const Sequence* found = nullptr;
  generator_->scheduler().for_each([&](const Sequence& s) {
    if (s.blocks.data() == part.blocks) found = &s;
  });
  require(found, "a step's block table is that of a sequence");
  return *found;
}

/** A part continues where its sequence is, in its class, and writes only to blocks nobody else can see. */
void TestEngine::check_part(const Step& step, const StepSequence& part, const Sequence& s) const {
  const int32_t first = part.length - part.rows;
  require(first == s.computed,
          name(s) + " continues at " + std::to_string(first) + " instead of " + std::to_string(s.computed));
  const Sequence::Run run = s.run_at(first);
  require(part.length <= run.end && step.numeric_class == run.numeric_class,
          name(s) + ": prompt positions are computed by the prefill class, generated ones by the decode class");
  require(part.length <= s.expected_length(), name(s) + " computes tokens that it has");
  for (int32_t i = first / kKvBlockTokens; i <= (part.length - 1) / kKvBlockTokens; ++i) {
    require(generator_->blocks().owners(part.blocks[i]) == 1, name(s) + " writes to a shared block");
    require(std::max(first - i * kKvBlockTokens, 0) >= generator_->cache().tokens_of(part.blocks[i]),
            name(s) + " writes behind what the prefix cache has of a block");
  }
}

void TestEngine::inspect(const Step& step) {
  Recorded recorded{
      .numeric_class = step.numeric_class, .begin = clock_, .in_flight = backend_->in_flight(), .parts = {}};
  note("launch");
  std::unordered_set<const Sequence*> seen;
  int32_t logit = 0;
  for (const StepSequence* part = step.sequences; part != step.sequences + step.sequence_count; ++part) {
    const Sequence& s = owner(*part);
    require(seen.insert(&s).second, name(s) + " is in a step twice");
    check_part(step, *part, s);
    int32_t logits = 0;
    for (; logit < step.logit_count && step.logit_rows[logit] < part->first_row + part->rows; ++logit) ++logits;
    if (record_) recorded.parts.push_back({s.request.id, part->length - part->rows, part->rows, logits});
  }
  if (record_) recorded_.push_back(std::move(recorded));
}

/** Every block is accounted for: free, idle in the cache, or owned by exactly those who list it. */
void TestEngine::check_blocks() const {
  const BlockAllocator& blocks = generator_->blocks();
  Owners owners(static_cast<size_t>(blocks.mapped()));
  int64_t waiting_swapped = 0, index = 0;
  generator_->scheduler().for_each([&](const Sequence& s) {
    const bool running = index++ < generator_->scheduler().running();
    require(running || s.blocks.empty(), name(s) + " waits and holds blocks");
    require(!running || s.saved.empty(), name(s) + " runs and has a copy in host memory");
    require(!running || s.computed <= static_cast<int64_t>(s.blocks.size()) * kKvBlockTokens,
            name(s) + " has blocks for what it has computed");
    if (!s.saved.empty()) ++waiting_swapped;
    owners.add(s.blocks, s.saved, s.request.session != 0, name(s));
    check_chain(s);
  });
  generator_->sessions().for_each([&](const Session& session) {
    owners.add(session.blocks, session.saved, true, name(session));
    for (const int32_t block : session.blocks) ++owners.of[block].sessions;
  });
  check_counts(owners);
  require(waiting_swapped == generator_->scheduler().swapped(), "the count of swapped sequences is right");
  require(static_cast<int64_t>(owners.slots.size()) == generator_->swap().used(), "no host memory is lost");
}

/** A sequence's cached blocks are those at its start, and a tail. */
void TestEngine::check_chain(const Sequence& s) const {
  for (size_t i = 0; i < s.blocks.size(); ++i) {
    const auto at = static_cast<int32_t>(i);
    const int32_t tokens = generator_->cache().tokens_of(s.blocks[i]);
    if (at < s.chained) require(tokens == kKvBlockTokens, name(s) + ": a block of its chain is not in the cache");
    // A session's request may bring blocks that another one has entered.
    if (at < s.chained || s.request.session != 0) continue;
    require(tokens < kKvBlockTokens && (tokens == 0 || at == s.chained), name(s) + " has a cached block off its chain");
  }
}

void TestEngine::check_counts(const Owners& owners) const {
  const BlockAllocator& blocks = generator_->blocks();
  const PrefixCache& cache = generator_->cache();
  int64_t used = 0, cached = 0, pinned = 0;
  for (int32_t block = 0; block < blocks.mapped(); ++block) {
    const Owners::Block& found = owners.of[block];
    if (found.owners != blocks.owners(block)) {
      broken("block " + std::to_string(block) + " has " + std::to_string(found.owners) + " owners and counts " +
             std::to_string(blocks.owners(block)));
    }
    const int32_t tokens = cache.tokens_of(block);
    if ((tokens > 0) != blocks.kept(block)) broken("what is kept is in the cache");
    if (found.owners > 1 && tokens < kKvBlockTokens && !found.in_session) broken("only full cached blocks are shared");
    used += found.owners > 0;
    cached += tokens > 0;
    pinned += found.owners > 0 && found.owners == found.sessions;
  }
  require(used == blocks.used(), "the count of owned blocks is right");
  require(cached == cache.size(), "the count of cached blocks is right");
  require(pinned == blocks.pinned(), "the count of blocks that sessions alone own is right");
  require(blocks.used() + blocks.idle() + blocks.unused() == blocks.mapped(), "no block is lost");
}

/** What a session holds is what its tokens and classes make; now and then, as it takes long. */
void TestEngine::check_sessions() {
  const bool read = ++rounds_ % 32 == 0;
  generator_->sessions().for_each([&](const Session& session) {
    const auto length = static_cast<int32_t>(session.tokens.size());
    require(session.blocks.empty() || session.saved.empty(), name(session) + " is in one place");
    require(session.computed <= length, name(session) + " has K and V of its tokens alone");
    require(session.chained * kKvBlockTokens <= session.computed, name(session) + " has what it shares");
    if (session.filling()) return;
    const std::vector<int32_t>& places = session.saved.empty() ? session.blocks : session.saved;
    require(static_cast<int64_t>(places.size()) == blocks_for(session.computed), name(session) + " has its blocks");
    if (read && !session.blocks.empty()) check_content(session);
  });
}

void TestEngine::check_content(const Session& session) const {
  Fingerprint at = kStart;
  auto range = session.decoded.begin();
  for (int32_t i = 0; i < session.computed; ++i) {
    while (range != session.decoded.end() && i >= range->end) ++range;
    const bool decoded = range != session.decoded.end() && i >= range->begin;
    at = next_fingerprint(at, session.tokens[i], decoded ? NumericClass::kDecode : NumericClass::kPrefill);
    const Fingerprint found = backend_->fingerprint(session.blocks[i / kKvBlockTokens], i % kKvBlockTokens);
    require(found == at, name(session) + " has the K and V of token " + std::to_string(i));
  }
}

/**
 * Nobody is passed by one of lower rank: not by one that started after it had come, and who gives way is the last of
 * the running. (A request whose token JavaScript chooses may be passed while it waits for that.)
 */
void TestEngine::check_order() const {
  const auto before = [](const Sequence& a, const Sequence& b) {
    if (a.request.priority != b.request.priority) return a.request.priority > b.request.priority;
    return a.request.id < b.request.id;
  };
  const Scheduler& scheduler = generator_->scheduler();
  std::vector<const Sequence*> all;
  scheduler.for_each([&](const Sequence& s) { all.push_back(&s); });
  const auto waiting = all.begin() + scheduler.running();
  for (auto w = waiting; w != all.end(); ++w) {
    if ((*w)->request.gated) continue;
    for (auto r = all.begin(); r != waiting; ++r) {
      const bool passed = (*w)->preempted || (*r)->admitted.value_or(Clock::time_point{}) > (*w)->request.submitted;
      if (passed && !before(**r, **w)) broken(name(**r) + " runs and " + name(**w) + " waits");
    }
  }
}

/** The engine's thread now sleeps until it is told something: everybody must be waiting for a verdict or a place. */
void TestEngine::check_idle() const {
  const Scheduler& scheduler = generator_->scheduler();
  int64_t index = 0;
  scheduler.for_each([&](const Sequence& s) {
    const bool running = index++ < scheduler.running();
    require(!running || s.awaiting_verdict, name(s) + " runs and is forgotten");
    require(running || scheduler.running() > 0 || s.awaiting_verdict, name(s) + " waits for nothing");
  });
}

}  // namespace r1::testing
