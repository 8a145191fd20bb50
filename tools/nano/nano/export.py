"""Writes a training checkpoint as a Hugging Face folder under models/.

    python3 -m nano.export r1-nano --work DIR
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from . import chat, checkpoint, config


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=config.load()["models"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    arguments = parser.parse_args()
    saved = checkpoint.load(arguments.work)
    if saved is None:
        raise SystemExit(f"{arguments.work} holds no checkpoint: run nano.train first")
    tensors, about = saved
    if about["model"] != arguments.model:
        raise SystemExit(f"{arguments.work} holds a checkpoint of {about['model']}, expected {arguments.model}")
    shape = config.shape_of(config.load(), arguments.model)
    folder = config.REPOSITORY / "models" / arguments.model
    folder.mkdir(parents=True, exist_ok=True)
    weights = {n.removeprefix("weight."): t for n, t in tensors.items() if n.startswith("weight.")}
    weights = {n: t.to(torch.bfloat16).contiguous() for n, t in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    tokenizer = Tokenizer.from_file(str(config.TOKENIZER))
    bos, eos, pad = (tokenizer.token_to_id(token) for token in (chat.BOS, chat.EOS, chat.PAD))
    write_json(folder / "config.json", {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "hidden_act": "silu",
        "max_position_embeddings": shape.max_position_embeddings,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.rms_norm_eps,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "torch_dtype": "bfloat16",
    })  # fmt: skip
    generation = {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad, "do_sample": False}
    write_json(folder / "generation_config.json", generation)
    if folder != config.TOKENIZER.parent:
        shutil.copyfile(config.TOKENIZER, folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer",
        "bos_token": chat.BOS,
        "eos_token": chat.EOS,
        "pad_token": chat.PAD,
        "unk_token": chat.PAD,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.max_position_embeddings,
        "chat_template": chat.TEMPLATE,
    })  # fmt: skip
    size = sum(file.stat().st_size for file in folder.iterdir())
    parameters = sum(t.numel() for t in weights.values())
    print(f"{folder}: {parameters} parameters, {size / 2**20:.2f} MiB, after {about['step']} steps")


if __name__ == "__main__":
    main()
