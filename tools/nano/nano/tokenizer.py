"""Trains the byte-level BPE tokenizer on the examples and writes tokenizer.json.

    python3 -m nano.tokenizer

A digit is a token with or without the space before it, a Chinese character stands alone, and so does everything that
borders on punctuation: the pieces that answers are put together from keep their spelling.
"""

from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import chat, config
from .data import sample_example
from .tasks import TASKS

SPLITS = (
    "[一-龥，。？！：；、（）“”《》]",
    r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)


def build() -> Tokenizer:
    """The tokenizer without its vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in SPLITS]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(settings: dict) -> Tokenizer:
    """A vocabulary of `settings["vocabulary"]` tokens, the control tokens first."""
    rng = Random(settings["seed"] - 1)
    tasks = list(TASKS.values())

    def texts():
        for _ in range(settings["tokenizer_examples"]):
            example = sample_example(rng, tasks)
            for side in chat.stretches(example, reasoning=True):
                yield from (text for text in side if text not in chat.CONTROL)

    tokenizer = build()
    tokenizer.train_from_iterator(
        texts(),
        trainers.BpeTrainer(
            vocab_size=settings["vocabulary"],
            special_tokens=[AddedToken(token, special=True, normalized=False) for token in chat.CONTROL[:8]]
            + [AddedToken(token, special=False, normalized=False) for token in chat.CONTROL[8:]],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def main() -> None:
    config.TOKENIZER.unlink(missing_ok=True)  # examples are made of its tokens, too (pieces.py): here of none
    tokenizer = train(config.load())
    config.TOKENIZER.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(config.TOKENIZER), pretty=False)
    print(f"{config.TOKENIZER}: {tokenizer.get_vocab_size()} tokens, {config.TOKENIZER.stat().st_size} bytes")


if __name__ == "__main__":
    main()
