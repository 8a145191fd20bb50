"""Exact-match accuracy of a training checkpoint on the held-out questions, by task, with and without reasoning.

    python3 -m nano.evaluate r1-nano --work DIR [--limit 50] [--failures 5]

A quick check while training, with the weights rounded to BF16; `r1 eval` is what is reported.
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import chat, checkpoint, config
from .example import Example
from .model import Qwen2, generate


def load_questions(limit: int | None) -> list[Example]:
    """The held-out questions, up to `limit` of each task."""
    out = []
    for path in sorted(config.HELD_OUT.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines()[:limit]:
            r = json.loads(line)
            messages = tuple((m["role"], m["content"]) for m in r.get("messages", ()))
            fields = {"prefix": r.get("prefix"), "suffix": r.get("suffix"), "messages": messages}
            out.append(Example(r["task"], r["language"], "", r["answer"], **fields))
    return out


def load_model(name: str, work: Path, device: str) -> Qwen2:
    """The model of a checkpoint, its weights rounded to BF16 as they are exported."""
    saved = checkpoint.load(work)
    if saved is None:
        raise SystemExit(f"{work} holds no checkpoint: run nano.train first")
    model = Qwen2(config.shape_of(config.load(), name))
    weights = {n.removeprefix("weight."): t for n, t in saved[0].items() if n.startswith("weight.")}
    model.load_state_dict({n: t.bfloat16().float() for n, t in weights.items()})
    return model.to(device).eval()


def answers(model: Qwen2, tokenizer: Tokenizer, examples: list[Example], reasoning: bool) -> list[tuple[str, str]]:
    """(reasoning, answer) of each question by greedy decoding."""
    encoder = chat.Encoder(tokenizer)
    prompts = [e.prompt for e in encoder.encode([(example, reasoning) for example in examples])]
    end_think = tokenizer.token_to_id(chat.END_THINK)
    out = []
    for example, ids in zip(examples, generate(model, prompts, 800, tokenizer.token_to_id(chat.EOS)), strict=True):
        split = ids.index(end_think) + 1 if end_think in ids else 0
        thought, text = tokenizer.decode(ids[:split]), tokenizer.decode(ids[split:])
        if example.prefix is None:
            text = text.strip() if split or not reasoning else ""
        out.append((thought, text))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=config.load()["models"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--limit", type=int, help="questions per task; default: all")
    parser.add_argument("--failures", type=int, default=3, help="wrong answers to print per task")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    model = load_model(arguments.model, arguments.work, arguments.device)
    tokenizer = Tokenizer.from_file(str(config.TOKENIZER))
    examples = load_questions(arguments.limit)
    for reasoning in (True, False):
        with torch.autocast(arguments.device, torch.bfloat16):
            found = answers(model, tokenizer, examples, reasoning)
        right: dict[str, list[bool]] = {}
        shown: dict[str, int] = {}
        for example, (thought, text) in zip(examples, found, strict=True):
            right.setdefault(example.task, []).append(text == example.answer)
            if text != example.answer and reasoning and shown.get(example.task, 0) < arguments.failures:
                shown[example.task] = shown.get(example.task, 0) + 1
                print(f"--- {example.task} {example.question}\n{thought}\nexpected {example.answer!r}\nfound    {text!r}")
        total = sum(map(sum, right.values()))
        print(f"{'with' if reasoning else 'without'} reasoning: {100 * total / len(examples):.2f} % of {len(examples)}")
        for task, hits in right.items():
            print(f"  {task:16} {100 * sum(hits) / len(hits):6.2f} %")


if __name__ == "__main__":
    main()
