#include "binding/linear_choices.h"

#include <utility>

namespace r1 {
namespace {

constexpr int64_t kMaxInt = INT32_MAX;
constexpr std::pair<const char*, NumericClass> kClasses[] = {{"prefill", NumericClass::kPrefill},
                                                             {"decode", NumericClass::kDecode}};

int32_t int32_of(const JsObject& from, const char* key) {
  return static_cast<int32_t>(from.integer(key, INT32_MIN, kMaxInt));
}

int64_t dimension(const JsObject& from, const char* key) { return from.integer(key, 0, kMaxInt); }

StreamChoice parse_stream(const JsObject& from) {
  return {.numeric_class = from.one_of("numericClass", kClasses),
          .sms = int32_of(from, "sms"),
          .stored_rows = dimension(from, "storedRows"),
          .k = dimension(from, "k"),
          .tokens = int32_of(from, "tokens"),
          .paired = from.boolean("paired"),
          .tile_rows = int32_of(from, "tileRows"),
          .stages = int32_of(from, "stages")};
}

TileChoice parse_tile(const JsObject& from) {
  return {.sms = int32_of(from, "sms"),
          .stored_rows = dimension(from, "storedRows"),
          .k = dimension(from, "k"),
          .rows = int32_of(from, "rows"),
          .paired = from.boolean("paired"),
          .columns = int32_of(from, "columns"),
          .band = int32_of(from, "band")};
}

SplitsChoice parse_splits(const JsObject& from) {
  return {.family = from.string("family"),
          .stored_rows = dimension(from, "storedRows"),
          .k = dimension(from, "k"),
          .splits = int32_of(from, "splits")};
}

Napi::Object row(Napi::Env env, const StreamChoice& choice) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("numericClass", choice.numeric_class == NumericClass::kDecode ? "decode" : "prefill");
  out.Set("sms", choice.sms);
  out.Set("storedRows", static_cast<double>(choice.stored_rows));
  out.Set("k", static_cast<double>(choice.k));
  out.Set("tokens", choice.tokens);
  out.Set("paired", choice.paired);
  out.Set("tileRows", choice.tile_rows);
  out.Set("stages", choice.stages);
  return out;
}

Napi::Object row(Napi::Env env, const TileChoice& choice) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("sms", choice.sms);
  out.Set("storedRows", static_cast<double>(choice.stored_rows));
  out.Set("k", static_cast<double>(choice.k));
  out.Set("rows", choice.rows);
  out.Set("paired", choice.paired);
  out.Set("columns", choice.columns);
  out.Set("band", choice.band);
  return out;
}

Napi::Object row(Napi::Env env, const SplitsChoice& choice) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("family", choice.family);
  out.Set("storedRows", static_cast<double>(choice.stored_rows));
  out.Set("k", static_cast<double>(choice.k));
  out.Set("splits", choice.splits);
  return out;
}

template <class Choice>
Napi::Array rows(Napi::Env env, const std::vector<Choice>& choices) {
  Napi::Array out = Napi::Array::New(env);
  for (const Choice& choice : choices) out.Set(out.Length(), row(env, choice));
  return out;
}

Napi::Object lists(Napi::Env env, const LinearChoices& choices) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("stream", rows(env, choices.stream));
  out.Set("tile", rows(env, choices.tile));
  out.Set("splits", rows(env, choices.splits));
  return out;
}

}  // namespace

LinearChoices parse_linear_choices(const JsObject& from) {
  LinearChoices choices;
  for (const JsObject& one : from.objects("stream")) choices.stream.push_back(parse_stream(one));
  for (const JsObject& one : from.objects("tile")) choices.tile.push_back(parse_tile(one));
  for (const JsObject& one : from.objects("splits")) choices.splits.push_back(parse_splits(one));
  return choices;
}

Napi::Object to_js(Napi::Env env, const LinearOptions& options) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("now", lists(env, options.now));
  out.Set("candidates", lists(env, options.candidates));
  return out;
}

}  // namespace r1
