"""Training checkpoints in files of at most 15 MB, so that they can travel anywhere."""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

LARGEST = 15_000_000


def save(folder: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Writes part-N.safetensors and about.json, the latter last: a folder without it is no checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "about.json").unlink(missing_ok=True)
    for old in folder.glob("part-*.safetensors"):
        old.unlink()
    part: dict[str, Tensor] = {}
    count = size = 0
    for name, tensor in [*tensors.items(), (None, None)]:
        if part and (name is None or size + tensor.nbytes > LARGEST):
            save_file(part, folder / f"part-{count}.safetensors")
            part, size, count = {}, 0, count + 1
        if name is not None:
            part[name] = tensor.detach().cpu().contiguous()
            size += tensor.nbytes
    (folder / "about.json").write_text(json.dumps(about | {"parts": count}, indent=2) + "\n")


def load(folder: Path) -> tuple[dict[str, Tensor], dict] | None:
    """The tensors and what was said about them; None where there is no checkpoint."""
    if not (folder / "about.json").exists():
        return None
    about = json.loads((folder / "about.json").read_text())
    tensors: dict[str, Tensor] = {}
    for part in range(about["parts"]):
        tensors |= load_file(folder / f"part-{part}.safetensors")
    return tensors, about
