// The table of ops: how each takes its parameters from a test's object.
#include "base/error.h"
#include "testing/op_call.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

void embed(OpCall& call) {
  const Matrix* table = call.matrix("table");
  call.backend().embed({&call.step(), table, call.f32_output("residual", table->cols)});
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

void rope_append(OpCall& call) {
  RopeAppendParams params{};
  params.step = &call.step();
  params.heads = call.integer("heads");
  params.kv_heads = call.integer("kvHeads");
  params.head_dim = call.integer("headDim");
  params.qkv = call.act_inout("qkv", int64_t{params.heads + 2 * params.kv_heads} * params.head_dim);
  params.q_norm = call.vector("qNorm");
  params.k_norm = call.vector("kNorm");
  params.norm_eps = call.real("eps");
  params.inv_freq = call.vector("invFreq");
  params.rope_scale = call.real("ropeScale");
  params.kv = call.kv("kv");
  params.layer = call.integer("layer");
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

void norm_swiglu(OpCall& call) {
  const Matrix* weight = call.matrix("weight");
  NormSwigluParams params{};
  params.step = &call.step();
  params.residual = call.f32_input("residual", weight->cols);
  params.gain = call.vector("gain");
  params.eps = call.real("eps");
  params.weight = weight;
  params.bias = call.vector("bias");
  params.out = call.act_output("out", weight->rows / 2);
  if (call.precision() == DType::kF16) params.out_scale = call.f32_output("outScale", 1);
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

struct Op {
  const char* name;
  void (*call)(OpCall&);
};

constexpr Op kOps[] = {
    {"embed", embed},         {"norm_linear", norm_linear},         {"rope_append", rope_append},
    {"attention", attention}, {"linear_residual", linear_residual}, {"norm_swiglu", norm_swiglu},
    {"head", head},
};

}  // namespace

void call_op(const std::string& name, OpCall& call) {
  for (const Op& op : kOps) {
    if (name == op.name) return op.call(call);
  }
  R1_THROW(ErrorCode::kInvalidArgument, "there is no op named " + name);
}

}  // namespace r1::testing
