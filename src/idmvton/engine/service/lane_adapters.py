"""Adapters in a lane: the one that is on, and the making of new ones."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from idmvton.checkpoint.adapter_record import FILE
from idmvton.customize.options import CustomizeOptions
from idmvton.engine.adapter_folder import choose_adapter
from idmvton.engine.adapters import AdapterRequest, MadeAdapter, PhotoPair, make_adapter
from idmvton.engine.service.lane_process import Tell
from idmvton.engine.service.orders import part_of
from idmvton.engine.service.store import Store
from idmvton.options import JobOptions, ModelOptions, PrepareOptions
from idmvton.tryon.pipeline import TryOnPipeline

_NOTHING: Final = ("", 0, 0.0)


class Wardrobe:
    """Puts adapters on a pipeline; one stays on until an order wants another, or none.

    Args:
        store: where those are that were made here.
        folder: of those that only have a name.
        model: whose own adapter is on while no order wants one.
    """

    def __init__(self, store: Store, folder: str | None, model: ModelOptions) -> None:
        self.store, self.folder, self.model = store, Path(folder or "."), model
        self._on: tuple[str, int, float] = _NOTHING

    def forget(self) -> None:
        """Another pipeline was loaded, as the model's options say."""
        self._on = _NOTHING

    def put_on(self, pipe: TryOnPipeline, wanted: Mapping[str, Any] | None) -> None:
        """Puts on what an order wants; without that the weights are what they were, bit by bit.

        Args:
            pipe: of the lane.
            wanted: ``name``, ``key`` and ``scale``, as :mod:`idmvton.engine.service.intake` writes them.

        Raises:
            WeightsError: it is not there any more, damaged, or of other weights.
        """
        with self._file(wanted) as file:
            on = _NOTHING
            if file is not None and wanted is not None:
                on = (wanted["key"] or str(file), file.stat().st_mtime_ns, wanted["scale"])
            if on == self._on:
                return
            pipe.unload_adapter()
            self._on = _NOTHING
            try:
                if file is not None and wanted is not None:
                    pipe.load_adapter(file, wanted["scale"])
                    self._on = on
            finally:
                if self._on == _NOTHING and self.model.adapter is not None:
                    pipe.load_adapter(self.model.adapter, self.model.adapter_scale)

    @contextlib.contextmanager
    def _file(self, wanted: Mapping[str, Any] | None) -> Iterator[Path | None]:
        """The adapter's file; one that was made here in a folder of its name, which results tell."""
        if wanted is None:
            yield None
        elif wanted["key"] is None:
            yield choose_adapter(wanted["name"], self.folder)
        else:
            with self.store.local(wanted["key"]) as file, tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
                named = Path(scratch) / wanted["name"] / FILE
                named.parent.mkdir()
                named.symlink_to(file)
                yield named


def learn(
    asked: Mapping[str, Any], pair: PhotoPair, model: ModelOptions, folder: Path, tell: Tell
) -> tuple[MadeAdapter, list[Path]]:
    """Makes an adapter.

    Args:
        asked: the order.
        pair: of its photos, or what was prepared.
        model: of the lane.
        folder: of the adapter; its name is the adapter's.
        tell: is told how far it is, and stops it.

    Returns:
        What was made, and its files.

    Raises:
        As :func:`idmvton.engine.adapters.make_adapter`.
        SystemExit: the lane was told to end.
    """
    options = asked["options"]
    caption = part_of(options, JobOptions).caption
    choices, prepare = part_of(options, CustomizeOptions), part_of(options, PrepareOptions)
    request = AdapterRequest([pair], caption, choices, prepare, model)
    precision = torch.get_float32_matmul_precision()
    try:
        made = make_adapter(request, folder, on_stage=lambda stage, done=0, total=None, *_: tell(stage, done, total))
    finally:
        torch.set_float32_matmul_precision(precision)  # a training changes it for the whole process
    if made.learned.record is None:  # SIGTERM
        raise SystemExit(1)
    return made, sorted(each for each in folder.iterdir() if each.is_file())
