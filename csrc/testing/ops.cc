// The table of ops: how each takes its parameters from a test's object.
#include "base/error.h"
#include "testing/op_call.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

void embed(OpCall& call) {
  const Matrix* table = call.matrix("table");
  call.backend().embed({&call.step(), table, call.f32_output("residual", table->cols), {}});
}

void norm_linear(OpCall& call) {
  const Matrix* weight = call.matrix("weight");
  NormLinearParams params{};
  params.step = &call.step();
  params.residual = call.f32_input("residual", weight->cols);
  params.gain = call.vector("gain");
  params.eps = call.real("eps");
  params.weight = weight;
  params.bias = call.vector("bias");
  params.out = call.act_output("out", weight->rows);
  call.backend().norm_linear(params);
}

/** All but qkv. */
RopeAppendParams rope_params(OpCall& call) {
  RopeAppendParams params{};
  params.step = &call.step();
  params.heads = call.integer("heads");
  params.kv_heads = call.integer("kvHeads");
  params.head_dim = call.integer("headDim");
  params.q_norm = call.vector("qNorm");
  params.k_norm = call.vector("kNorm");
  params.norm_eps = call.real("eps");
  params.inv_freq = call.vector("invFreq");
  params.rope_scale = call.real("ropeScale");
  params.kv = call.kv("kv");
  params.layer = call.integer("layer");
  return params;
}

void rope_append(OpCall& call) {
  RopeAppendParams params = rope_params(call);
  params.qkv = call.act_inout("qkv", int64_t{params.heads + 2 * params.kv_heads} * params.head_dim);
  call.backend().rope_append(params);
}

void attention(OpCall& call) {
  AttentionParams params{};
  params.step = &call.step();
  params.heads = call.integer("heads");
  params.kv_heads = call.integer("kvHeads");
  params.head_dim = call.integer("headDim");
  params.qkv = call.act_input("qkv", int64_t{params.heads + 2 * params.kv_heads} * params.head_dim);
  params.out = call.act_output("out", int64_t{params.heads} * params.head_dim);
  params.scale = call.real("scale");
  params.kv = call.kv("kv");
  params.layer = call.integer("layer");
  params.mask.window = call.integer("window");
  call.backend().attention(params);
}

void linear_residual(OpCall& call) {
  const Matrix* weight = call.matrix("weight");
  LinearResidualParams params{};
  params.step = &call.step();
  params.x = call.act_input("x", weight->cols);
  params.x_scale = call.vector("xScale");
  params.weight = weight;
  params.bias = call.vector("bias");
  params.residual = call.f32_inout("residual", weight->rows);
  call.backend().linear_residual(params);
}

/** All but the residual and what belongs to it. */
NormSwigluParams swiglu_params(OpCall& call) {
  const Matrix* weight = call.matrix("weight");
  NormSwigluParams params{};
  params.step = &call.step();
  params.eps = call.real("eps");
  params.weight = weight;
  params.bias = call.vector("bias");
  params.out = call.act_output("out", weight->rows / 2);
  if (call.precision() == DType::kF16) params.out_scale = call.f32_output("outScale", 1);
  return params;
}

void norm_swiglu(OpCall& call) {
  NormSwigluParams params = swiglu_params(call);
  params.residual = call.f32_input("residual", params.weight->cols);
  params.gain = call.vector("gain");
  call.backend().norm_swiglu(params);
}

void head(OpCall& call) {
  const Matrix* weight = call.matrix("weight");
  HeadParams params{};
  params.step = &call.step();
  params.residual = call.f32_input("residual", weight->cols);
  params.gain = call.vector("gain");
  params.eps = call.real("eps");
  params.weight = weight;
  params.first = call.integer("first");
  params.count = call.integer("count");
  params.logits = call.f32_output("logits", weight->rows, params.count);
  call.backend().head(params);
}

// ---- an op that writes the residual stream, and the one that norms it then

NormInput norm_input(OpCall& call, int64_t hidden) {
  return {call.vector("gain"), call.act_output("scaled", hidden),
          call.f32_output("squares", squares_stride(hidden, call.step().rows))};
}

/** residual += x · W^T with `first`; the norm's input is left. */
LinearResidualParams residual_before_norm(OpCall& call) {
  const Matrix* weight = call.matrix("first");
  LinearResidualParams params{};
  params.step = &call.step();
  params.x = call.act_input("x", weight->cols);
  params.weight = weight;
  params.bias = call.vector("firstBias");
  params.residual = call.f32_inout("residual", weight->rows);
  params.next = norm_input(call, weight->rows);
  call.backend().linear_residual(params);
  return params;
}

NormLinearParams prepared_linear(OpCall& call, const NormInput& prepared, const float* residual, void* out) {
  return {.step = &call.step(),
          .residual = residual,
          .gain = prepared.gain,
          .eps = call.real("eps"),
          .prepared = prepared,
          .weight = call.matrix("weight"),
          .bias = call.vector("bias"),
          .out = out};
}

void embed_norm_linear(OpCall& call) {
  const Matrix* table = call.matrix("table");
  EmbedParams params{&call.step(), table, call.f32_output("residual", table->cols), norm_input(call, table->cols)};
  call.backend().embed(params);
  void* out = call.act_output("out", call.matrix("weight")->rows);
  call.backend().norm_linear(prepared_linear(call, params.next, params.residual, out));
}

void residual_norm_linear(OpCall& call) {
  const LinearResidualParams before = residual_before_norm(call);
  void* out = call.act_output("out", call.matrix("weight")->rows);
  call.backend().norm_linear(prepared_linear(call, before.next, before.residual, out));
}

void residual_norm_swiglu(OpCall& call) {
  const LinearResidualParams before = residual_before_norm(call);
  NormSwigluParams params = swiglu_params(call);
  params.residual = before.residual;
  params.gain = before.next.gain;
  params.prepared = before.next;
  call.backend().norm_swiglu(params);
}

void residual_norm_qkv(OpCall& call) {
  const LinearResidualParams before = residual_before_norm(call);
  RopeAppendParams rope = rope_params(call);
  rope.qkv = call.act_output("qkv", call.matrix("weight")->rows);
  call.backend().norm_qkv(prepared_linear(call, before.next, before.residual, rope.qkv), rope);
}

struct Op {
  const char* name;
  void (*call)(OpCall&);
};

constexpr Op kOps[] = {
    {"embed", embed},
    {"norm_linear", norm_linear},
    {"rope_append", rope_append},
    {"attention", attention},
    {"linear_residual", linear_residual},
    {"norm_swiglu", norm_swiglu},
    {"head", head},
    {"embed_norm_linear", embed_norm_linear},
    {"residual_norm_linear", residual_norm_linear},
    {"residual_norm_swiglu", residual_norm_swiglu},
    {"residual_norm_qkv", residual_norm_qkv},
};

}  // namespace

void call_op(const std::string& name, OpCall& call) {
  for (const Op& op : kOps) {
    if (name == op.name) return op.call(call);
  }
  R1_THROW(ErrorCode::kInvalidArgument, "there is no op named " + name);
}

}  // namespace r1::testing
