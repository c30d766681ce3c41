"""Loading a pipeline as the model options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmvton.options import ModelOptions

if TYPE_CHECKING:
    from idmvton.tryon.pipeline import TryOnPipeline


def load_pipeline(model: ModelOptions) -> TryOnPipeline:
    """Loads torch and the weights."""
    import diffusers
    import transformers

    from idmvton.devices import resolve_device, resolve_dtype
    from idmvton.tryon.pipeline import TryOnPipeline

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    device = resolve_device(model.device)
    pipe = TryOnPipeline.from_pretrained(
        model.model,
        torch_dtype=resolve_dtype(model.dtype, device),
        device=model.device,
        memory=model.memory,
    )
    pipe.set_progress_bar_config(disable=True)  # the commands have their own
    return pipe
