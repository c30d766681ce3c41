"""What is written while training: a line of JSON for each report, and TensorBoard where it is wanted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from idmvton.errors import MissingExtraError
from idmvton.training.task import Loss

FILE = "metrics.jsonl"


class Window:
    """Sums since the last report, on the device, so that counting never waits for it.

    Args:
        num_bins: ranges of timesteps that the loss is given for.
        num_timesteps: of the schedule.
        device: of the losses.
    """

    def __init__(self, num_bins: int, num_timesteps: int, device: torch.device) -> None:
        self.num_bins, self.num_timesteps, self.device = num_bins, num_timesteps, device
        self.clear()

    def clear(self) -> None:
        """Begins a new window."""
        self.sums = torch.zeros(2, self.num_bins, device=self.device)
        self.totals = torch.zeros(2, device=self.device)
        self.parts: dict[str, Tensor] = {}
        self.num_batches = 0
        self.begin = time.perf_counter()

    def add(self, loss: Loss) -> None:
        """Counts one batch of this process."""
        values = loss.per_sample.detach().float()
        self.totals += torch.stack([values.sum(), torch.full((), len(values), device=self.device)])
        self.num_batches += 1
        for name, value in loss.parts.items():
            self.parts[name] = self.parts.get(name, 0) + value.detach().float()
        if loss.timesteps is not None:
            bins = loss.timesteps * self.num_bins // self.num_timesteps
            self.sums[0].index_add_(0, bins, values)
            self.sums[1].index_add_(0, bins, torch.ones_like(values))

    def report(self, accelerator: Any) -> dict[str, float]:
        """The means of all processes, and samples a second; a bin without samples is left out."""
        counts = accelerator.reduce(torch.cat([self.sums.flatten(), self.totals]), reduction="sum").tolist()
        sums, numbers, (total, number) = counts[: self.num_bins], counts[self.num_bins : -2], counts[-2:]
        edges = [round(self.num_timesteps * n / self.num_bins) for n in range(self.num_bins + 1)]
        metrics = {"loss": total / number}
        metrics |= {
            f"loss/{low}-{high - 1}": part / count
            for part, count, low, high in zip(sums, numbers, edges[:-1], edges[1:], strict=True)
            if count
        }
        metrics |= {name: float(value) / self.num_batches for name, value in self.parts.items()}
        metrics["samples_per_second"] = number / (time.perf_counter() - self.begin)
        return metrics


def memory_mebibytes(device: torch.device) -> float:
    """The most memory that was used on a GPU; elsewhere what the process uses now."""
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return used / 2**20


class Writer:
    """Appends metrics to ``metrics.jsonl``; lines after ``first_step`` of an interrupted run are dropped.

    Args:
        folder: of the run.
        first_step: the step that the run goes on from.
        tensorboard: also write events for TensorBoard.

    Raises:
        MissingExtraError: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, first_step: int, *, tensorboard: bool) -> None:
        self.path = folder / FILE
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= first_step]
        self.path.write_text("".join(line + "\n" for line in kept))
        self.events = _tensorboard(folder) if tensorboard else None

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """One report."""
        rounded = {name: float(f"{value:.6g}") for name, value in metrics.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step} | rounded) + "\n")
        if self.events is not None:
            for name, value in metrics.items():
                self.events.add_scalar(name, value, step)

    def picture(self, step: int, name: str, sheet: Any) -> None:
        """A validation picture, uint8 (H, W, 3), for TensorBoard."""
        if self.events is not None:
            self.events.add_image(name, sheet, step, dataformats="HWC")

    def close(self) -> None:
        """Ends the files."""
        if self.events is not None:
            self.events.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "TensorBoard is not installed",
            got=error,
            expected="the extra `tensorboard`",
            fix="pip install 'idmvton[tensorboard]', or set log.tensorboard = false",
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))
