"""Trains one of the models of config.json on one GPU, from a checkpoint where there is one.

    python3 -m nano.train r1-nano --work DIR [--seconds 500] [--workers 14]

Prints the loss and the speed, writes them to DIR/log.jsonl, and a checkpoint into DIR after `--seconds` or at the end.
Run it again to go on; "finished" in DIR/about.json says when all steps are done.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from . import checkpoint, config
from .data import Batches
from .model import Qwen2
from .optimizer import Optimizer

LOG_EVERY = 100


class Steps(Dataset):
    """The batches of the steps from `first` on."""

    def __init__(self, batches: Batches, first: int) -> None:
        self._batches = batches
        self._first = first

    def __len__(self) -> int:
        return len(self._batches) - self._first

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._batches[self._first + index]


class Trainer:
    """A model, its optimizer and how far they are."""

    def __init__(self, name: str, work: Path, device: str) -> None:
        settings = config.load()
        self.training = config.training_of(settings, name)
        self.batches = Batches(settings, self.training, "train")
        self.name, self.work, self.device = name, work, device
        torch.manual_seed(settings["seed"])
        torch.set_float32_matmul_precision("high")
        self.model = Qwen2(config.shape_of(settings, name)).to(device)
        rates = self.training.matrix_rate, self.training.other_rate
        self.optimizer = Optimizer(self.model, *rates, self.training.weight_decay)
        self.step, self.seconds = 0, 0.0
        saved = checkpoint.load(work)
        if saved:
            tensors, about = saved
            if about["model"] != name:
                raise SystemExit(f"{work} holds a checkpoint of {about['model']}, expected {name}: name another folder")
            weights = {n.removeprefix("weight."): t for n, t in tensors.items() if n.startswith("weight.")}
            self.model.load_state_dict(weights)
            self.optimizer.load_state_dict(tensors)
            self.step, self.seconds = about["step"], about["seconds"]

    def save(self) -> None:
        tensors = {f"weight.{n}": p for n, p in self.model.named_parameters()} | self.optimizer.state_dict()
        finished = self.step >= self.training.steps
        about = {"model": self.name, "step": self.step, "seconds": round(self.seconds, 1), "finished": finished}
        checkpoint.save(self.work, tensors, about)

    def run(self, seconds: float, workers: int) -> None:
        """Trains up to the last step or for about `seconds`, this process's start included."""
        compiled = torch.compile(self.model.loss, dynamic=False) if self.device == "cuda" else self.model.loss
        loader = DataLoader(
            Steps(self.batches, self.step), batch_size=None, num_workers=workers,
            prefetch_factor=8 if workers else None, pin_memory=self.device == "cuda",
        )  # fmt: skip
        start = logged_at = time.monotonic()
        before = self.seconds
        losses, tokens, waited = [], 0, 0.0
        batches = iter(loader)
        while self.step < self.training.steps and time.monotonic() - start < seconds:
            asked = time.monotonic()
            ids, learnt = (t.to(self.device, non_blocking=True) for t in next(batches))
            waited += time.monotonic() - asked
            with torch.autocast(self.device, torch.bfloat16):
                loss = compiled(ids.long(), learnt)
            loss.backward()
            self.optimizer.step(self.training.rate(self.step))
            self.step += 1
            losses.append(loss.detach())
            tokens += ids.numel()
            if self.step % LOG_EVERY == 0:
                mean = torch.stack(losses).mean().item()
                now = time.monotonic()
                self.seconds = before + now - start
                self.log(loss=round(mean, 5), tokens_per_second=round(tokens / (now - logged_at)),
                         waited=round(waited, 2))  # fmt: skip
                losses, tokens, waited, logged_at = [], 0, 0.0, now
        self.seconds = before + time.monotonic() - start

    def log(self, **values: float) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 1)} | values
        print(json.dumps(line), flush=True)
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=config.load()["models"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument("--seconds", type=float, default=500, help="stop after about so long")
    parser.add_argument("--workers", type=int, default=14, help="processes that make batches")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    started = time.monotonic()
    trainer = Trainer(arguments.model, arguments.work, arguments.device)
    trainer.run(arguments.seconds - (time.monotonic() - started), arguments.workers)
    trainer.save()
    print(f"{arguments.model}: step {trainer.step} of {trainer.training.steps} after {trainer.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
