"""Writes the held-out questions, a file per task: questions that the hash in example.py keeps out of training.

    python3 -m nano.held_out
"""

import json
from random import Random

from . import config
from .mixture import LANGUAGES
from .tasks import EVALUATION_TASKS, Task


def questions(task: Task, count: int, seed: int) -> list[dict]:
    """`count` different held-out questions of a task as records, half of them in each language, in turn."""
    rng = Random(f"{seed} {task.name}")
    seen: set[str] = set()
    records: list[dict] = []
    for _ in range(count * 16 * 200):
        if len(records) == count:
            return records
        example = task.sample(rng, LANGUAGES[len(records) % 2])
        if example.held_out and example.question not in seen:
            seen.add(example.question)
            records.append(example.record() | {"task": task.name})
    raise RuntimeError(f"{task.name} has too few different questions: found {len(records)} of {count}")


def main() -> None:
    settings = config.load()["held_out"]
    config.HELD_OUT.mkdir(parents=True, exist_ok=True)
    for task in EVALUATION_TASKS.values():
        records = questions(task, settings["questions"], settings["seed"])
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records]
        path = config.HELD_OUT / f"{task.name}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{path.name}: {len(records)} questions, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
