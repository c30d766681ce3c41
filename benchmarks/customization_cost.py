"""Memory and time of a customization at full size, computed from the real modules on the meta device.

    python -m benchmarks.customization_cost

Nothing is measured: parameters, what autograd saves, and floating-point operations (with those of the backward pass and
of gradient checkpointing) are counted in the training's own step; time is operations over an assumed share of a GPU's
peak.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.denoising import SIZES
from benchmarks.training_memory import (
    PEAKS,
    SHARE,
    activations,
    count,
    encoders,
    garment_features,
    garment_net,
    step_inputs,
    tryon_net,
)
from idmvton.customize.layers import add_low_rank, chosen_weights, train_only
from idmvton.customize.options import Layers
from idmvton.models.tryon_net import TryonNet
from idmvton.training.tryon_task import TryOnStep

GPU, GB = "H100", 1e9
STEPS, BATCH = 100, 2
NUM_ENCODED = 4  # pictures that the VAE encodes for a view: target, masked person, body map, garment
CHOICES: dict[str, tuple[Layers, int]] = {
    "up_attention": ("up_attention", 0),
    "up_blocks": ("up_blocks", 0),
    "all_attention": ("all_attention", 0),
    "up_attention --lora 16": ("up_attention", 16),
}


def chosen_net(layers: Layers, rank: int) -> TryonNet:
    """TryonNet of which the chosen weights are trained, float32, without numbers."""
    net = tryon_net().train()
    names = chosen_weights(net, layers)
    if rank:
        add_low_rank(net, names, rank)
    else:
        train_only(net, names)
    return net


def num_bytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())


def operations(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def fixed_bytes() -> int:
    """The frozen networks beside TryonNet: in bfloat16, the VAE in float32."""
    others = [(count(module), 4 if name == "VAE" else 2) for name, module in encoders().items()]
    return 2 * count(garment_net()) + sum(number * size for number, size in others)


def view_operations() -> tuple[float, float]:
    """Of one view, what no weight is trained in: the VAE in float32, and GarmentNet in bfloat16."""
    picture = SIZES["full"]["picture"]
    shown = torch.empty(NUM_ENCODED, 3, picture.height, picture.width, device="meta")
    vae = encoders()["VAE"]
    with torch.no_grad():
        return operations(lambda: vae.encode(shown)), operations(lambda: garment_features(1))  # type: ignore[operator]


def step_operations(net: TryonNet) -> float:
    """Of one view, forward and backward, with gradient checkpointing."""
    net.enable_gradient_checkpointing()
    inputs = step_inputs(1, {name: each.float() for name, each in garment_features(1).items()})
    step = TryOnStep(net)
    return operations(lambda: step(*inputs).sum().backward())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    fixed, (of_vae, of_garment) = fixed_bytes(), view_operations()
    print(f"VAE {of_vae / 1e12:.1f}e12 operations a view, GarmentNet {of_garment / 1e12:.1f}e12\n")
    heads = ["trained, millions", "weights, gradients, moments, GB", "with --adam-8bit"]
    heads += [f"activations of {BATCH} views, GB", "TryonNet, 1e12 operations a view"]
    heads += [f"seconds a step on an {GPU}", f"{STEPS} steps, s"]
    print("| | " + " | ".join(heads) + " |")
    print("|---" * 8 + "|")
    for name, (layers, rank) in CHOICES.items():
        net = chosen_net(layers, rank)
        work = step_operations(net)
        net.zero_grad()
        for each in net.parameters():
            if not each.requires_grad:
                each.data = each.data.to(torch.bfloat16)
        trained = sum(each.numel() for each in net.parameters() if each.requires_grad)
        held = fixed + num_bytes(net) + 12 * trained  # gradients 4, Adam's moments 8
        copies = 2 * trained  # in bfloat16, which autocast keeps for the backward pass
        moving = activations(BATCH, checkpointing=True, net=net) + copies
        half, full = PEAKS[GPU] * SHARE, PEAKS[GPU] / 2 * SHARE  # TF32 has half of bfloat16's peak
        seconds = BATCH * ((work + of_garment) / half + of_vae / full)
        cells = [f"{trained / 1e6:,.1f}", f"{held / GB:.1f}", f"{(held - 6 * trained) / GB:.1f}"]
        cells += [f"{moving / GB:.1f}", f"{work / 1e12:.1f}", f"{seconds:.2f}", f"{STEPS * seconds:.0f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
