"""config.json: what is trained, on how much, and how."""

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = ROOT.parents[1]
TOKENIZER = REPOSITORY / "models" / "r1-nano" / "tokenizer.json"
HELD_OUT = REPOSITORY / "test" / "fixtures" / "tasks"


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen2 model; the head size is 64, embeddings are tied."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int = 64
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 8192


@dataclass(frozen=True)
class Phase:
    """`steps` optimizer steps on batches of `rows` rows of `length` tokens."""

    steps: int
    rows: int
    length: int


@dataclass(frozen=True)
class Training:
    """`warmup` steps up to the full rates, and a linear decay to zero over the last `decay` (a share) of the steps."""

    phases: tuple[Phase, ...]
    warmup: int
    decay: float
    matrix_rate: float
    other_rate: float
    weight_decay: float

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> Phase:
        """The phase that a step, counted from 0, belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise IndexError(step)

    def rate(self, step: int) -> float:
        """The share of the full learning rates at a step (trapezoidal: Hägele et al. 2024, arXiv:2405.18392)."""
        decay_steps = max(1, round(self.steps * self.decay))
        return min(1.0, (step + 1) / self.warmup, (self.steps - step) / decay_steps)


def load() -> dict:
    """The configuration file as it is."""
    return json.loads((ROOT / "config.json").read_text())


def shape_of(config: dict, model: str) -> Shape:
    """The sizes of one of the configuration's models."""
    return Shape(vocab_size=config["vocabulary"], **config["models"][model]["shape"])


def training_of(config: dict, model: str) -> Training:
    """How one of the configuration's models is trained."""
    fields = dict(config["models"][model]["training"])
    phases = tuple(Phase(**phase) for phase in fields.pop("phases"))
    return Training(phases=phases, **fields)
