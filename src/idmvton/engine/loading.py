"""Loading a pipeline as the model options say: what is cheap to check first, the rest when it is needed."""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from idmvton.errors import ConfigError
from idmvton.lean_imports import without_compiler
from idmvton.options import ModelOptions, TryOnOptions

if TYPE_CHECKING:
    from idmvton.tryon.pipeline import TryOnPipeline

Load = Callable[[], "TryOnPipeline"]
LIBRARY_NAMES: Final = {
    "diffusers": ("AutoencoderKL", "UNet2DConditionModel", "DiffusionPipeline", "DDPMScheduler"),
    "transformers": ("CLIPTextModelWithProjection", "CLIPVisionModelWithProjection", "CLIPTokenizer"),
}
"""What every checkpoint needs of the libraries, both of which import their parts on first use."""


def check_model(model: ModelOptions, options: TryOnOptions | None = None) -> Load:
    """Makes sure, before the expensive work, that the model, its device and the working size can be used.

    Args:
        model: which, and where to.
        options: of the try-on.

    Returns:
        What loads it.

    Raises:
        WeightsError: the weights are not on the disk, a part of them is missing, or there is no such adapter.
        ConfigError: a device or precision that this machine does not have.
        InputError: a working size that the networks cannot work in.
    """
    from idmvton.checkpoint.adapter_record import find_adapter, read_record
    from idmvton.checkpoint.folder import NETWORKS, find_parts, sizes_of, stem_of
    from idmvton.images.framing import check_size
    from idmvton.weights import find_weights, locate, locate_base
    from idmvton.weights.sniff import check_file

    set_threads(model.threads)
    for file, _ in lora_files(model.lora):
        check_file(file)
    if model.adapter is not None:
        read_record(find_adapter(model.adapter))
    parts = find_parts(locate(model.model), locate_base(model.model))
    for name in NETWORKS:
        find_weights(parts[name], stem_of(name), model.variant)
    if options is not None and (options.height or options.width):
        own, multiple = sizes_of(parts)
        width = options.width or own.width // multiple * multiple
        check_size(options.height or own.height // multiple * multiple, width, multiple)
    from idmvton.devices import resolve_device, resolve_dtype

    device = resolve_device(model.device)
    resolve_dtype(model.dtype, device)
    if model.cpu_offload and device.type == "cpu":
        raise ConfigError("--cpu-offload needs a GPU", got=f"device {device}", fix="leave --cpu-offload out")
    return functools.partial(load_pipeline, model)


def import_beside() -> None:
    """Starts to import what the model needs in a thread, while the photos are prepared.

    Loading itself cannot run in a thread: transformers changes torch's default dtype and initialisation for the
    whole process while it loads. What this thread has not imported is imported when it is needed.
    """

    def work() -> None:
        with contextlib.suppress(ImportError):
            for module, names in LIBRARY_NAMES.items():
                for name in names:
                    getattr(importlib.import_module(module), name)

    threading.Thread(target=work, name="import", daemon=True).start()


def set_threads(threads: int | None) -> None:
    """Limits the threads of the networks."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def lora_files(given: Sequence[str]) -> list[tuple[str, float]]:
    """``FILE`` or ``FILE=SCALE`` -> file and scale.

    Raises:
        ConfigError: the scale is no number.
    """
    from idmvton.weights.sniff import ACCEPTED_SUFFIXES

    found = []
    for each in given:
        file, sign, scale = each.rpartition("=")
        if sign and not each.endswith(ACCEPTED_SUFFIXES):
            try:
                found.append((file, float(scale)))
            except ValueError:
                raise ConfigError("--lora cannot be read", got=repr(each), expected="FILE or FILE=0.6") from None
        else:
            found.append((each, 1.0))
    return found


def load_pipeline(model: ModelOptions) -> TryOnPipeline:
    """Loads torch and the weights."""
    from idmvton.devices import resolve_device, resolve_dtype
    from idmvton.tryon.pipeline import TryOnPipeline

    set_threads(model.threads)
    device = resolve_device(model.device)
    with without_compiler():
        pipe = TryOnPipeline.from_pretrained(
            model.model,
            torch_dtype=resolve_dtype(model.dtype, device),
            device="cpu" if model.cpu_offload else model.device,
            variant=model.variant,
            memory="fast" if model.cpu_offload else model.memory,
            attention=model.attention,
            lora=lora_files(model.lora),
            adapter=model.adapter,
            adapter_scale=model.adapter_scale,
        )
    pipe.set_progress_bar_config(disable=True)  # the commands have their own
    if model.cpu_offload:
        pipe.enable_model_cpu_offload(device=device)
    return pipe
