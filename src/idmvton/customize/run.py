"""Prepared pairs in, an adapter out: the run of a customization in its folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import whole_file
from idmvton.checkpoint.adapter import read_adapter, write_adapter
from idmvton.checkpoint.adapter_record import FILE, AdapterRecord
from idmvton.customize.free import RUN, check_free
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.recipe import num_draws, recipe_of
from idmvton.customize.task import AtChecks, CustomizeTask, MiniCustomizeTask, library_versions
from idmvton.customize.views import HeldOut
from idmvton.data.sample import TryOnSample
from idmvton.errors import ConfigError
from idmvton.training.metrics import FILE as METRICS
from idmvton.training.run_folder import saved_states
from idmvton.training.stopping import Reason
from idmvton.training.trainer import CHECKPOINT, Probe, Report, Trainer
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Size

_REQUEST: Final = "request.json"


@dataclass(frozen=True, slots=True)
class Learned:
    """How a customization ended.

    Attributes:
        reason: why.
        step: optimizer steps done.
        record: of the adapter; None where the training goes on with ``resume``.
    """

    reason: Reason
    step: int
    record: AdapterRecord | None


class Customization:
    """One garment, being learned.

    Args:
        pipe: the checkpoint, in float32 on the CPU; its networks are trained in place.
        samples: the pairs, see :func:`idmvton.customize.views.sample_of`.
        folder: of the adapter.
        choices: of the user.
        photos: name -> SHA-256.
        prior: samples of a data set, mixed in.
        device: where to compute.
        resume: go on from the saved state.
        report: is told about the progress.

    Raises:
        OutputError: there is an adapter in the folder, or it cannot be written.
        ConfigError: choices that do not fit, nothing to resume, or another customization to resume.
        InputError: a damaged state.
    """

    def __init__(
        self,
        pipe: TryOnPipeline,
        samples: Sequence[TryOnSample],
        folder: Path,
        choices: CustomizeOptions,
        *,
        photos: Mapping[str, str],
        prior: Sequence[TryOnSample] = (),
        device: str = "auto",
        resume: bool = False,
        report: Report | None = None,
    ) -> None:
        check_free(folder, resume=resume)
        self.folder, self.run_folder = folder, folder / RUN
        views = HeldOut(samples, prior, choices.prior_share, num_draws(pipe))
        size = Size(*samples[0].size)
        about = AdapterRecord(
            base=pipe.weights_name,
            layers=_about_layers(choices, drafts=pipe.warp_net is not None),
            rank=choices.lora,
            caption=samples[0].caption,
            category=samples[0].category,
            photos=dict(photos),
            options=choices.to_dict(),
            steps=0,
            losses={},
            digest="",
            made_with=library_versions(),
        )
        self._note_request(about, resume=resume)
        kind: Any = CustomizeTask if pipe.warp_net is None else MiniCustomizeTask
        recipe = recipe_of(pipe, choices, device, size)
        sources = {"train": views.training(), recipe.sections["validation"].to_dict()["split"]: views.held_out()}
        self.trainer = Trainer(
            recipe,
            self.run_folder,
            resume=resume,
            report=report,
            tasks=lambda recipe, dataset: kind(recipe, dataset, pipe, choices, about),
            sources=lambda _, split, __: sources[split],
        )
        self.task: Any = self.trainer.task

    def cost(self) -> Probe:
        """What a step takes here: measured, on one whose result is thrown away."""
        return self.trainer.probe()

    @property
    def num_trained(self) -> int:
        """Trained numbers."""
        return sum(each.numel() for each in self.trainer.trained)

    def run(self, at_checks: AtChecks | None = None) -> Learned:
        """Learns; the adapter of the best weights is then in the folder, and the run's folder gone.

        Args:
            at_checks: measures more than the held-out view's loss.

        Raises:
            ConfigError: the garment was not learned: the held-out view never got better.
            WeightsError: the adapter cannot be written.
            NumericsError: the loss or the gradients are not finite.
        """
        if at_checks is not None:
            self.task.at_checks = at_checks
        outcome = self.trainer.run()
        if outcome.reason not in ("finished", "settled"):
            return Learned(outcome.reason, outcome.step, None)
        losses = losses_of(self.run_folder / METRICS)
        if outcome.checkpoint is None:
            raise ConfigError(
                "the garment was not learned: the held-out view never got better",
                got=", ".join(f"{loss:.4g} at {step}" for step, loss in losses.items()),
                expected="a loss below that at the start",
                fix="try a smaller --learning-rate, or other --layers; "
                f"delete {self.run_folder} before the next attempt",
            )
        best = self.trainer.progress.best_step
        adapter = read_adapter(self.run_folder / CHECKPOINT / FILE)
        record = dataclasses.replace(adapter.record, steps=best, losses=losses)
        record = write_adapter(dataclasses.replace(adapter, record=record), self.folder / FILE)
        shutil.rmtree(self.run_folder, ignore_errors=True)
        return Learned(outcome.reason, outcome.step, record)

    def _note_request(self, about: AdapterRecord, *, resume: bool) -> None:
        """Notes what is learned, or makes sure that what is resumed is the same."""
        path = self.run_folder / _REQUEST
        own = json.loads(json.dumps({"base": about.base, "photos": about.photos, "options": about.options}))
        if resume and path.is_file():
            noted = json.loads(path.read_text())
            changed = [name for name in own["options"] if own["options"][name] != noted["options"].get(name)]
            changed = [name for name in changed if name not in ("max_minutes", "steps")]
            changed += [name for name in ("base", "photos") if own[name] != noted[name]]
            if changed:
                raise ConfigError(
                    "the saved customization was of other photos or options",
                    got=", ".join(changed),
                    expected="those that it was started with",
                    fix=f"run the same command again with --resume, or choose another folder than {self.folder}",
                )
        elif not resume and not saved_states(self.run_folder):
            with whole_file(path) as file:
                file.write(json.dumps(own, indent=1).encode())


def losses_of(metrics: Path) -> dict[str, float]:
    """The held-out view's losses, by step, the first as ``start``."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    told = {str(line["step"]): line["validation_loss"] for line in lines if "validation_loss" in line}
    return {"start" if step == "0" else step: loss for step, loss in told.items()}


def _about_layers(choices: CustomizeOptions, *, drafts: bool) -> str:
    layers = choices.layers or ("none" if drafts else "up_attention")
    parts = ([] if layers == "none" else [layers]) + (["warp_net"] if drafts and choices.warp is not False else [])
    return " + ".join(parts)
