"""The training model against transformers, the cached generation against recomputation, checkpoints against themselves."""

import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from nano import checkpoint
from nano.config import Shape
from nano.model import Qwen2, generate
from nano.optimizer import Optimizer, orthogonalize

SHAPE = Shape(96, 128, 160, 3, 4, 2, max_position_embeddings=256)


def made_up_model() -> Qwen2:
    torch.manual_seed(1)
    model = Qwen2(SHAPE)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim == 1 else 0.1)
    return model.eval()


class ModelTest(unittest.TestCase):
    def test_equals_transformers(self) -> None:
        model = made_up_model()
        settings = asdict(SHAPE) | {"tie_word_embeddings": True}
        settings.pop("head_dim")
        theirs = Qwen2ForCausalLM(Qwen2Config(**settings, head_dim=64)).eval()
        missing, extra = theirs.load_state_dict(dict(model.named_parameters()), strict=False)
        self.assertEqual((missing, extra), (["lm_head.weight"], []))
        theirs.tie_weights()
        tokens = torch.randint(0, SHAPE.vocab_size, (2, 50))
        with torch.no_grad():
            error = (model.logits(model(tokens)) - theirs(tokens).logits).abs().max().item()
        self.assertLess(error, 1e-4)

    def test_generation_equals_recomputation(self) -> None:
        model = made_up_model()
        prompts = [[5, 6, 7], [8], list(range(20))]
        found = generate(model, prompts, limit=12, stop=0, batch=2)
        for prompt, ids in zip(prompts, found, strict=True):
            expected: list[int] = []
            while len(expected) < 12:
                with torch.no_grad():
                    token = int(model.logits(model(torch.tensor([prompt + expected])))[0, -1].argmax())
                if token == 0:
                    break
                expected.append(token)
            self.assertEqual(ids, expected)


class OptimizerTest(unittest.TestCase):
    def test_orthogonalizes(self) -> None:
        torch.manual_seed(2)
        for rows, columns in ((32, 64), (64, 32), (48, 48)):
            values = torch.linalg.svdvals(orthogonalize(torch.randn(3, rows, columns)).float())
            self.assertGreater(values.min().item(), 0.3)
            self.assertLess(values.max().item(), 1.3)

    def test_learns_and_resumes(self) -> None:
        torch.manual_seed(3)
        tokens = torch.randint(1, SHAPE.vocab_size, (4, 17))
        learnt = torch.ones_like(tokens, dtype=torch.bool)
        model = Qwen2(SHAPE)
        optimizer = Optimizer(model, 0.02, 0.003, 0.01)
        losses = []
        for step in range(30):
            if step == 20:
                with tempfile.TemporaryDirectory() as folder:
                    weights = {f"weight.{n}": p for n, p in model.named_parameters()}
                    checkpoint.save(Path(folder), weights | optimizer.state_dict(), {"step": step})
                    tensors, about = checkpoint.load(Path(folder))
                self.assertEqual(about["step"], 20)
                model = Qwen2(SHAPE)
                model.load_state_dict({n.removeprefix("weight."): t for n, t in tensors.items() if "weight." == n[:7]})
                optimizer = Optimizer(model, 0.02, 0.003, 0.01)
                optimizer.load_state_dict(tensors)
            loss = model.loss(tokens, learnt)
            loss.backward()
            optimizer.step(1.0)
            losses.append(loss.item())
        self.assertLess(losses[-1], 0.2 * losses[0])
        self.assertLess(losses[20], 1.2 * losses[19])


if __name__ == "__main__":
    unittest.main()
