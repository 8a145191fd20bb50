#include "backend/cuda/linear_choices.h"

#include <algorithm>
#include <array>
#include <string>

#include "backend/cuda/linear_plan.h"
#include "backend/cuda/linear_tiles.h"
#include "base/error.h"

namespace r1::cuda {
namespace {

constexpr int kMostShared = blocks_per_sm(1);
constexpr std::array<KernelFamily, 3> kSplitting = {KernelFamily::kSm75, KernelFamily::kSm80, KernelFamily::kSm90};

std::string text(int64_t value) { return std::to_string(value); }

std::string describe(const SplitsChoice& c) {
  return "The choice of splits for " + text(c.stored_rows) + " x " + text(c.k) + " weights with " + c.family +
         " kernels";
}

std::string describe(const StreamChoice& c) {
  return "The stream choice for " + text(c.stored_rows) + " x " + text(c.k) + (c.paired ? " paired" : "") +
         " weights, " + text(c.tokens) + " tokens and " + text(c.sms) + " SMs";
}

std::string describe(const TileChoice& c) {
  return "The tile choice for " + text(c.stored_rows) + " x " + text(c.k) + (c.paired ? " paired" : "") + " weights, " +
         text(c.rows) + " rows and " + text(c.sms) + " SMs";
}

template <class Choice>
void check(bool right, const Choice& choice, const std::string& expected, int64_t found) {
  R1_CHECK(right, ErrorCode::kBadInput,
           describe(choice) + " needs " + expected + ", found " + text(found) +
               ". Correct it, or delete it, and the rules will choose.");
}

template <class Choice>
void check_shape(const Choice& choice) {
  check(choice.stored_rows > 0, choice, "stored rows of at least 1", choice.stored_rows);
  check(choice.k > 0, choice, "a k of at least 1", choice.k);
}

template <class Map, class Key, class Value, class Choice>
void insert(Map& map, const Key& key, const Value& value, const Choice& choice) {
  R1_CHECK(map.emplace(key, value).second, ErrorCode::kBadInput,
           describe(choice) + " is given twice. Delete one of the two.");
}

/** "8, 16, 32 or 64" */
template <class List, class Of>
std::string either(const List& list, Of&& of) {
  std::string out;
  for (const auto& one : list) {
    const std::string name = of(one);
    if (!name.empty()) out += (out.empty() ? "" : ", ") + name;
  }
  const size_t last = out.rfind(", ");
  return last == std::string::npos ? out : out.replace(last, 2, " or ");
}

}  // namespace

ChoiceTable::ChoiceTable(const LinearChoices& choices) {
  for (const SplitsChoice& choice : choices.splits) add(choice);
  for (const StreamChoice& choice : choices.stream) add(choice);  // whose memory depends on the splits
  for (const TileChoice& choice : choices.tile) add(choice);
}

void ChoiceTable::add(const SplitsChoice& choice) {
  check_shape(choice);
  const auto family = std::find_if(kSplitting.begin(), kSplitting.end(),
                                   [&](KernelFamily one) { return family_name(one) == choice.family; });
  R1_CHECK(family != kSplitting.end(), ErrorCode::kBadInput,
           describe(choice) + " needs one of the families " +
               either(kSplitting, [](KernelFamily one) { return std::string(family_name(one)); }) + ".");
  const int64_t most = std::min<int64_t>(kMostSplits, ceil_div(choice.k, kSplitUnit));
  check(choice.splits >= 1 && choice.splits <= most, choice,
        "1 to " + text(most) + " (at most " + text(kMostSplits) + " of at least " + text(kSplitUnit) + " values of k)",
        choice.splits);
  const int64_t sums = ceil_div(choice.stored_rows, kDecodeTileRows) * choice.splits;
  check(*family == KernelFamily::kSm90 || choice.splits == 1 || sums <= kMaxSplitTiles, choice,
        "at most " + text(kMaxSplitTiles) + " partial sums of " + text(kDecodeTileRows) + " rows in all", sums);
  insert(splits_, SplitsKey{family_name(*family), choice.stored_rows, choice.k}, choice.splits, choice);
}

void ChoiceTable::add(const StreamChoice& choice) {
  check_shape(choice);
  check(choice.sms > 0, choice, "a device of at least 1 SM", choice.sms);
  const StreamTile tile{choice.tokens, choice.tile_rows};
  const auto legal = [&](const StreamTile& one) {
    return one.tokens == tile.tokens && stream_tile_fits(one, choice.paired);
  };
  check(std::any_of(kStreamTiles.begin(), kStreamTiles.end(), legal), choice, "8, 16, 32 or 64 tokens", tile.tokens);
  const std::string rows =
      either(kStreamTiles, [&](const StreamTile& one) { return legal(one) ? text(one.rows) : ""; });
  check(std::any_of(kStreamTiles.begin(), kStreamTiles.end(),
                    [&](const StreamTile& one) { return legal(one) && one.rows == tile.rows; }),
        choice, "tiles of " + rows + " rows", tile.rows);
  const bool decode = choice.numeric_class == NumericClass::kDecode;
  const int chosen = splits(KernelFamily::kSm90, choice.stored_rows, choice.k);
  const int split = !decode ? 1 : chosen > 0 ? chosen : decode_splits(choice.stored_rows, choice.k);
  const StreamMemory memory(tile, split);
  check(choice.stages >= kLeastStages && choice.stages <= memory.stages(1), choice,
        text(kLeastStages) + " to " + text(memory.stages(1)) + " stages of " + text(memory.stage) +
            " bytes, which with splits of " + text(split) + " fit into " + text(kMostShared) +
            " bytes of shared memory",
        choice.stages);
  insert(stream_,
         StreamKey{choice.numeric_class, choice.sms, choice.stored_rows, choice.k, choice.tokens, choice.paired},
         choice, choice);
}

void ChoiceTable::add(const TileChoice& choice) {
  check_shape(choice);
  check(choice.sms > 0, choice, "a device of at least 1 SM", choice.sms);
  check(choice.rows > 0 && choice.rows % kPrefillTokens == 0, choice,
        "rows that are a multiple of " + text(kPrefillTokens), choice.rows);
  const auto legal = [&](const PrefillTile& tile) { return tile.columns == choice.columns; };
  check(std::any_of(kPrefillTiles.begin(), kPrefillTiles.end(), legal), choice,
        "tiles of " + either(kPrefillTiles, [](const PrefillTile& tile) { return text(tile.columns); }) + " columns",
        choice.columns);
  check(choice.band >= 1 && choice.band <= kMostBand, choice, "a band of 1 to " + text(kMostBand), choice.band);
  insert(tile_, TileKey{choice.sms, choice.stored_rows, choice.k, choice.rows / kPrefillTokens, choice.paired}, choice,
         choice);
}

const StreamChoice* ChoiceTable::stream(NumericClass numeric_class, int sms, int64_t stored_rows, int64_t k, int tokens,
                                        bool paired) const {
  const auto found = stream_.find({numeric_class, sms, stored_rows, k, tokens, paired});
  return found == stream_.end() ? nullptr : &found->second;
}

const TileChoice* ChoiceTable::tile(int sms, int64_t stored_rows, int64_t k, int rows, bool paired) const {
  const auto found = tile_.find({sms, stored_rows, k, ceil_div(rows, kPrefillTokens), paired});
  return found == tile_.end() ? nullptr : &found->second;
}

int ChoiceTable::splits(KernelFamily family, int64_t stored_rows, int64_t k) const {
  const auto found = splits_.find({family_name(family), stored_rows, k});
  return found == splits_.end() ? 0 : found->second;
}

}  // namespace r1::cuda
