"""The parts of :mod:`benchmarks.full_size_gpu` that train: steps at full size, and a tiny training by the command."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.denoising import fill
from benchmarks.training_memory import garment_features, step_inputs, tryon_net
from idmvton.training.tryon_task import TryOnStep

TimeRun = Callable[[str, Callable[[], Tensor]], Tensor]


def measure_train_command(device: torch.device, tell: Callable[..., None]) -> None:
    """``idmvton train tiny_cpu`` on a device: seconds, and the last loss that it printed.

    Raises:
        RuntimeError: the command failed.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        changes = (f"train.device={device}", "train.steps=20", "data.num_samples=8", "train.save_every=20")
        command = [sys.executable, "-m", "idmvton", "train", "tiny_cpu", "-o", f"{folder}/run"]
        command += [word for change in (*changes, "validation.every=20") for word in ("--set", change)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    tell(f"train tiny_cpu on {device}", seconds=time.perf_counter() - start, said=done.stdout.strip()[-200:])


def measure_training_steps(device: torch.device, time_run: TimeRun) -> None:
    """One training step at full size: TryonNet in float32 under autocast, AdamW, gradient checkpointing."""
    dtype = torch.bfloat16
    with torch.device("meta"):
        net = tryon_net()
    fill(net, device, torch.float32)
    net.train().requires_grad_(True)
    net.enable_gradient_checkpointing()
    step = TryOnStep(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    for batch in (1, 4):
        features = {
            name: torch.randn(batch, *tokens.shape[1:], device=device, dtype=dtype)
            for name, tokens in garment_features(1).items()
        }
        inputs = [
            torch.randn_like(each, device=device) if each.is_floating_point() else each.new_zeros(batch, device=device)
            for each in step_inputs(batch, features)[:3]
        ]
        added = {
            "text_embeds": torch.randn(batch, 1280, device=device),
            "time_ids": torch.ones(batch, 6, device=device),
        }
        clip = torch.randn(batch, 257, 1280, device=device)

        def train(inputs: Any = inputs, added: Any = added, clip: Any = clip, features: Any = features) -> Tensor:
            with torch.autocast(device.type, dtype):
                loss = step(*inputs, added, clip, features, 0).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.detach()

        time_run(f"training step, batch {batch}, checkpointing", train)
