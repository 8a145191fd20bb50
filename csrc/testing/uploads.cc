#include "testing/uploads.h"

#include <atomic>
#include <cstring>

#include "backend/cuda/matrix.h"
#include "backend/cuda/upload_queue.h"
#include "engine/loader.h"
#include "testing/load_spec.h"
#include "testing/memory_source.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

constexpr int kPoisonByte = 0xa5;

MatrixRole role_named(const std::string& name) { return name == "gateUp" ? MatrixRole::kGateUp : MatrixRole::kLinear; }

struct Counts {
  std::atomic<int> made{0}, alive{0}, sent{0};
  int fail_at = 0;  // which piece cannot be sent, from 1
};

/** Copies a stage as late as the device may: when it is wanted again, or at the end. */
class LateStages final : public cuda::StageWriter {
 public:
  LateStages(Counts& counts, int64_t bytes) : counts_(counts) {
    ++counts_.made;
    ++counts_.alive;
    for (Stage& stage : stages_) stage.bytes.resize(static_cast<size_t>(bytes));
  }
  ~LateStages() override {
    for (Stage& stage : stages_) copy(stage);
    --counts_.alive;
  }
  std::byte* next() override {
    current_ = 1 - current_;
    Stage& stage = stages_[current_];
    copy(stage);
    std::memset(stage.bytes.data(), kPoisonByte, stage.bytes.size());
    return stage.bytes.data();
  }
  void send(uint64_t to, int64_t bytes) override {
    R1_CHECK(++counts_.sent != counts_.fail_at, ErrorCode::kDeviceLost, "a copy was made to fail by a test");
    stages_[current_].to = to;
    stages_[current_].count = bytes;
  }

 private:
  struct Stage {
    std::vector<std::byte> bytes;
    uint64_t to = 0;
    int64_t count = 0;
  };
  static void copy(Stage& stage) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (stage.count > 0) std::memcpy(reinterpret_cast<void*>(stage.to), stage.bytes.data(), stage.count);
    stage.count = 0;
  }

  Counts& counts_;
  Stage stages_[2];
  size_t current_ = 0;
};

}  // namespace

Napi::Value plan_of_upload(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    Napi::Env env = info.Env();
    const Napi::Array given = info[0].As<Napi::Array>();
    std::vector<int64_t> part_rows;
    part_rows.reserve(given.Length());
    for (uint32_t i = 0; i < given.Length(); ++i) part_rows.push_back(given.Get(i).ToNumber().Int64Value());
    const auto pieces = cuda::plan_upload(part_rows, role_named(info[1].ToString()), info[2].ToNumber().Int64Value(),
                                          info[3].ToNumber().Int64Value());
    Napi::Array out = Napi::Array::New(env, pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      Napi::Object piece = Napi::Object::New(env);
      piece.Set("first", static_cast<double>(pieces[i].first));
      piece.Set("rows", static_cast<double>(pieces[i].rows));
      Napi::Array runs = Napi::Array::New(env, pieces[i].runs.size());
      for (size_t r = 0; r < pieces[i].runs.size(); ++r) {
        const cuda::RowRun& from = pieces[i].runs[r];
        Napi::Object run = Napi::Object::New(env);
        run.Set("part", from.part);
        run.Set("first", static_cast<double>(from.first));
        run.Set("rows", static_cast<double>(from.rows));
        run.Set("at", static_cast<double>(from.at));
        runs.Set(static_cast<uint32_t>(r), run);
      }
      piece.Set("runs", runs);
      out.Set(static_cast<uint32_t>(i), piece);
    }
    return out;
  });
}

Napi::Value pack_upload(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    Napi::Env env = info.Env();
    const auto parts = std::make_shared<const WeightParts>(weight_parts(info[0].ToObject()));
    const MatrixRole role = role_named(text_or(info[0].ToObject(), "role", "linear"));
    const DType dtype = dtype_named(info[1].ToString());
    const Napi::Object options = info[2].ToObject();
    Counts counts;
    counts.fail_at = static_cast<int>(number_or(options, "failAt", 0));
    const int64_t ld = cuda::CudaMatrix::stored_cols(parts->cols()), row_bytes = ld * dtype_size(dtype);
    const int64_t stored_rows = cuda::CudaMatrix::count_stored_rows(parts->rows(), role);
    std::vector<uint8_t> device(static_cast<size_t>(stored_rows * row_bytes), kPoisonByte);
    std::vector<int64_t> part_rows;
    part_rows.reserve(parts->parts.size());
    for (const auto& part : parts->parts) part_rows.push_back(part->rows);
    const auto stage_bytes =
        static_cast<int64_t>(number_or(options, "stageBytes", static_cast<double>(UploadOptions{}.stage_bytes)));
    cuda::UploadQueue queue([&] { return std::make_unique<LateStages>(counts, stage_bytes); },
                            static_cast<int>(number_or(options, "threads", 1)), stage_bytes);
    for (cuda::UploadPiece& piece : cuda::plan_upload(part_rows, role, row_bytes, stage_bytes)) {
      const int64_t offset = piece.first * row_bytes, bytes = piece.rows * row_bytes;
      queue.add({.parts = parts,
                 .piece = std::move(piece),
                 .dtype = dtype,
                 .ld = ld,
                 .to = reinterpret_cast<uint64_t>(device.data() + offset),
                 .bytes = bytes});
    }
    if (present(options, "abandon")) {
      queue.abandon();
    } else {
      queue.finish();
    }
    R1_CHECK(counts.alive == 0, ErrorCode::kInternal, "threads are left");
    Napi::Object out = Napi::Object::New(env);
    out.Set("bytes", byte_array(env, device.data(), static_cast<int64_t>(device.size())));
    out.Set("writers", counts.made.load());
    out.Set("sent", counts.sent.load());
    return out;
  });
}

Napi::Value time_load(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    Napi::Env env = info.Env();
    const EngineSpec spec = load_spec(info[0].ToObject());
    const Napi::Object given = info[1].ToObject();
    UploadOptions upload;
    upload.stage_bytes = static_cast<int64_t>(number_or(given, "stageBytes", static_cast<double>(upload.stage_bytes)));
    const auto factory = [&](BackendOptions options, const DeviceSpec& device) {
      options.upload = upload;
      return create_backend(options, device);
    };
    const auto cancelled = std::make_shared<std::atomic<bool>>(false);
    const LoadedModel loaded = load_model(spec, factory, cancelled, [](const ProgressEvent&) {});
    Napi::Object out = Napi::Object::New(env);
    out.Set("device", loaded.info.load_ms.device);
    out.Set("weights", loaded.info.load_ms.weights);
    out.Set("bytes", static_cast<double>(loaded.info.weight_bytes));
    return out;
  });
}

}  // namespace r1::testing
