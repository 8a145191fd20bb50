"""How many greedy answers of r1-native equal those of transformers in float32, token for token.

    r1 eval --precision f32 --answers answers.jsonl …
    python3 -m nano.agreement models/r1-nano answers.jsonl

An answer is what greedy decoding gives exactly when each of its tokens has the largest logit after those before it, so
that one forward pass over prompt and answer decides.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import torch
import transformers


@torch.no_grad()
def first_differences(model: transformers.PreTrainedModel, answers: list[dict], batch: int = 64) -> list[int | None]:
    """For each answer the index of its first token that transformers would not choose; None where all are."""
    out: list[int | None] = [None] * len(answers)
    order = sorted(range(len(answers)), key=lambda i: len(answers[i]["promptIds"]) + len(answers[i]["tokens"]))
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        rows = [answers[i]["promptIds"] + answers[i]["tokens"] for i in part]
        ids = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        best = model(ids.to(model.device), attention_mask=mask.to(model.device)).logits.argmax(-1).cpu()
        for row, i in enumerate(part):
            first, count = len(answers[i]["promptIds"]), len(answers[i]["tokens"])
            wrong = best[row, first - 1 : first + count - 1] != ids[row, first : first + count]
            if wrong.any():
                out[i] = int(wrong.nonzero()[0, 0])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the Hugging Face folder")
    parser.add_argument("answers", type=Path, help="what r1 eval --answers wrote")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).to(device).eval()
    answers = [json.loads(line) for line in arguments.answers.read_text(encoding="utf-8").splitlines()]
    differences = first_differences(model, answers)
    equal = sum(d is None for d in differences)
    for answer, difference in zip(answers, differences, strict=True):
        if difference is not None:
            print(f"{answer['task']} {answer['index']}: differs at token {difference} of {len(answer['tokens'])}")
    tasks = Counter(a["task"] for a, d in zip(answers, differences, strict=True) if d is not None)
    report = {
        "model": arguments.model.name,
        "answers": len(answers),
        "tokens": sum(len(a["tokens"]) for a in answers),
        "equal": equal,
        "share": round(equal / len(answers), 5),
        "different": dict(tasks),
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }
    print(json.dumps(report, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
