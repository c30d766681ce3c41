"""Memory and time of full-size training, computed from the real modules on the meta device: nothing is allocated.

    python -m benchmarks.training_memory

Parameters are counted. Activations are what autograd saves in one forward pass of the training's own step, with the
precisions that autocast gives on a GPU and attention that saves no scores. Time is the number of floating-point
operations over an assumed share of a GPU's peak.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
import transformers
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.denoising import CLIP_TOKENS, CLIP_WIDTH, POOLED, SDXL, SIZES
from idmvton.models.garment_net import GarmentNet
from idmvton.models.tryon_net import TryonNet
from idmvton.training.tryon_task import TryOnStep

GIB = 2**30
PEAKS = {"A100": 312e12, "H100": 989e12}  # dense bfloat16 operations a second, the makers' figures
SHARE = 0.4  # of the peak that training is assumed to reach
_HALF = {F.linear, F.conv2d, torch.matmul, F.scaled_dot_product_attention}
_FULL = {F.group_norm, F.layer_norm}


class FlashAttention(torch.autograd.Function):
    """Attention that saves queries, keys, values and its result, never the scores."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = (query @ key.transpose(-1, -2)) @ value
        context.save_for_backward(query, key, value, result)
        return result

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        query, key, value, _ = context.saved_tensors
        return query, key, value


class Autocast(TorchFunctionMode):
    """The precisions of ``torch.autocast("cuda", torch.bfloat16)``, which the meta device does not have.

    Args:
        saved: is told about the copies of parameters, which autocast keeps and which are counted by themselves.
    """

    def __init__(self, saved: Saved) -> None:
        super().__init__()
        self.saved, self.copies = saved, list[Tensor]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = torch.bfloat16 if function in _HALF else torch.float32 if function in _FULL else None
        if dtype is not None:
            args = [self._cast(each, dtype) for each in args]
            kwargs = {name: self._cast(each, dtype) for name, each in kwargs.items()}
        if function is F.scaled_dot_product_attention:
            return FlashAttention.apply(*args[:3])
        return function(*args, **kwargs)

    def _cast(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        cast = value.to(dtype)
        if isinstance(value, nn.Parameter):
            self.copies.append(cast)
            self.saved.parameters.add(cast.untyped_storage()._cdata)
        return cast


@dataclass
class Saved:
    """Bytes that autograd holds: each storage once, parameters not."""

    parameters: set[int]
    storages: dict[int, Any] = field(default_factory=dict)
    peak_inside: int = 0

    def add(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.parameters:
            self.storages[storage._cdata] = storage
        return tensor

    @property
    def num_bytes(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        with torch.autograd.graph.saved_tensors_hooks(self.add, lambda tensor: tensor):
            yield

    def checkpoint(self, module: Callable[..., Any], *arguments: Any) -> Any:
        """Stands for gradient checkpointing: keeps the block's inputs, and notes what its inside needs for a while."""
        inside = Saved(self.parameters)
        with inside.watching():
            result = module(*arguments)
        if inside.storages:  # else nothing in it is trained, and no gradient passes it
            for each in arguments:
                if isinstance(each, Tensor):
                    self.add(each)
        self.peak_inside = max(self.peak_inside, inside.num_bytes)
        return result


def tryon_net() -> TryonNet:
    """The full-size TryonNet, float32, without numbers."""
    full = SIZES["full"]
    shape = SDXL | {
        "block_out_channels": full["widths"],
        "attention_head_dim": full["heads"],
        "cross_attention_dim": full["text"],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": POOLED + 6 * 256,
    }
    with torch.device("meta"):
        net = TryonNet.from_config(shape | {"in_channels": 13, "out_channels": 4})
        net.install_processors(
            IPAdapterPlusImageProjection(CLIP_WIDTH, full["text"], 1280, depth=4, heads=20, num_queries=16)
        )
    return net


@functools.cache
def garment_net() -> GarmentNet:
    """The full-size GarmentNet, bfloat16, without numbers."""
    full = SIZES["full"]
    shape = SDXL | {
        "block_out_channels": full["widths"],
        "attention_head_dim": full["heads"],
        "cross_attention_dim": full["text"],
    }
    with torch.device("meta"):
        net = GarmentNet.from_config(shape | {"in_channels": 4})
        net.install_processors()
    return nn.Module.to(net, torch.bfloat16).requires_grad_(False)


def encoders(layers: int = 32, text_widths: tuple[int, int] = (768, 1280), vae: int = 128) -> dict[str, nn.Module]:
    """SDXL's VAE and text encoders and the ViT-H image encoder, without numbers; smaller ones for rehearsals."""
    first, second = text_widths
    text_1 = transformers.CLIPTextConfig(
        hidden_size=first, intermediate_size=4 * first, num_hidden_layers=min(layers, 12)
    )
    text_2 = transformers.CLIPTextConfig(
        hidden_size=second,
        intermediate_size=4 * second,
        num_hidden_layers=layers,
        num_attention_heads=max(1, second // 64),
        projection_dim=POOLED,
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=CLIP_WIDTH,
        intermediate_size=4 * CLIP_WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=1024,
    )
    with torch.device("meta"):
        return {
            "VAE": diffusers.AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(vae, 2 * vae, 4 * vae, 4 * vae),
                layers_per_block=2,
            ),
            "text encoders": nn.ModuleList(
                [transformers.CLIPTextModel(text_1), transformers.CLIPTextModelWithProjection(text_2)]
            ),
            "image encoder": transformers.CLIPVisionModelWithProjection(vision),
        }


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(each.numel() for each in module.parameters())


def step_inputs(batch: int, features: Mapping[str, Tensor]) -> tuple[Any, ...]:
    """What :class:`TryOnStep` is called with, without numbers."""
    picture, text = SIZES["full"]["picture"], SIZES["full"]["text"]
    with torch.device("meta"):
        return (
            torch.empty(batch, 13, picture.height // 8, picture.width // 8),
            torch.empty(batch, dtype=torch.long),
            torch.empty(batch, 77, text),
            {"text_embeds": torch.empty(batch, POOLED), "time_ids": torch.empty(batch, 6)},
            torch.empty(batch, CLIP_TOKENS, CLIP_WIDTH),
            features,
            0,
        )


def garment_features(batch: int) -> dict[str, Tensor]:
    """What GarmentNet gives for a batch, without numbers."""
    picture, text = SIZES["full"]["picture"], SIZES["full"]["text"]
    with torch.no_grad(), torch.device("meta"):
        latents = torch.empty(batch, 4, picture.height // 8, picture.width // 8, dtype=torch.bfloat16)
        timesteps = torch.empty(batch, dtype=torch.long)
        prompts = torch.empty(batch, 77, text, dtype=torch.bfloat16)
        return dict(garment_net()(latents, timesteps, prompts).tokens)


def activations(batch: int, *, checkpointing: bool, net: TryonNet | None = None) -> int:
    """Bytes that one forward pass of the training step saves for its backward pass, at the peak.

    Args:
        batch: samples.
        checkpointing: of the gradients.
        net: from :func:`tryon_net`, of which some is frozen; all of it is trained when not given.
    """
    net = (net or tryon_net()).train()
    step = TryOnStep(net)
    saved = Saved({each.untyped_storage()._cdata for each in step.parameters()})
    features = garment_features(batch)
    if checkpointing:
        net.enable_gradient_checkpointing(saved.checkpoint)
    with saved.watching(), Autocast(saved):
        step(*step_inputs(batch, features))
    for tokens in features.values():
        saved.add(tokens)
    return saved.num_bytes + saved.peak_inside


def operations() -> dict[str, float]:
    """Floating-point operations of one sample, forward only."""
    counts = {}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features = garment_features(1)
    counts["GarmentNet"] = float(counter.get_total_flops())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        TryOnStep(tryon_net())(*step_inputs(1, {name: each.float() for name, each in features.items()}))
    counts["TryonNet"] = float(counter.get_total_flops())
    return counts


def print_parameters() -> int:
    trained = count(tryon_net())
    frozen = {"GarmentNet": (count(garment_net()), 2)}
    frozen |= {name: (count(module), 4 if name == "VAE" else 2) for name, module in encoders().items()}
    print("| part | parameters, M | bytes each | GiB |\n|---|---|---|---|")
    rows = {"weights": 4, "gradients": 4, "AdamW": 8, "AdamW, 8 bits": 2, "moving average": 4, "bfloat16 copies": 2}
    for name, size in rows.items():
        print(f"| TryonNet: {name} | {trained / 1e6:.0f} | {size} | {trained * size / GIB:.1f} |")
    for name, (number, size) in frozen.items():
        print(f"| {name}, frozen | {number / 1e6:.0f} | {size} | {number * size / GIB:.1f} |")
    return trained


def print_activations(batches: list[int]) -> None:
    print("\n| samples at once on a GPU | activations, GiB | with gradient checkpointing, GiB |\n|---|---|---|")
    for batch in batches:
        plain, less = (activations(batch, checkpointing=each) / GIB for each in (False, True))
        print(f"| {batch} | {plain:.1f} | {less:.1f} |")


def print_time(batch: int, steps: int) -> None:
    forward = operations()
    print(f"\nOperations of a sample, forward: {', '.join(f'{k} {v / 1e12:.1f}e12' for k, v in forward.items())}.")
    print("\n| GPUs | gradient checkpointing | seconds a step | hours |\n|---|---|---|---|")
    for gpu, peak in PEAKS.items():
        for passes, name in ((3, "no"), (4, "yes")):
            work = batch * (passes * forward["TryonNet"] + forward["GarmentNet"])
            seconds = work / (4 * peak * SHARE)
            print(f"| 4 x {gpu} | {name} | {seconds:.2f} | {seconds * steps / 3600:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 6])
    parser.add_argument("--steps", type=int, default=63_000)
    options = parser.parse_args()
    print_parameters()
    print_activations(options.batches)
    print_time(24, options.steps)


if __name__ == "__main__":
    main()
