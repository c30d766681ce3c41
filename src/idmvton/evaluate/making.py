"""Pictures to score: a checkpoint's try-ons of a data set, baselines, and the checkpoint with parts switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from PIL import Image

from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.data.file_dataset import FileDataset
from idmvton.data.sample import TryOnSample
from idmvton.errors import ConfigError, InputError
from idmvton.evaluate.baselines import colour_fill, thin_plate_warp
from idmvton.evaluate.choice import DataChoice
from idmvton.images import from_vae_tensor, mask_to_tensor, read_provenance, save_png, to_pil, to_vae_tensor
from idmvton.models.garment_net import GarmentNet
from idmvton.options import TryOnOptions
from idmvton.prepare.garment import on_white
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Captions, GarmentFeatures

Method = Literal["model", "draft", "colour fill", "thin-plate warp"]
Words = Captions | Literal["none"]
Progress = Callable[[int, int], None]
BATCH: Final = 4


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to make the pictures of an experiment.

    Attributes:
        method: the model; its draft alone, where it makes one; or a baseline that needs no network.
        captions: which of the data set's captions are read; studio folders have ``detailed`` and ``naive`` ones;
            ``none``: every garment is called what nobody described is called.
        garment_features: False: GarmentNet's features are zero, as in the unconditional half of guidance.
        options: of :class:`idmvton.options.TryOnOptions`, such as ``guidance_scale``.
    """

    method: Method = "model"
    captions: Words = "tags"
    garment_features: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Variant:
        """A variant as a file or a caller spells it.

        Raises:
            ConfigError: an unknown key or word, or an option out of range.
        """
        known = cls.__dataclass_fields__
        if wrong := sorted(values.keys() - known.keys()):
            raise ConfigError("a variant has unknown keys", got=", ".join(wrong), expected=", ".join(known))
        variant = cls(**values)
        for name, allowed in (("method", get_args(Method)), ("captions", (*get_args(Captions), "none"))):
            if getattr(variant, name) not in allowed:
                raise ConfigError(f"unknown {name}", got=repr(getattr(variant, name)), expected=", ".join(allowed))
        TryOnOptions.from_mapping(dict(variant.options))
        return variant


def make_pictures(
    pipe: TryOnPipeline,
    data: DataChoice,
    output: Path,
    variant: Variant = Variant(),
    progress: Progress = lambda *_: None,
) -> list[str]:
    """Makes a picture of each pair, PERSON__GARMENT.png; those that are there and were made alike are kept.

    Every picture has the seed of its place in the list.

    Args:
        pipe: the checkpoint.
        data: the pairs.
        output: a folder; made if it is missing.
        variant: how.
        progress: called with pictures done and in all.

    Returns:
        The names of the pairs, in order.

    Raises:
        InputError: the data set cannot be read, or the folder not written.
    """
    files = data.files("tags" if variant.captions == "none" else variant.captions)
    if variant.captions == "none":
        files = [replace(each, caption=DEFAULT_CAPTION) for each in files]
    dataset = FileDataset(files, pipe.default_size, missing_caption="category phrase")
    draw = _method(pipe, variant)
    options = dict(variant.options)
    asked = {"weights": pipe.weights_name, "variant": asdict(variant) | {"options": options}, "maps": data.maps}
    plain = {"method": variant.method, "captions": variant.captions, "garment_features": variant.garment_features}
    output.mkdir(parents=True, exist_ok=True)
    if data.maps == "prepared":
        asked["garments"] = "prepared"
    todo = [n for n, name in enumerate(dataset.names) if not _is_made(output / f"{name}.png", asked | {"seed": n})]
    done = len(dataset) - len(todo)
    progress(done, len(dataset))
    for first in range(0, len(todo), BATCH):
        numbers = todo[first : first + BATCH]
        samples = [dataset[n] for n in numbers]
        if data.maps == "prepared":
            samples = [replace(each, garment=on_white(each.garment, each.category)) for each in samples]
        for number, picture in zip(numbers, draw(samples, numbers), strict=True):
            notes = {"asked": asked | {"seed": number}, "weights": pipe.weights_name, **plain, **options}
            save_png(picture, output / f"{dataset.names[number]}.png", notes)
        done += len(numbers)
        progress(done, len(dataset))
    return list(dataset.names)


Draw = Callable[[Sequence[TryOnSample], Sequence[int]], list[Image.Image]]


def _method(pipe: TryOnPipeline, variant: Variant) -> Draw:
    if variant.method == "colour fill":
        return lambda samples, _: [
            Image.fromarray(colour_fill(np.asarray(each.person), np.asarray(each.garment), each.mask))
            for each in samples
        ]
    if variant.method == "thin-plate warp":
        return lambda samples, _: [_bent(each) for each in samples]
    if variant.method == "draft":
        return lambda samples, _: _drafts(pipe, samples)
    return lambda samples, seeds: _try_on(pipe, variant, samples, seeds)


def _try_on(
    pipe: TryOnPipeline, variant: Variant, samples: Sequence[TryOnSample], seeds: Sequence[int]
) -> list[Image.Image]:
    with contextlib.nullcontext() if variant.garment_features else without_garment_features(pipe):
        result = pipe(
            person=[each.person for each in samples],
            garment=[each.garment for each in samples],
            mask=[each.mask for each in samples],
            densepose=[each.densepose for each in samples],
            labels=[each.labels for each in samples],
            caption=[each.caption for each in samples],
            seed=list(seeds),
            **dict(variant.options),
        )
    return list(result.images)


@torch.no_grad()
def _drafts(pipe: TryOnPipeline, samples: Sequence[TryOnSample]) -> list[Image.Image]:
    if pipe.drafter is None:
        raise ConfigError("this checkpoint makes no draft", got=pipe.weights_name, expected="one with a WarpNet")
    pictures = [to_vae_tensor([getattr(each, kind) for each in samples]) for kind in ("person", "densepose", "garment")]
    person, densepose, garment = pictures
    draft = pipe.drafter(person, mask_to_tensor([each.mask for each in samples]), densepose, garment)
    return to_pil(from_vae_tensor(draft.whole))


@contextlib.contextmanager
def without_garment_features(pipe: TryOnPipeline) -> Iterator[None]:
    """GarmentNet's features are zero: what the unconditional half of guidance sees."""

    def no_features(_module: GarmentNet, _inputs: Any, features: GarmentFeatures) -> GarmentFeatures:
        return GarmentFeatures({name: torch.zeros_like(tokens) for name, tokens in features.tokens.items()})

    handle = pipe.unet_encoder.register_forward_hook(no_features)
    pipe.garment_cache.clear()
    pipe.feature_cache.clear()
    try:
        yield
    finally:
        handle.remove()
        pipe.garment_cache.clear()
        pipe.feature_cache.clear()


def _bent(sample: TryOnSample) -> Image.Image:
    if sample.keypoints is None:
        raise InputError(
            "the thin-plate warp needs keypoints", got=sample.name, expected="a data set with openpose_json"
        )
    person, garment = np.asarray(sample.person), np.asarray(sample.garment)
    return Image.fromarray(thin_plate_warp(person, garment, sample.mask, sample.keypoints, sample.category))


def _is_made(path: Path, asked: Mapping[str, Any]) -> bool:
    if not path.exists():
        return False
    try:
        return read_provenance(path).get("asked") == asked
    except InputError:
        return False
