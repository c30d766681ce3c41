"""A task small enough to see through: a linear net on eight numbers of a picture, with noise and a frozen part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from data.layouts import viton_hd
from idmvton.training.recipe import Recipe, make_recipe
from idmvton.training.task import Loss

CHANGES: dict[str, dict[str, Any]] = {
    "train": {"steps": 8, "batch_size": 4, "workers": 0, "device": "cpu", "save_every": 100, "ema_decay": 0.9},
    "optimizer": {"learning_rate": 0.05, "warmup_steps": 2, "weight_decay": 0.01},
    "data": {"height": 32, "width": 24, "split": "test", "missing_caption": "category phrase"},
    "validation": {"every": 0},
    "log": {"every": 1},
}


def data_folder(root: Path, count: int = 6) -> Path:
    """A few pairs in VITON-HD's layout; the paired list is made from the people."""
    return viton_hd(root, names=tuple(f"{number:05d}_00" for number in range(count)))


def toy_recipe(folder: Path, **changes: Any) -> Recipe:
    """A recipe of the toy; ``train={"steps": 2}`` and the like change sections."""
    values = {name: section | changes.pop(name, {}) for name, section in CHANGES.items()}
    values["data"]["folder"] = str(folder)
    return make_recipe({"task": "autoencoder"} | values | changes)


class Toy:
    """Learns to remove noise; keeps a record of what it saw."""

    num_timesteps = 10
    content_settings = None

    def __init__(self, recipe: Recipe, dataset: Any) -> None:
        self.model: nn.Module = nn.Linear(8, 8)
        self.ruler = nn.Linear(8, 8)
        for module in (self.model, self.ruler):
            nn.init.eye_(module.weight)
            nn.init.zeros_(module.bias)
        self.ruler.requires_grad_(False)
        self.frozen = self.encoders = (self.ruler,)
        self.seen: list[list[str]] = []
        self.encoded = 0
        self.factor = 1.0

    def content(self, sample: Any, rng: np.random.Generator) -> dict[str, Any]:
        pixels = np.asarray(sample.person, np.float32).mean(axis=2).ravel()
        return {"picture": torch.from_numpy(pixels[:: len(pixels) // 8][:8] / 255)}

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"noise": rng.standard_normal(8, np.float32), "timestep": int(rng.integers(self.num_timesteps))}

    @torch.no_grad()
    def encode(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.encoded += len(batch["picture"])
        return {"latents": self.ruler(batch["picture"])}

    def loss(self, model: nn.Module, batch: dict[str, Any]) -> Loss:
        self.seen.append(batch["name"])
        error = (model(batch["latents"] + batch["noise"]) - batch["latents"]) * self.factor
        return Loss((error**2).mean(1), batch["timestep"])

    def pictures(self, samples: Any) -> Image.Image:
        return samples[0].person

    def measure(self, samples: Any) -> dict[str, float]:
        return {"bias": float(self.model.bias.detach().sum())}

    def export(self, folder: Path, model: nn.Module) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "toy.pt")


def weights(folder: Path) -> dict[str, Tensor]:
    """What a run of the toy exported."""
    return torch.load(folder / "checkpoint" / "toy.pt", weights_only=True)
