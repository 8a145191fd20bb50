#include "backend/cuda/step.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cuda/attention_deal.h"
#include "backend/cuda/matrix.h"

namespace r1::cuda {
namespace {

constexpr int64_t kAlign = 16;
constexpr int64_t kTailSlack = 1 << 20;  // bytes of LogitEdits that fit before the buffer has to grow
// Of a step's arrays, at most: one block of threads has 64 KiB on their way at a time, and the copy engine is quicker
// with more than a few times that.
constexpr int64_t kMostFetched = 256 << 10;
// What is fetched of either place before it is known which one counts: a row's tail of 1024 tokens without LogitEdits,
// and of few rows one of many more.
constexpr int64_t kUsualTail = 64, kLeastAhead = 4 << 10;  // bytes

int32_t count_tiles(const Step& step, int32_t tile_rows) {
  int32_t tiles = 0;
  for (int32_t s = 0; s < step.sequence_count; ++s) tiles += (step.sequences[s].rows + tile_rows - 1) / tile_rows;
  return tiles;
}

int64_t tail_bytes(const Step& step) {
  int64_t words = 0;
  for (int32_t s = 0; s < step.sequence_count; ++s) words += step.sequences[s].block_count;
  return words * 4 + step.edit_count * static_cast<int64_t>(sizeof(LogitEdit));
}

}  // namespace

StepBuffer::StepBuffer(LaunchContext& context, const BackendOptions& options)
    : context_(context),
      options_(options),
      tile_rows_(prefill_tile_rows(context.family(), options.precision)),
      results_(std::max(options.max_logit_rows, kMaxDecodeRows) * static_cast<int64_t>(sizeof(SampleResult)),
               "sampling results"),
      taken_(sizeof(int64_t), "a step's number"),
      places_{Place(results_.bytes()), Place(results_.bytes())} {
  R1_CUDA(memset_d8_async(taken_.address(), 0, sizeof(int64_t), context.stream()));
  const int64_t rows = std::max(options.max_rows, kMaxDecodeRows);
  const int64_t tiles = rows / kPrefillTileRows + options.max_sequences + 1;
  const int64_t sequences = std::max(options.max_sequences, kMaxDecodeRows);
  const Layout at = lay_out(rows, sequences, std::max(options.max_logit_rows, kMaxDecodeRows), tiles);
  const int64_t blocks = sequences * std::min(options.max_blocks_per_sequence, 4096);
  reserve(at.tail + blocks * 4 + kTailSlack);
}

StepBuffer::Layout StepBuffer::lay_out(int64_t rows, int64_t sequences, int64_t logits, int64_t tiles) {
  int64_t offset = sizeof(StepHead);
  const auto take = [&](int64_t bytes) {
    const int64_t at = offset;
    offset = round_up(offset + bytes, kAlign);
    return at;
  };
  Layout at{};
  at.tokens = take(rows * 4);
  at.positions = take(rows * 4);
  at.slots = take(rows * 4);
  at.row_sequence = take(rows * 4);
  at.sequence_begin = take(sequences * 4);
  at.logit_rows = take(logits * 4);
  at.samples = take(logits * static_cast<int64_t>(sizeof(SampleRow)));
  at.tiles = take(tiles * static_cast<int64_t>(sizeof(PrefillTile)));
  at.tail = offset;
  return at;
}

void StepBuffer::check(const Step& step) const {
  const bool decode = step.numeric_class == NumericClass::kDecode;
  const int32_t max_rows = decode ? std::min(kMaxDecodeRows, options_.max_rows) : options_.max_rows;
  R1_CHECK(step.rows >= 1 && step.rows <= max_rows, ErrorCode::kInvalidArgument,
           "a step has " + std::to_string(step.rows) + " rows; expected 1 to " + std::to_string(max_rows) + ".");
  R1_CHECK(step.logit_count >= 0 && step.logit_count <= options_.max_logit_rows, ErrorCode::kInvalidArgument,
           "a step wants logits of " + std::to_string(step.logit_count) + " rows; at most " +
               std::to_string(options_.max_logit_rows) + " were planned.");
  R1_CHECK(!decode || step.sequence_count <= step.rows, ErrorCode::kInvalidArgument,
           "a decode step has fewer rows than sequences.");
  R1_CHECK(step.sequence_count <= options_.max_sequences, ErrorCode::kInvalidArgument,
           "a step has " + std::to_string(step.sequence_count) + " sequences; at most " +
               std::to_string(options_.max_sequences) + " were planned.");
}

void StepBuffer::reserve(int64_t bytes) {
  if (bytes <= device_.bytes()) return;
  bytes = std::max(bytes, device_.bytes() * 3 / 2);
  R1_CUDA(stream_synchronize(context_.stream()));
  for (Place& place : places_) {
    place.arrays = PinnedMemory(bytes);
    place.arrays.as<StepHead>()->number = 0;
  }
  device_ = DeviceMemory();
  context_.invalidate_graphs();
  device_ = DeviceMemory(bytes, "the arrays of a step");
}

/**
 * The other place: its step is over, since its results were read. Where the last step has not ended its place is taken
 * again, so that step_fetch never finds a step that was begun and given up. A step that was run twice must be over, as
 * its second fetch would find this one.
 */
void StepBuffer::take_place() {
  R1_CHECK(ended_ - read_ < kStepsInFlight, ErrorCode::kInternal, "a step was begun and the results of two wait.");
  if (!place().ended || runs_ > 1) R1_CUDA(stream_synchronize(context_.stream()));
  if (place().ended) current_ = (current_ + 1) % places_.size();
  place().ended = false;
  runs_ = 0;
}

const StepView& StepBuffer::begin(const Step& step) {
  check(step);
  const bool decode = step.numeric_class == NumericClass::kDecode;
  tile_count_ = decode ? 0 : count_tiles(step, tile_rows_);
  view_.numeric_class = step.numeric_class;
  // Never above what the layers above have allocated for.
  view_.rows = decode ? std::min(decode_bucket(step.rows), options_.max_rows) : step.rows;
  view_.logit_count = decode ? std::min(decode_bucket(step.logit_count), options_.max_logit_rows) : step.logit_count;
  const Layout at = decode ? lay_out(view_.rows, view_.rows, view_.logit_count, 0)
                           : lay_out(step.rows, step.sequence_count, step.logit_count, tile_count_);
  take_place();
  reserve(at.tail + tail_bytes(step));
  head() = {.number = 0,
            .pieces = 0,
            .logit_limit = step.logit_count,
            .host_results = place().results.as<SampleResult>(),
            .edit_begin = 0,
            .reserved = 0};
  place().logit_count = step.logit_count;
  pack_rows(step, at);
  pack_tiles(step, at);
  send(at, pack_tail(step, at));
  point_at(at);
  return view_;
}

void StepBuffer::send(const Layout& at, int64_t bytes) {
  const bool decode = view_.numeric_class == NumericClass::kDecode;
  on_device_ = !decode || bytes > kMostFetched;
  if (!on_device_) head().pieces = static_cast<int32_t>(round_up(bytes, kAlign) / kAlign);
  if (decode) head().number = ++numbers_;  // also of one that is copied: its graph looks for it
  if (on_device_) {
    R1_CUDA(memcpy_htod_async(device_.address(), place().arrays.data(), static_cast<size_t>(bytes), context_.stream()));
  }
  const int64_t usual = std::clamp(at.tail + view_.rows * kUsualTail, kLeastAhead, kFetchThreads * kAlign);
  ahead_ = static_cast<int32_t>(std::min(usual, device_.bytes()) / kAlign);
}

void StepBuffer::run() {
  ++runs_;
  on_device_ = true;
}

void StepBuffer::fetch() {
  const StepFetchArgs args{.places = {places_[0].arrays.as<StepHead>(), places_[1].arrays.as<StepHead>()},
                           .to = device_.as<StepHead>(),
                           .taken = taken_.as<int64_t>(),
                           .ahead = ahead_};
  context_.launch(context_.kernel("step_fetch"), {.block = kFetchThreads, .overlap = false}, args);
  context_.fence();  // step_fetch.cu says why
}

const StepArrays& StepBuffer::arrays() const {
  R1_CHECK(on_device_, ErrorCode::kInternal, "an op of a decode step outside of run().");
  return arrays_;
}

void StepBuffer::pack_rows(const Step& step, const Layout& at) {
  const auto copy = [&](int64_t offset, const int32_t* from, int32_t count, int32_t padded, int32_t pad) {
    std::copy_n(from, count, host<int32_t>(offset));
    std::fill(host<int32_t>(offset) + count, host<int32_t>(offset) + padded, pad);
  };
  copy(at.tokens, step.tokens, step.rows, view_.rows, 0);
  copy(at.positions, step.positions, step.rows, view_.rows, 0);
  copy(at.slots, step.slots, step.rows, view_.rows, 0);
  last_slot_ = *std::max_element(step.slots, step.slots + step.rows);
  std::fill_n(host<int32_t>(at.row_sequence), view_.rows, -1);
  for (int32_t s = 0; s < step.sequence_count; ++s) {
    const StepSequence& sequence = step.sequences[s];
    R1_CHECK(sequence.first_row >= 0 && sequence.rows >= 0 && sequence.first_row + sequence.rows <= step.rows,
             ErrorCode::kInternal, "a sequence's rows lie outside of its step.");
    std::fill_n(host<int32_t>(at.row_sequence) + sequence.first_row, sequence.rows, s);
  }
  copy(at.logit_rows, step.logit_rows, step.logit_count, view_.logit_count, 0);
  std::copy_n(step.samples, step.logit_count, host<SampleRow>(at.samples));
}

// Longest first, so that the last blocks to run are short.
void StepBuffer::pack_tiles(const Step& step, const Layout& at) {
  if (tile_count_ == 0) return;
  std::vector<PrefillTile> tiles;
  tiles.reserve(static_cast<size_t>(tile_count_));
  for (int32_t s = 0; s < step.sequence_count; ++s) {
    const StepSequence& sequence = step.sequences[s];
    for (int32_t row = 0; row < sequence.rows; row += tile_rows_) {
      tiles.push_back({sequence.first_row + row, std::min(tile_rows_, sequence.rows - row), s, 0});
    }
  }
  const auto last_slot = [&](const PrefillTile& tile) { return step.slots[tile.first_row + tile.rows - 1]; };
  std::stable_sort(tiles.begin(), tiles.end(),
                   [&](const PrefillTile& a, const PrefillTile& b) { return last_slot(a) > last_slot(b); });
  deal_total_ = 0;
  for (PrefillTile& tile : tiles) {
    tile.before = deal_total_;
    deal_total_ += key_tiles(last_slot(tile));
  }
  std::copy(tiles.begin(), tiles.end(), host<PrefillTile>(at.tiles));
}

int64_t StepBuffer::pack_tail(const Step& step, const Layout& at) {
  int32_t* tail = host<int32_t>(at.tail);
  int32_t words = 0;
  for (int32_t s = 0; s < step.sequence_count; ++s) {
    const StepSequence& sequence = step.sequences[s];
    host<int32_t>(at.sequence_begin)[s] = words;
    std::copy_n(sequence.blocks, sequence.block_count, tail + words);
    words += sequence.block_count;
  }
  head().edit_begin = words;
  const int64_t edit_bytes = step.edit_count * static_cast<int64_t>(sizeof(LogitEdit));
  if (edit_bytes) std::memcpy(tail + words, step.edits, static_cast<size_t>(edit_bytes));
  return at.tail + int64_t{words} * 4 + edit_bytes;
}

void StepBuffer::point_at(const Layout& at) {
  char* base = device_.as<char>();
  const auto ints = [&](int64_t offset) { return reinterpret_cast<const int32_t*>(base + offset); };
  arrays_ = {.head = device_.as<StepHead>(),
             .tokens = ints(at.tokens),
             .positions = ints(at.positions),
             .slots = ints(at.slots),
             .row_sequence = ints(at.row_sequence),
             .sequence_begin = ints(at.sequence_begin),
             .tail = ints(at.tail),
             .logit_rows = ints(at.logit_rows),
             .samples = reinterpret_cast<const SampleRow*>(base + at.samples),
             .results = results()};
  tiles_ = reinterpret_cast<const PrefillTile*>(base + at.tiles);
  view_.tokens = arrays_.tokens;
  view_.positions = arrays_.positions;
  view_.slots = arrays_.slots;
  view_.row_sequence = arrays_.row_sequence;
  view_.block_table = arrays_.tail;
  view_.block_table_stride = 0;  // sequences' block ids are packed: StepArrays::sequence_begin says where each begins
  view_.logit_rows = arrays_.logit_rows;
}

void StepBuffer::end() {
  R1_CHECK(!place().ended, ErrorCode::kInternal, "a step has ended twice.");
  place().done.record(context_.stream());
  place().ended = true;
  unread_[static_cast<size_t>(ended_++ % kStepsInFlight)] = current_;
}

void StepBuffer::read_results(SampleResult* out) {
  if (read_ == ended_) end();
  Place& from = places_[unread_[static_cast<size_t>(read_++ % kStepsInFlight)]];
  from.done.wait();
  std::copy_n(from.results.as<SampleResult>(), from.logit_count, out);
}

}  // namespace r1::cuda
