"""The tools ``try_on``, ``prepare`` and ``caption``, on one pipeline that is loaded at the first need of it.

Pictures are files on this machine: tools take and return their paths, and show a small copy.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from idmvton.errors import IdmVtonError, MissingExtraError
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, TryOnOptions
from idmvton.types import VERSION, Category, CategoryChoice, Quality

try:
    import anyio
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver import Image as Shown
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError as error:
    raise MissingExtraError(
        "tools for assistants need the package mcp, which is not installed",
        got=error,
        expected="the extra `mcp`",
        fix="pip install 'idmvton[mcp]'",
    ) from error

if TYPE_CHECKING:
    from idmvton.engine.job import TryOn

SHOWN = 512
"""Pixels of the longer side of a picture that an assistant is shown."""
INSTRUCTIONS = (
    "Dresses people in garments. From a photo of a person and one of a garment, both files on this machine, try_on "
    "makes a photo of the person in the garment; it takes seconds to minutes. Where the mask is wrong, prepare first, "
    "correct mask.png, and give the prepared folder as the person."
)
Result = TypeVar("Result")


class Tools:
    """What the tools do; one call at a time.

    Args:
        model: which weights.
    """

    def __init__(self, model: ModelOptions) -> None:
        self.model = model
        self._one = anyio.CapacityLimiter(1)

    @functools.cached_property
    def job(self) -> TryOn:
        """With the pipeline, which takes seconds to load."""
        from idmvton.engine.job import TryOn
        from idmvton.engine.loading import load_pipeline
        from idmvton.prepare.preparer import preparer_for

        return TryOn(load_pipeline(self.model), preparer_for(PrepareOptions(), self.model.model))

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Runs what takes long beside the conversation, after what was asked for before.

        Raises:
            ToolError: what the library says of an error; the protocol hides other words from the assistant.
        """
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._one)
        except IdmVtonError as error:
            raise ToolError(str(error)) from error

    async def try_on(
        self,
        person: str,
        garment: str,
        output: str,
        context: Context,
        caption: str | None = None,
        category: CategoryChoice = "auto",
        quality: Quality = "best",
        seed: int | None = None,
    ) -> list[Any]:
        """Dress a person in a garment and write the picture.

        Args:
            person: path of the photo of a person, or of a folder that `prepare` made.
            garment: path of the photo of a garment, alone or worn.
            output: path of the .png to write.
            context: of the call.
            caption: what the garment is, such as "short sleeve round neck t-shirts"; proposed when not given.
            category: what is exchanged: upper, lower, dress, or auto.
            quality: best, or balanced and fast, which are approximations.
            seed: equal seeds make equal pictures.
        """

        def tell(stage: str, done: int, total: int | None) -> None:
            anyio.from_thread.run(functools.partial(context.report_progress, done, total, stage))

        def work() -> list[Any]:
            from idmvton.images import check_output_path, save_png

            check_output_path(Path(output), [person, garment])
            from idmvton.engine.job import Settings

            settings = Settings(
                JobOptions(caption=caption),
                TryOnOptions(quality=quality, seed=seed),
                PrepareOptions(category=category),
            )
            outcome = self.job(Path(person), Path(garment), settings, tell)
            save_png(outcome.images[0], Path(output), outcome.provenance[0])
            told = {
                "output": str(Path(output).absolute()),
                "seed": outcome.provenance[0]["seed"],
                "caption": outcome.described.caption,
                "warnings": list(outcome.warnings),
            }
            return [told, _shown(outcome.images[0])]

        return await self.in_thread(work)

    async def prepare(
        self, person: str, output: str, garment: str | None = None, category: CategoryChoice = "auto"
    ) -> list[Any]:
        """Make the mask (what is repainted) and the body map of a photo, to look at and correct before a try-on.

        Args:
            person: path of the photo of a person.
            output: path of the folder to write; mask.png in it may be changed.
            garment: path of the photo of a garment.
            category: what is exchanged: upper, lower, dress, or auto.
        """

        def work() -> list[Any]:
            from idmvton.prepare.record_files import OVERLAY, check_target

            folder = Path(output)
            check_target(folder)
            options = PrepareOptions(category=category)
            prepared = self.job.preparer(Path(person), None if garment is None else Path(garment), options=options)
            prepared = prepared.save(folder)
            told = {
                "output": str(folder.absolute()),
                "mask": str((folder / "mask.png").absolute()),
                "category": prepared.category,
                "warnings": list(prepared.warnings),
            }
            with Image.open(folder / OVERLAY) as overlay:
                return [told, _shown(overlay.convert("RGB"))]

        return await self.in_thread(work)

    async def caption(self, garment: str, category: Category | None = None) -> dict[str, Any]:
        """Describe a garment in the words that a try-on reads, with how sure each word is.

        Args:
            garment: path of the photo of a garment.
            category: only items of this part of the body: upper_body, lower_body or dresses.
        """

        def work() -> dict[str, Any]:
            picture = self.job.preparer.read_garment(Path(garment), category=category or "auto")
            described = self.job.describe(picture.image, category or picture.category)
            return {"caption": described.caption, **described.about(), "warnings": list(described.warnings)}

        return await self.in_thread(work)


def _shown(picture: Image.Image) -> Shown:
    small = picture.copy()
    small.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return Shown(data=file.getvalue(), format="jpeg")


def make_server(model: ModelOptions) -> MCPServer:
    """The server; nothing is loaded yet."""
    server = MCPServer("idmvton", log_level="WARNING", instructions=INSTRUCTIONS, version=VERSION)
    tools = Tools(model)
    for tool in (tools.try_on, tools.prepare, tools.caption):
        server.add_tool(tool, structured_output=False)
    return server
