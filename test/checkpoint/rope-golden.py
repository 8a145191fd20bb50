"""Writes rope-golden.json: the RoPE frequencies and attention factors that transformers gives for a list of configs.

Usage: python rope-golden.py    (torch 2.13, transformers 5.23; CPU)
"""
import json, pathlib

from transformers import AutoConfig, AutoModel

TINY = dict(hidden_size=128, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, vocab_size=8)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32768)
CASES = {
    "default": dict(model_type="qwen2", rope_theta=10000.0),
    "absent theta": dict(model_type="qwen2"),
    "head_dim 128": dict(model_type="llama", rope_theta=500000.0, head_dim=128),
    "theta in the new layout": dict(model_type="llama", rope_parameters=dict(rope_type="default", rope_theta=123456.0)),
    "linear": dict(model_type="llama", rope_theta=10000.0, rope_scaling=dict(type="linear", factor=3.0)),
    "llama3": dict(model_type="llama", rope_theta=500000.0, head_dim=128, max_position_embeddings=131072, rope_scaling=LLAMA3),
    "llama3, new layout": dict(model_type="llama", max_position_embeddings=131072, rope_parameters=dict(LLAMA3, factor=32.0, rope_theta=500000.0)),
    "yarn": dict(model_type="qwen3", rope_theta=1000000.0, max_position_embeddings=131072, rope_scaling=YARN),
    "yarn, head_dim 64": dict(model_type="qwen3", rope_theta=1000000.0, head_dim=64, max_position_embeddings=131072, rope_scaling=YARN),
    "yarn, short": dict(model_type="qwen2", rope_theta=10000.0, max_position_embeddings=1024, rope_scaling=dict(YARN, factor=2.5, original_max_position_embeddings=256)),
    "yarn, not truncated": dict(model_type="qwen2", rope_theta=10000.0, max_position_embeddings=16384, rope_scaling=dict(YARN, original_max_position_embeddings=4096, truncate=False)),
    "yarn, betas": dict(model_type="qwen2", rope_theta=10000.0, max_position_embeddings=16384, rope_scaling=dict(YARN, original_max_position_embeddings=4096, beta_fast=16.0, beta_slow=2.0)),
    "yarn, attention_factor": dict(model_type="qwen3", rope_theta=1000000.0, max_position_embeddings=131072, rope_scaling=dict(YARN, attention_factor=1.0)),
    "yarn, mscale": dict(model_type="llama", rope_theta=10000.0, max_position_embeddings=163840, rope_scaling=dict(YARN, factor=40.0, original_max_position_embeddings=4096, mscale=1.0, mscale_all_dim=0.7)),
    "yarn, mscale alone": dict(model_type="llama", rope_theta=10000.0, max_position_embeddings=163840, rope_scaling=dict(YARN, factor=40.0, original_max_position_embeddings=4096, mscale=0.7)),
    "yarn, original length absent": dict(model_type="qwen2", rope_theta=10000.0, max_position_embeddings=4096, rope_scaling=dict(rope_type="yarn", factor=4.0)),
    "yarn, original length at the top": dict(model_type="qwen2", rope_theta=10000.0, max_position_embeddings=16384, original_max_position_embeddings=2048, rope_scaling=dict(YARN)),
    "scaling beside parameters": dict(model_type="llama", rope_theta=10000.0, rope_parameters=dict(rope_type="default", rope_theta=5.0), rope_scaling=dict(rope_type="linear", factor=2.0)),
    "theta in and beside the parameters": dict(model_type="llama", rope_theta=10000.0, rope_parameters=dict(rope_type="default", rope_theta=777.0)),
}

cases = []
for name, case in CASES.items():
    folder = pathlib.Path("/tmp/rope-golden")
    folder.mkdir(exist_ok=True)
    config = dict(TINY, **case)
    (folder / "config.json").write_text(json.dumps(config))
    rotary = AutoModel.from_config(AutoConfig.from_pretrained(folder)).rotary_emb
    assert str(rotary.inv_freq.dtype) == "torch.float32"
    cases.append(dict(name=name, config=config, scale=rotary.attention_scaling, invFreq=rotary.inv_freq.tolist()))
lines = ",\n".join("  " + json.dumps(case) for case in cases)
pathlib.Path(__file__).with_name("rope-golden.json").write_text(f"[\n{lines}\n]\n")
