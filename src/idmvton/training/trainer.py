"""The loop, for every task and any number of devices."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import torch
from torch import Tensor, nn

from idmvton.atomic import whole_file
from idmvton.data.augment_options import AugmentOptions
from idmvton.devices import resolve_device
from idmvton.errors import ConfigError, InputError, NumericsError
from idmvton.training import state
from idmvton.training.batches import Batch, Loader, SampleOrder, Shares, to_device
from idmvton.training.cache import CachedFetcher, EncodedCache, fingerprint
from idmvton.training.ema import MovingAverage
from idmvton.training.metrics import Window, Writer, memory_mebibytes
from idmvton.training.optimization import make_optimizer, rate_at
from idmvton.training.recipe import Recipe
from idmvton.training.run_folder import check_resumable, saved_states
from idmvton.training.sections import DataOptions, LogOptions, OptimizerOptions, TrainOptions, ValidationOptions
from idmvton.training.sources import Captioned, Fetcher, open_source
from idmvton.training.state import Progress, is_sharded
from idmvton.training.stopping import Reason, Stopper
from idmvton.training.task import Task, build_task
from idmvton.training.validation import Validation

CHECKPOINT = "checkpoint"
Sources = Callable[[DataOptions, str, int | None], Captioned]
"""Options, split and number of samples -> the samples."""
Report = Callable[[str, int, int, dict[str, float]], None]
"""Called with the stage, how much of it is done, how much there is, and the latest metrics."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one step takes: seconds, and the memory in use after it, in MiB."""

    seconds: float
    mebibytes: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended.

    Attributes:
        reason: why.
        step: optimizer steps done.
        checkpoint: what was exported; None where the training goes on with ``--resume``.
    """

    reason: Reason
    step: int
    checkpoint: Path | None


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    report: Report | None = None,
    tasks: Callable[..., Task] = build_task,
) -> Outcome:
    """Trains.

    Args:
        recipe: what, from what, and how.
        folder: of the run: states, metrics, pictures and the checkpoint.
        resume: go on from the newest state in it.
        report: is told about the progress.
        tasks: recipe and data set -> task.

    Raises:
        ConfigError: options that do not fit together, or a folder that holds another run.
        InputError: samples that cannot be read.
        WeightsError: weights that are missing, do not fit, or cannot be written.
        NumericsError: the loss or the gradients are not finite; the batch was saved.
        MissingExtraError: an option needs a package that is not installed.
    """
    return Trainer(recipe, Path(folder), resume=resume, report=report, tasks=tasks).run()


class Trainer:
    """One run; see :func:`train`."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        resume: bool = False,
        report: Report | None = None,
        tasks: Callable[..., Task] = build_task,
        sources: Sources = open_source,
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.options = recipe.section(TrainOptions)
        self.log = recipe.section(LogOptions)
        self.optimizer_options = recipe.section(OptimizerOptions)
        self._report = report or (lambda *_: None)
        self._check_folder(resume)
        self.accelerator = self._make_accelerator()
        self.device = self.accelerator.device
        if not self.accelerator.is_main_process:
            self._report = lambda *_: None
        accelerate.utils.set_seed(self.options.seed)

        data = recipe.section(DataOptions)
        self.dataset = sources(data, data.split, data.num_samples)
        self.task = tasks(recipe, self.dataset)
        for part in self.task.frozen:
            part.to(self.device)
        if self.options.compile:
            self.task.model.compile()
        self.trained = [each for each in self.task.model.parameters() if each.requires_grad]
        optimizer = make_optimizer(self.trained, self.optimizer_options, fused=self.device.type == "cuda")
        self.is_sharded = is_sharded(self.accelerator)
        self._plain = without_numbers(self.task.model) if self.is_sharded else None
        self.model, self.optimizer = self.accelerator.prepare(self.task.model, optimizer)
        self.trained = [each for each in self.model.parameters() if each.requires_grad]
        self.average = MovingAverage(self.trained, self.options.ema_decay) if self.options.ema_decay else None
        self.progress = Progress(len(self.dataset), self.options.batch_size, self.options.seed, recipe.task)
        if resume:
            state.resume(self.accelerator, folder, self.progress, self.average)
        shares = (self.options.accumulation, self.accelerator.num_processes, self.accelerator.process_index)
        self.shares = Shares(self.options.batch_size, *shares)
        self.validation = Validation(recipe, self.task, self.device, sources)
        self.patience = self.validation.options.patience

    # ------------------------------------------------------------------------------------------ setting up

    def _check_folder(self, resuming: bool) -> None:
        if not resuming and saved_states(self.folder):
            raise ConfigError(
                "the folder holds a training already",
                got=self.folder,
                fix="add --resume to go on with it, or choose another folder",
            )
        if resuming:
            check_resumable(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("the folder cannot be made", got=f"{self.folder}: {error}") from error

    def _make_accelerator(self) -> accelerate.Accelerator:
        on_cpu = resolve_device(self.options.device).type == "cpu"
        if not on_cpu:
            torch.set_float32_matmul_precision("high")
        accelerator = accelerate.Accelerator(cpu=on_cpu, gradient_accumulation_steps=self.options.accumulation)
        deepspeed = accelerator.distributed_type is accelerate.DistributedType.DEEPSPEED
        refused = {
            "validation.every": is_sharded(accelerator) and self.recipe.section(ValidationOptions).every > 0,
            "train.ema_decay": deepspeed and self.options.ema_decay > 0,
        }
        for name in (name for name, is_refused in refused.items() if is_refused):
            raise ConfigError(
                f"{name} needs whole weights in one process",
                got=f"weights sharded by {accelerator.distributed_type.value}",
                expected=f"{name} = 0",
                fix=f"add --set {name}=0; pictures can be drawn from the exported checkpoint",
            )
        return accelerator

    def _fetcher(self) -> Fetcher | CachedFetcher:
        """Reads samples, or the rows of a cache, which is filled first."""
        data = self.recipe.section(DataOptions)
        augment = self.recipe.section(AugmentOptions)
        fetcher = Fetcher(self.dataset, self.task, augment, self.options.seed)
        if data.cache is None:
            return fetcher
        of_data = data.to_dict() | {"cache": None, "folder": None}
        del of_data["studio_flow"]  # tasks that need it say so
        settings = [of_data, augment.to_dict(), self.task.content_settings]
        key = fingerprint(self.task.encoders, self.recipe.task, settings, list(self.dataset.names), self.options.seed)
        cache = EncodedCache(self.folder / data.cache, key, len(self.dataset), data.cache_variants)
        cache.fill(
            fetcher,
            self.task.encode,
            device=self.device,
            workers=self.options.workers,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            wait=self.accelerator.wait_for_everyone,
            progress=lambda done, total: self._report("encoding", done, total, {}),
        )
        self.accelerator.wait_for_everyone()
        return CachedFetcher(cache, fetcher)

    # ------------------------------------------------------------------------------------------ the loop

    def run(self) -> Outcome:
        """Trains to the last step, or until something stops it; see :func:`train`."""
        steps, first = self.options.steps, self.progress.step
        batches = self._loader(self._fetcher()).batches()
        writer = self._writer(first)
        if self.patience and first == 0:
            self._validate(0, writer)
        window = Window(self.log.timestep_bins, self.task.num_timesteps, self.device)
        reason: Reason | None = None
        with Stopper(self.options.max_minutes) as stopper:
            for step in range(first, steps):
                norm = self._step(step, batches, window)
                self.progress.step, self.progress.consumed = step + 1, (step + 1) * self.options.batch_size
                self._after_step(step + 1, norm, window, writer)
                reason = "settled" if self.progress.waited >= self.patience > 0 else stopper.reason(self.accelerator)
                if reason is not None:
                    break
            if reason is None or self.progress.step == steps:
                reason = "finished"
            is_done = reason in ("finished", "settled")
            if self.options.save_finished or not is_done:
                self._save()
            checkpoint = self._last_export() if is_done else None
        if writer is not None:
            writer.close()
        return Outcome(reason, self.progress.step, checkpoint)

    def probe(self) -> Probe:
        """What a step takes, told by one whose gradients are thrown away: no weight and no later draw changes."""
        batch = next(self._loader(self._fetcher()).batches())
        begin = time.perf_counter()
        with self._autocast():
            loss = self.task.loss(self.model, self._encoded(batch))
        self.accelerator.backward(loss.per_sample.mean())
        self.optimizer.zero_grad()
        memory = memory_mebibytes(self.device)  # waits for the GPU
        return Probe((time.perf_counter() - begin) * self.options.accumulation, memory)

    def _loader(self, fetcher: Fetcher | CachedFetcher) -> Loader:
        """The batches from the present step on."""
        return Loader(
            fetcher,
            SampleOrder(len(self.dataset), self.options.seed),
            self.shares,
            first_step=self.progress.step,
            workers=self.options.workers,
            pin=self.device.type == "cuda",
        )

    def _step(self, step: int, batches: Iterator[Batch], window: Window) -> Tensor:
        """One optimizer step; returns the norm of the gradients before clipping."""
        seen: list[Batch] = []
        for _ in range(self.options.accumulation):
            batch = self._encoded(next(batches))
            seen.append(batch)
            with self.accelerator.accumulate(self.model):
                with self._autocast():
                    loss = self.task.loss(self.model, batch)
                window.add(loss)
                self.accelerator.backward(loss.per_sample.mean())
                if self.accelerator.sync_gradients:
                    norm = self._clip()
                    self._stop_unless_finite(norm, step, seen)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate_at(step, self.options.steps, self.optimizer_options)
                self.optimizer.step()
                self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update()
        return norm

    def _encoded(self, batch: Batch) -> Batch:
        """What the loss needs: encoded now, unless it came from a cache."""
        batch = to_device(batch, self.device)
        if self.recipe.section(DataOptions).cache is None:
            batch |= self.task.encode(batch)
        return batch

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bfloat16")

    def _clip(self) -> Tensor:
        limit = self.options.max_grad_norm or float("inf")
        return torch.as_tensor(self.accelerator.clip_grad_norm_(self.trained, limit))

    def _stop_unless_finite(self, norm: Tensor, step: int, seen: list[Batch]) -> None:
        if torch.isfinite(norm):
            return
        path = self.folder / f"not-finite-step-{step:08d}-process-{self.accelerator.process_index}.pt"
        torch.save([to_device(batch, torch.device("cpu")) for batch in seen], path)
        names = [name for batch in seen for name in batch["name"]]
        raise NumericsError(
            f"the gradients of step {step} are not finite; the weights are those before it",
            got=f"norm {float(norm)} on the samples {', '.join(names[:8])}",
            expected="finite numbers",
            fix=f"look at the batch in {path}, lower optimizer.learning_rate, or use train.precision = 'float32'; "
            "the last saved state can be resumed",
        )

    # ------------------------------------------------------------------------------------------ what is written

    def _writer(self, first_step: int) -> Writer | None:
        if not self.accelerator.is_main_process:
            return None
        with whole_file(self.folder / "recipe.json") as file:
            file.write(json.dumps(self.recipe.to_dict(), indent=1).encode())
        return Writer(self.folder, first_step, tensorboard=self.log.tensorboard)

    def _after_step(self, step: int, norm: Tensor, window: Window, writer: Writer | None) -> None:
        """Metrics, validation, exports and states, when it is their turn."""
        is_last = step == self.options.steps
        if step % self.log.every == 0 or is_last:
            metrics = window.report(self.accelerator) | {
                "gradient_norm": float(norm),
                "rate": rate_at(step - 1, self.options.steps, self.optimizer_options),
                "memory_mebibytes": memory_mebibytes(self.device),
            }
            window.clear()
            if writer is not None:
                writer.write(step, metrics)
            self._report("training", step, self.options.steps, metrics)
        every = self.recipe.section(ValidationOptions).every
        if every and (step % every == 0 or is_last):
            self._validate(step, writer)
        if self.options.export_every and step % self.options.export_every == 0 and not is_last:
            self._export()
        if step % self.options.save_every == 0 and not is_last:
            self._save()

    def _save(self) -> None:
        state.save_state(self.accelerator, self.folder, self.progress, self.average, self.options.keep)

    def _averaged(self) -> Any:
        """A block in which the weights are their moving average."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def _validate(self, step: int, writer: Writer | None) -> None:
        loss = torch.zeros((), device=self.device)
        with self._averaged():
            if writer is not None:
                with self._autocast():
                    metrics = self.validation.losses() | self.validation.figures()
                    picture = self.validation.picture()
                loss.fill_(metrics["validation_loss"])
                writer.write(step, metrics)
                if picture is not None:
                    path = self.folder / "pictures" / f"step-{step:08d}.png"
                    with whole_file(path) as file:
                        picture.save(file, "PNG")
                    writer.picture(step, "validation", np.asarray(picture))
        self.accelerator.wait_for_everyone()
        if self.patience and self.progress.is_better(float(accelerate.utils.broadcast(loss))) and step:
            self._export()

    def _last_export(self) -> Path | None:
        """The checkpoint of the last weights; with patience that of the best, None where none was better than none."""
        if not self.patience:
            return self._export()
        return self.folder / CHECKPOINT if self.progress.best_loss is not None and self.progress.best_step else None

    def _export(self) -> Path:
        """Writes the checkpoint, with the moving average of the weights."""
        folder = self.folder / CHECKPOINT
        with self._averaged():
            tensors = self.accelerator.get_state_dict(self.model) if self.is_sharded else {}
            if self.accelerator.is_main_process:
                if self._plain is not None:
                    self._plain.load_state_dict(tensors, assign=True)
                self.task.export(folder, self._plain or self.task.model)
        self.accelerator.wait_for_everyone()
        return folder


def without_numbers(module: nn.Module) -> nn.Module:
    """A copy on the meta device, to be filled with gathered weights."""
    empty: dict[int, Any] = {id(each): each.to("meta") for each in module.buffers()}
    empty |= {id(each): nn.Parameter(each.detach().to("meta")) for each in module.parameters()}
    return copy.deepcopy(module, empty)
