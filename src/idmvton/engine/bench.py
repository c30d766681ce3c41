"""What a checkpoint costs on this machine: seconds by stage, pictures an hour, memory, and what qualities give up.

The pictures are made up: time and memory do not depend on what they show. Distances do, and are measured on a
person and a garment of the caller's.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
import psutil
import torch
from PIL import Image

from idmvton.errors import ConfigError
from idmvton.images import ImageInput
from idmvton.images.densepose import colour_parts
from idmvton.options import TryOnOptions
from idmvton.prepare.record import Prepared
from idmvton.tryon.outputs import TryOnResult
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.tryon.quality import is_exact, plan_steps, with_preset
from idmvton.types import Quality

QUALITIES: tuple[Quality, ...] = get_args(Quality)
TORSO = 2
"""The front of the trunk in body maps."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Timed:
    """What calls of one kind took.

    Attributes:
        name: of the kind.
        seconds: of a call, the median; the first one, which also records and compiles, is not counted.
        first: seconds of that first one; None on a processor, where nothing is recorded and only the very first call
            of all does not count.
        pictures_an_hour: at this pace.
        peak_bytes: the most that was allocated on the GPU; on a processor, that the process had resident after it.
        stages: seconds of each stage, the median.
        distance: of the picture from that of quality ``best``, on average over the picture, in grey levels of 255;
            ``None`` where it was not asked for.
        distance_in_mask: the same inside the mask.
    """

    name: str
    seconds: float
    first: float | None
    pictures_an_hour: float
    peak_bytes: int
    stages: dict[str, float]
    distance: float | None = None
    distance_in_mask: float | None = None


class Bench:
    """Times a pipeline.

    Args:
        pipe: is called many times; its caches are emptied.
        repeats: calls of each kind that count.
        tell: is told what is measured next.
    """

    def __init__(self, pipe: TryOnPipeline, repeats: int, tell: Tell = lambda _: None) -> None:
        self.pipe, self.repeats, self.tell = pipe, repeats, tell
        self.size = pipe.default_size
        self.draws = np.random.default_rng(0)
        self.mask = np.zeros((self.size.height, self.size.width), np.bool_)
        self.mask[self.size.height // 4 : self.size.height // 2] = True
        self.body = colour_parts(self.mask.astype(np.uint8) * TORSO)
        self._is_warm = False

    def differing_qualities(self) -> list[Quality]:
        """``best``, and the qualities that leave anything out: none do where a picture takes one step."""
        own = self.pipe.config.num_inference_steps

        def leaves_out(quality: Quality) -> bool:
            steps = with_preset(TryOnOptions(quality=quality), own).num_inference_steps or own
            return not is_exact(quality, plan_steps(quality, steps), own)

        return [quality for quality in QUALITIES if quality == "best" or leaves_out(quality)]

    def qualities(self) -> Iterator[Timed]:
        """Every quality that differs, of one picture at a time, each of a new garment."""
        for quality in self.differing_qualities():
            self.tell(f"quality {quality}")
            yield self._time(quality, 1, partial(self._call, 1, quality=quality))

    def batches(self, sizes: tuple[int, ...]) -> Iterator[Timed]:
        """Several people in one garment at a time, then one person in as many garments; one of each is ``best``."""
        several = [count for count in sizes if count > 1]
        for count in several:
            self.tell(f"{count} people in one garment")
            yield self._time(f"{count} people, one garment", count, partial(self._call, count))
        for count in several:
            self.tell(f"one person in {count} garments")
            run = partial(self._call, 1, num_garments=count)
            yield self._time(f"one person, {count} garments", count, run)

    def distances(self, person: Prepared, garment: ImageInput, caption: str) -> Iterator[Timed]:
        """Every quality on a person and a garment, and how far its picture is from that of ``best``."""
        pictures: dict[Quality, np.ndarray] = {}
        for quality in self.differing_qualities():
            self.tell(f"distance of quality {quality}")

            def call(quality: Quality = quality) -> TryOnResult:
                return self.pipe(person, garment, caption=caption, seed=0, quality=quality, paste_back=False)

            timed = self._time(quality, 1, call)
            result = call()
            pictures[quality] = np.asarray(result.images[0], np.float32)
            away = np.abs(pictures[quality] - pictures["best"]).mean(axis=2)
            mask = self._mask_at(person, away.shape)
            yield dataclasses.replace(timed, distance=float(away.mean()), distance_in_mask=float(away[mask].mean()))

    def _mask_at(self, person: Prepared, shape: tuple[int, ...]) -> np.ndarray:
        height, width = shape
        mask = Image.fromarray(person.mask).resize((width, height), Image.Resampling.NEAREST)
        found = np.asarray(mask) > 0
        if not found.any():
            raise ConfigError("the mask is empty", fix="prepare the person again")
        return found

    def _call(self, num_people: int, *, num_garments: int = 1, **options: Any) -> TryOnResult:
        people, garments = ([self._picture() for _ in range(count)] for count in (num_people, num_garments))
        return self.pipe(people, garments, self.mask, self.body, "shirt", seed=0, paste_back=False, **options)

    def _picture(self) -> np.ndarray:
        return self.draws.integers(0, 256, (self.size.height, self.size.width, 3), np.uint8)

    def _time(self, name: str, num_pictures: int, call: Callable[[], TryOnResult]) -> Timed:
        device = self.pipe.networks.device
        self.pipe.feature_cache.clear()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds, stages = [], []
        uncounted = 0 if device.type == "cpu" and self._is_warm else 1
        for _ in range(uncounted + self.repeats):
            start = time.perf_counter()
            stages.append(call().timings)
            seconds.append(time.perf_counter() - start)
        self._is_warm = True
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
        median = statistics.median(seconds[uncounted:])
        return Timed(
            name=name,
            seconds=median,
            first=seconds[0] if uncounted else None,
            pictures_an_hour=3600 * num_pictures / median,
            peak_bytes=int(peak),
            stages={name: statistics.median(each[name] for each in stages[uncounted:]) for name in stages[-1]},
        )
