"""Trains the byte-level BPE tokenizer on the examples and writes tokenizer.json.

    python3 -m nano.tokenizer

Texts are cut as Qwen2 cuts them, because transformers 5 does so for every Qwen2 model, whatever its tokenizer.json says. The
vocabulary is learnt on finer pieces: no token joins a Chinese character, a digit or a word with what stands beside it, so
that the parts which answers are put together from keep their spelling.
"""

from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from . import chat, config
from .mixture import sample_example
from .tasks import TASKS

# Qwen2's pre-tokenizer.
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
# What the vocabulary is learnt on.
PIECES = (
    "[一-龥，。？！：；、（）“”《》]",
    r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)


def build(model: models.Model, splits: tuple[str, ...]) -> Tokenizer:
    """A tokenizer that cuts texts by the patterns of `splits`, each on the pieces of the one before."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    cuts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in splits]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
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

    special = [AddedToken(token, special=True, normalized=False) for token in chat.CONTROL[:8]]
    plain = [AddedToken(token, special=False, normalized=False) for token in chat.CONTROL[8:]]
    learner = build(models.BPE(), PIECES)
    learner.train_from_iterator(
        texts(),
        trainers.BpeTrainer(
            vocab_size=settings["vocabulary"],
            special_tokens=special + plain,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = build(learner.model, QWEN2)
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(plain)
    return tokenizer


def main() -> None:
    config.TOKENIZER.unlink(missing_ok=True)  # examples are made of its tokens, too (pieces.py): here of none
    tokenizer = train(config.load())
    config.TOKENIZER.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(config.TOKENIZER), pretty=False)
    print(f"{config.TOKENIZER}: {tokenizer.get_vocab_size()} tokens, {config.TOKENIZER.stat().st_size} bytes")


if __name__ == "__main__":
    main()
