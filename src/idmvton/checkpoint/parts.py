"""The parts of a checkpoint that diffusers and transformers load, and how a folder is read and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from idmvton.checkpoint.folder import read_config, stem_of
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import WeightsError
from idmvton.models.latents import vae_dtype
from idmvton.weights import check_file, find_weights
from idmvton.weights.files import variant_of

LIBRARY_CLASSES = {
    "vae": diffusers.AutoencoderKL,
    "text_encoder": transformers.CLIPTextModel,
    "text_encoder_2": transformers.CLIPTextModelWithProjection,
    "image_encoder": transformers.CLIPVisionModelWithProjection,
}
WARP_NET = "warp_net"
"""The folder of a WarpNet, which a checkpoint may have."""
DIFFUSERS_PARTS = ("vae", WARP_NET)


def load_part(folder: Path, name: str, *, dtype: torch.dtype = torch.float32, variant: str | None = None) -> Any:
    """Loads one part but the UNets, by the name of its folder: a network, a tokenizer or the scheduler.

    Raises:
        WeightsError: it is missing, damaged or does not fit.
    """
    if name == "scheduler":
        return _load_scheduler(folder)
    if name in LIBRARY_CLASSES or name == WARP_NET:
        return _load_library_part(folder, name, dtype, variant)
    try:
        return transformers.CLIPTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the tokenizer in {folder}", got=error) from error


def _load_scheduler(folder: Path) -> Any:
    name = read_config(folder, "scheduler_config.json").get("_class_name")
    scheduler_class: Any = getattr(diffusers, str(name), None)
    is_scheduler = isinstance(scheduler_class, type) and issubclass(scheduler_class, diffusers.SchedulerMixin)
    if not is_scheduler:
        raise WeightsError(f"unknown scheduler in {folder}", got=repr(name), expected="a scheduler of diffusers")
    try:
        scheduler = scheduler_class.from_pretrained(folder)
    except (ValueError, TypeError, NotImplementedError, OSError) as error:
        raise WeightsError(f"cannot use the scheduler in {folder}", got=f"{name}: {error}") from error
    if not has_noise_schedule(scheduler):
        raise WeightsError(
            f"the scheduler in {folder} does not fit the networks",
            got=name,
            expected="one that adds noise by alphas_cumprod (DDPM, DDIM, Euler, DPMSolverMultistep, UniPC, LCM)",
            fix="use the scheduler_config.json of the published checkpoint",
        )
    return scheduler


def has_noise_schedule(scheduler: Any) -> bool:
    """Whether a scheduler is of diffusion, as the networks were trained; flow-matching ones are not."""
    return hasattr(scheduler, "alphas_cumprod")


def _load_library_part(folder: Path, name: str, dtype: torch.dtype, variant: str | None) -> Any:
    """A network that diffusers or transformers loads, strictly."""
    config = read_config(folder)
    if name == "vae":
        dtype = vae_dtype(config, dtype)
    files = find_weights(folder, stem_of(name), variant)
    for path in files:
        check_file(path)
    variant = variant or variant_of(files[0], stem_of(name))
    dtype_keyword = "torch_dtype" if name in DIFFUSERS_PARTS else "dtype"
    part_class: Any = WarpNet if name == WARP_NET else LIBRARY_CLASSES[name]
    try:
        with quiet_transformers():
            module, info = part_class.from_pretrained(
                folder,
                output_loading_info=True,
                variant=variant,
                local_files_only=True,
                **{dtype_keyword: dtype},
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"cannot load {name} from {folder}", got=str(error)[:1000]) from error
    refuse_misfits(
        f"{name} in {folder}",
        {
            "missing": info["missing_keys"],
            "not known": [key for key in info["unexpected_keys"] if not key.endswith("position_ids")],
            "of the wrong shape": map(str, info["mismatched_keys"]),
        },
    )
    return module.eval()


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the progress bars that transformers prints while it loads and saves."""
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            transformers.utils.logging.enable_progress_bar()


def list_faults(faults: Mapping[str, Sequence[str]], limit: int = 10) -> list[str]:
    """Lines that list at most ``limit`` tensors of each kind of fault."""
    lines = []
    for kind, names in faults.items():
        names = sorted(names)
        if names:
            lines.append(f"{len(names)} tensors {kind}:")
            lines += [f"  {name}" for name in names[: limit - 1]]
            lines += [f"  ... and {len(names) - limit + 1} more"] if len(names) >= limit else []
    return lines


def refuse_misfits(what: str, faults: Mapping[str, Iterable[str]], limit: int = 10) -> None:
    """Raises a WeightsError that lists at most ``limit`` tensors of each kind of fault."""
    listed = {kind: list(names) for kind, names in faults.items()}
    wrapped = {each.split(".")[0] for each in listed.get("not known", [])} if listed.get("missing") else set()
    wrapper = wrapped.pop() if len(wrapped) == 1 else None
    if lines := list_faults(listed, limit):
        raise WeightsError(
            f"the weights do not fit {what}",
            got="\n    ".join(lines),
            expected="exactly the tensors of this architecture",
            fix="check that config.json and the weights come from the same model"
            + (f"; the names all start with {wrapper!r}: save the network's own state dict" if wrapper else ""),
        )
