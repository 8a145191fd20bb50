"""Muon for matrices, AdamW for the rest."""

import torch
from torch import Tensor


def orthogonalize(gradient: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrices of a stack [n, rows, columns], roughly, by a quintic Newton-Schulz iteration.

    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with its coefficients.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if tall else x


class Optimizer:
    """Matrices of equal shape are stepped together. `state_dict` holds the moments in BF16: they travel with checkpoints."""

    MOMENTUM = 0.95
    BETAS = (0.9, 0.95)

    def __init__(self, model: torch.nn.Module, matrix_rate: float, other_rate: float, weight_decay: float) -> None:
        self._rates = matrix_rate, other_rate
        self._decay = weight_decay
        named = list(model.named_parameters())
        matrices = [(n, p) for n, p in named if p.ndim == 2 and "embed" not in n]
        self._stacks: dict[tuple[int, ...], list[tuple[str, Tensor]]] = {}
        for name, parameter in matrices:
            self._stacks.setdefault(tuple(parameter.shape), []).append((name, parameter))
        names = {n for n, _ in matrices}
        self._others = [(n, p) for n, p in named if n not in names]
        self._momentum = {n: torch.zeros_like(p) for n, p in matrices}
        self._first = {n: torch.zeros_like(p) for n, p in self._others}
        self._second = {n: torch.zeros_like(p) for n, p in self._others}
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update at `rate` times the full learning rates; gradients are cleared."""
        self._steps += 1
        self._step_matrices(rate * self._rates[0])
        self._step_others(rate * self._rates[1])

    def _step_matrices(self, rate: float) -> None:
        for (rows, columns), stack in self._stacks.items():
            parameters = [p for _, p in stack]
            gradients = [p.grad for p in parameters]
            momenta = [self._momentum[n] for n, _ in stack]
            torch._foreach_lerp_(momenta, gradients, 1 - self.MOMENTUM)
            nesterov = torch._foreach_lerp(gradients, momenta, self.MOMENTUM)
            update = orthogonalize(torch.stack(nesterov)).float() * max(1.0, rows / columns) ** 0.5
            torch._foreach_mul_(parameters, 1 - rate * self._decay)
            torch._foreach_add_(parameters, list(update.unbind()), alpha=-rate)
            for p in parameters:
                p.grad = None

    def _step_others(self, rate: float) -> None:
        """Adam (Kingma and Ba 2014, arXiv:1412.6980), without weight decay."""
        parameters = [p for _, p in self._others]
        gradients = [p.grad for p in parameters]
        first = [self._first[n] for n, _ in self._others]
        second = [self._second[n] for n, _ in self._others]
        one, two = self.BETAS
        torch._foreach_lerp_(first, gradients, 1 - one)
        torch._foreach_mul_(second, two)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - two)
        root = torch._foreach_sqrt(second)
        torch._foreach_div_(root, (1 - two**self._steps) ** 0.5)
        torch._foreach_add_(root, 1e-8)
        torch._foreach_addcdiv_(parameters, first, root, -rate / (1 - one**self._steps))
        for p in parameters:
            p.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """The moments by "kind.parameter" and the number of steps."""
        out = {"steps": torch.tensor(self._steps)}
        for kind, moments in self._kinds():
            out |= {f"{kind}.{name}": moment.bfloat16() for name, moment in moments.items()}
        return out

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._steps = int(state["steps"])
        for kind, moments in self._kinds():
            for name, moment in moments.items():
                moment.copy_(state[f"{kind}.{name}"])

    def _kinds(self) -> tuple[tuple[str, dict[str, Tensor]], ...]:
        return ("momentum", self._momentum), ("first", self._first), ("second", self._second)
