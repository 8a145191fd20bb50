"""Qwen2 in plain PyTorch, with the weight names of transformers, for training and for quick checks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Shape


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x [batch, heads, tokens, dim] by halves (Su et al. 2021, arXiv:2104.09864)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        dim, heads, kv_heads = shape.head_dim, shape.num_attention_heads, shape.num_key_value_heads
        self.q_proj = nn.Linear(shape.hidden_size, heads * dim)
        self.k_proj = nn.Linear(shape.hidden_size, kv_heads * dim)
        self.v_proj = nn.Linear(shape.hidden_size, kv_heads * dim)
        self.o_proj = nn.Linear(heads * dim, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: "LayerCache | None" = None) -> Tensor:
        """x [batch, tokens, width]; with a cache the tokens are appended to it and see what it holds."""
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mask = None
        if cache is not None:
            k, v, mask = cache.append(k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = Mlp(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: "LayerCache | None" = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class LayerCache:
    """Keys and values of a layer, [batch, heads, capacity, dim]; `slots` and `visible` are set for each forward pass.

    slots    [batch, tokens]: where the tokens of this pass go
    visible  [batch, 1, tokens, capacity]: what they see
    """

    def __init__(self, batch: int, capacity: int, shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
        sizes = (batch, shape.num_key_value_heads, capacity, shape.head_dim)
        self.keys = torch.zeros(sizes, device=device, dtype=dtype)
        self.values = torch.zeros(sizes, device=device, dtype=dtype)
        self.slots = self.visible = torch.empty(0)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        index = self.slots[:, None, :, None].expand_as(k)
        self.keys.scatter_(2, index, k.to(self.keys.dtype))
        self.values.scatter_(2, index, v.to(self.values.dtype))
        return self.keys.to(k.dtype), self.values.to(v.dtype), self.visible


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)


class Qwen2(nn.Module):
    """Weights are named as transformers' Qwen2ForCausalLM names them, the output matrix being the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        half = torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
        angles = torch.outer(torch.arange(shape.max_position_embeddings), shape.rope_theta**-half)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scale = 0.02 if "embed" in name else parameter.shape[1] ** -0.5
                nn.init.normal_(parameter, std=scale)
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    nn.init.zeros_(parameter)  # every layer starts as the identity
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, positions: Tensor | None = None, caches: list[LayerCache] | None = None) -> Tensor:
        """Hidden states [batch, tokens, width] of token ids [batch, tokens]; `logits` makes logits of them."""
        if positions is None:
            cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        else:
            cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x = self.model.embed_tokens(tokens)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin, caches[i] if caches else None)
        return self.model.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.embed_tokens.weight)

    def loss(self, tokens: Tensor, learnt: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the tokens marked in `learnt`; both are [rows, length + 1]."""
        logits = self.logits(self(tokens[:, :-1]))
        nats = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")
        marked = learnt[:, 1:].flatten()
        return (nats * marked).sum() / marked.sum()


@torch.no_grad()
def generate(model: Qwen2, prompts: list[list[int]], limit: int, stop: int, batch: int = 1024) -> list[list[int]]:
    """Greedy continuations of token ids, each up to `limit` tokens, the stop token left out."""
    out: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        for i, ids in zip(part, _generate(model, [prompts[i] for i in part], limit, stop), strict=True):
            out[i] = ids
    return out


def _generate(model: Qwen2, prompts: list[list[int]], limit: int, stop: int) -> list[list[int]]:
    shape = model.shape
    device = model.cos.device
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    width = int(lengths.max())
    capacity = min(width + limit, shape.max_position_embeddings)
    tokens = torch.zeros((len(prompts), width), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt)
    tokens = tokens.to(device)
    dtype = torch.bfloat16 if torch.is_autocast_enabled(device.type) else torch.float32
    caches = [LayerCache(len(prompts), capacity, shape, device, dtype) for _ in model.model.layers]

    def step(ids: Tensor, positions: Tensor) -> Tensor:
        visible = torch.arange(capacity, device=device)[None, None, :] <= positions[:, :, None]
        for cache in caches:
            cache.slots, cache.visible = positions, visible[:, None]
        return model(ids, positions, caches)

    positions = torch.arange(width, device=device).expand(len(prompts), -1)
    hidden = step(tokens, positions)
    next_ids = model.logits(hidden[torch.arange(len(prompts), device=device), lengths - 1]).argmax(-1)
    alive = torch.ones(len(prompts), dtype=torch.bool, device=device)
    columns = []
    for count in range(capacity - width):
        alive &= next_ids != stop
        columns.append(torch.where(alive, next_ids, stop))
        if count % 16 == 0 and not alive.any():
            break
        hidden = step(next_ids[:, None], (lengths + count)[:, None])
        next_ids = model.logits(hidden[:, -1]).argmax(-1)
    rows = torch.stack(columns, 1).tolist()
    return [row[: row.index(stop)] if stop in row else row for row in rows]
