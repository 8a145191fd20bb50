"""Training batches: examples drawn by task, encoded, and packed into rows."""

import os
from random import Random

import numpy as np

from . import config
from .mixture import sample_example
from .tasks import TASKS


class Batches:
    """Batch number i, always the same whoever asks: a map-style dataset of steps.

    An item is (tokens, learnt): int32 [rows, length + 1] and bool [rows, length + 1]; `learnt` marks the tokens of
    completions. Rows are filled with whole examples one after the other, the rest is padding.
    """

    def __init__(self, settings: dict, training: config.Training, salt: str) -> None:
        self._settings = settings
        self._training = training
        self._salt = salt
        self._encoder = None

    def __len__(self) -> int:
        return self._training.steps

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        if self._encoder is None:  # once a worker
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
            from tokenizers import Tokenizer

            from .chat import PAD, Encoder

            tokenizer = Tokenizer.from_file(str(config.TOKENIZER))
            self._pad = tokenizer.token_to_id(PAD)
            self._encoder = Encoder(tokenizer)
        phase = self._training.phase(step)
        rng = Random(f"{self._settings['seed']} {self._salt} {step}")
        return self._pack(rng, phase.rows, phase.length + 1)

    def _pack(self, rng: Random, rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        tasks = list(TASKS.values())
        weights = [task.weight for task in tasks]
        tokens = np.full((rows, length), self._pad, np.int32)
        learnt = np.zeros((rows, length), bool)
        used = [0] * rows
        answer_only = self._settings["answer_only"]
        row = 0
        while row < rows:
            drawn = [(sample_example(rng, tasks, weights), rng.random() >= answer_only) for _ in range(256)]
            for encoded in self._encoder.encode(drawn):
                size = len(encoded.prompt) + len(encoded.completion)
                # The fullest of a few rows that still has room, so that little is padded.
                open_rows = range(row, min(row + 16, rows))
                place = next((r for r in open_rows if used[r] + size <= length), None)
                if place is None:
                    row += 1
                    continue
                start, split = used[place], used[place] + len(encoded.prompt)
                tokens[place, start:split] = encoded.prompt
                tokens[place, split : start + size] = encoded.completion
                learnt[place, split : start + size] = True
                used[place] = start + size
                while row < rows and used[row] > length - 24:
                    row += 1
        return tokens, learnt
