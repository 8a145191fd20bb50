"""The committed held-out questions: where they come from, and that training cannot draw them."""

import json
import unittest
from random import Random

from nano import config
from nano.example import HELD_OUT_OF, Example
from nano.held_out import questions
from nano.mixture import sample_example
from nano.tasks import EVALUATION_TASKS, TASKS


def example_of(record: dict) -> Example:
    messages = tuple((message["role"], message["content"]) for message in record.get("messages", ()))
    sides = {"prefix": record.get("prefix"), "suffix": record.get("suffix")}
    return Example(record["task"], record["language"], "", record["answer"], messages, **sides)


class HeldOut(unittest.TestCase):
    def test_files(self) -> None:
        """A file per task, made by the seed of config.json, of questions on the held-out side only."""
        settings = config.load()["held_out"]
        self.assertEqual({path.stem for path in config.HELD_OUT.glob("*.jsonl")}, set(EVALUATION_TASKS))
        for name, task in EVALUATION_TASKS.items():
            lines = (config.HELD_OUT / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
            records = [json.loads(line) for line in lines]
            self.assertGreaterEqual(len(records), 200)
            self.assertEqual(records, questions(task, settings["questions"], settings["seed"]), name)
            examples = [example_of(record) for record in records]
            self.assertTrue(all(example.held_out for example in examples))
            self.assertEqual(len({example.question for example in examples}), len(examples))

    def test_training_side(self) -> None:
        """What training draws is never held out, and of what the tasks make about one in HELD_OUT_OF is."""
        rng = Random(1)
        tasks = list(TASKS.values())
        self.assertFalse(any(sample_example(rng, tasks).held_out for _ in range(4000)))
        made = [task.sample(rng, "en").held_out for task in tasks for _ in range(300)]
        self.assertAlmostEqual(sum(made) / len(made), 1 / HELD_OUT_OF, delta=0.02)

    def test_case_and_space_do_not_count(self) -> None:
        for text in ("what is 2 + 3?", "Sort 3, 1, 2"):
            sides = {Example("t", "en", "", "5", (("user", spelled),)).held_out
                     for spelled in (text, text.upper(), text.replace(" ", "  "))}  # fmt: skip
            self.assertEqual(len(sides), 1)


if __name__ == "__main__":
    unittest.main()
