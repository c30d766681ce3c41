"""States to resume from: written beside, renamed when complete, the newest few kept.

A state holds what accelerate saves (weights, optimizer, the random states of python, numpy and torch in every
process), the moving average, and :class:`Progress`. The rate is a function of the step, and the order of the samples
one of their numbers: neither has a state of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import accelerate

from idmvton.errors import ConfigError, IdmVtonError, InputError
from idmvton.training.ema import MovingAverage
from idmvton.training.run_folder import FOLDER, PREFIX, PROGRESS, check_resumable, damaged, saved_states
from idmvton.weights import read_tensors, write_tensors


@dataclass
class Progress:
    """Where a training is, and what must not change when it goes on.

    Attributes:
        step: optimizer steps done.
        consumed: samples seen; the sampler's position.
        num_samples: of the data set.
        batch_size, seed: of the recipe.
        task: of the recipe.
        best_loss, best_step: the lowest validation loss, and when it was.
        waited: validations since then.
    """

    num_samples: int
    batch_size: int
    seed: int
    task: str
    step: int = 0
    consumed: int = 0
    best_loss: float | None = None
    best_step: int = 0
    waited: int = 0

    def is_better(self, loss: float) -> bool:
        """Takes in a validation loss, and tells whether it is the lowest so far."""
        if self.best_loss is not None and not loss < self.best_loss:
            self.waited += 1
            return False
        self.best_loss, self.best_step, self.waited = loss, self.step, 0
        return True

    def go_on(self, state: dict[str, Any]) -> None:
        """Takes over the position of a saved one.

        Raises:
            ConfigError: the state belongs to another training.
        """
        for name in ("task", "seed", "batch_size", "num_samples"):
            if state[name] != getattr(self, name):
                raise ConfigError(
                    f"the saved training had another {name}",
                    got=getattr(self, name),
                    expected=state[name],
                    fix="resume with the recipe and the data it was started with, or start anew in another folder",
                )
        self.step, self.consumed = state["step"], state["consumed"]
        self.best_loss, self.best_step = state.get("best_loss"), state.get("best_step", 0)
        self.waited = state.get("waited", 0)


def save_state(accelerator: Any, run: Path, progress: Progress, average: MovingAverage | None, keep: int) -> Path:
    """Writes a state; all processes call this together.

    Args:
        accelerator: with the networks and the optimizer.
        run: the run's folder.
        progress: where the training is.
        average: of the weights.
        keep: how many states stay.

    Returns:
        The state's folder.

    Raises:
        InputError: it cannot be written; the states before it stay.
    """
    final = run / FOLDER / f"{PREFIX}{progress.step:08d}"
    if final.exists():
        return final
    try:
        _write(accelerator, final, progress, average)
        if accelerator.is_main_process:
            for old in saved_states(run)[:-keep]:
                shutil.rmtree(old)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise InputError(
            "the state cannot be saved",
            got=f"{final}: {error}",
            expected="a folder that takes new files",
            fix="free space, then go on from the state before with --resume",
        ) from error
    accelerator.wait_for_everyone()
    return final


def _write(accelerator: Any, final: Path, progress: Progress, average: MovingAverage | None) -> None:
    """Beside the final folder first; renamed when every process has written."""
    partial = final.with_name(f".{final.name}.part")
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    if average is not None and (accelerator.is_main_process or is_sharded(accelerator)):
        write_tensors(average.state_dict(), partial / _average_file(accelerator))
    if accelerator.is_main_process:
        (partial / PROGRESS).write_text(json.dumps(asdict(progress)))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        partial.rename(final)


def resume(accelerator: Any, run: Path, progress: Progress, average: MovingAverage | None) -> None:
    """Loads the newest state.

    Raises:
        ConfigError: there is none, or it belongs to another training or network.
        InputError: it is damaged; the message names an older one.
    """
    check_resumable(run)
    states = saved_states(run)
    try:
        _load(accelerator, states[-1], progress, average)
    except IdmVtonError:
        raise
    except (RuntimeError, ValueError, OSError, KeyError, EOFError) as error:
        raise _unloadable(states, error) from error


def _unloadable(states: Sequence[Path], error: Exception) -> IdmVtonError:
    """Of another network, or damaged; an older state may lie beside it."""
    got = f"{states[-1]}: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}"
    if "size mismatch" in str(error) or "Missing key" in str(error) or "doesn't match the size" in str(error):
        return ConfigError(
            "the state is of another network than the recipe's",
            got=got + "".join(f"; {line.strip()[:200]}" for line in str(error).strip().splitlines()[1:2]),
            expected="the recipe that the run was started with",
            fix="resume with that recipe, or start anew in another folder",
        )
    return damaged(states, got)


def _load(accelerator: Any, newest: Path, progress: Progress, average: MovingAverage | None) -> None:
    progress.go_on(json.loads((newest / PROGRESS).read_text()))
    if average is not None:
        path = newest / _average_file(accelerator)
        if not path.exists():
            raise ConfigError("the saved training had no moving average", got=path, fix="set train.ema_decay = 0")
        average.load_state_dict(read_tensors(path))
    accelerator.load_state(str(newest))


def is_sharded(accelerator: Any) -> bool:
    """Whether each process has only a part of the weights."""
    kinds = (accelerate.DistributedType.FSDP, accelerate.DistributedType.DEEPSPEED)
    return accelerator.distributed_type in kinds


def _average_file(accelerator: Any) -> str:
    return f"average-{accelerator.process_index if is_sharded(accelerator) else 0}.safetensors"
