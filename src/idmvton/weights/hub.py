"""Between this library and huggingface_hub: its errors in our words, its progress as a callback."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from idmvton.errors import WeightsError
from idmvton.weights.entries import WeightsEntry
from idmvton.weights.manifest import Progress


@contextlib.contextmanager
def hub_errors(entry: WeightsEntry) -> Iterator[None]:
    """Turns what huggingface_hub raises into :class:`WeightsError`; anything else passes."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        explained = _explain(entry, error)
        if explained is None:
            raise
        raise explained from error


def _explain(entry: WeightsEntry, error: BaseException) -> WeightsError | None:
    from huggingface_hub import errors as hub

    again = f"then run `{entry.get_command}` again; files that are already there are kept"
    while isinstance(error, hub.LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, hub.OfflineModeIsEnabled):
        return WeightsError(
            f"the weights {entry.name!r} cannot be fetched: HF_HUB_OFFLINE forbids the network",
            fix=f"unset HF_HUB_OFFLINE, then run `{entry.get_command}`",
        )
    if isinstance(error, hub.HfHubHTTPError):
        return _explain_answer(entry, error, again)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WeightsError(
            f"the disk is full: {entry.name!r} could not be fetched wholly",
            got=error,
            fix=f"make room or set HF_HOME to a folder on a larger disk, {again}",
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WeightsError(
            "the cache cannot be written",
            got=error,
            fix=f"check its permissions or set HF_HOME to a folder of yours, {again}",
        )
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError | RuntimeError) or library in ("httpx", "httpx2", "httpcore", "requests"):
        return WeightsError(
            f"{entry.repo} could not be fetched: the network or the hub failed",
            got=f"{type(error).__name__}: {error}",
            fix=f"check the connection and any proxy, {again}",
        )
    if isinstance(error, ValueError):
        return WeightsError(
            f"{entry.repo} could not be fetched: the answer is not the hub's",
            got=f"{type(error).__name__}: {error}",
            fix="check the connection (a login page of the network?), the proxy, and HF_ENDPOINT",
        )
    return None


def _explain_answer(entry: WeightsEntry, error: Any, again: str) -> WeightsError:
    from huggingface_hub import errors as hub

    code = error.response.status_code
    got = f"HTTP {code}: {error.server_message or str(error).strip().splitlines()[0]}"
    login = "log in with `hf auth login`"
    if isinstance(error, hub.GatedRepoError):
        return WeightsError(
            f"{entry.repo} is gated: its owners give it only to those who accept their terms",
            got=got,
            fix=f"accept the terms on {entry.page}, {login}, {again}",
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return WeightsError(f"{entry.repo} has no revision {entry.revision!r}", got=got, fix=f"see {entry.page}")
    if isinstance(error, hub.EntryNotFoundError):
        return WeightsError(f"a file of {entry.repo} is not there", got=got, fix=f"see {entry.page}")
    if isinstance(error, hub.RepositoryNotFoundError) or code in (401, 404):
        return WeightsError(
            f"the hub has no repository {entry.repo}, or it is private",
            got=got,
            fix=f"check the spelling on {entry.page}; if it is private, {login}, {again}",
        )
    if code == 403:
        return WeightsError(
            f"the hub refuses access to {entry.repo}",
            got=got,
            fix=f"{login} with a token that may read it, {again}",
        )
    if code == 429:
        return WeightsError("the hub asks to slow down", got=got, fix=f"wait some minutes, or {login}, {again}")
    return WeightsError(f"the hub could not serve {entry.repo}", got=got, fix=f"wait, {again}")


def progress_bars(progress: Progress | None, start: int, total: int) -> Any:
    """A progress bar class for huggingface_hub that draws nothing and reports to a callback.

    Args:
        progress: the callback, or ``None`` for silence.
        start: bytes that are there already.
        total: bytes in all.
    """
    from huggingface_hub.utils.tqdm import tqdm

    furthest = 0  # the hub counts the same bytes in several bars

    class SilentBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **kwargs | {"disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal furthest
            with self.get_lock():
                self.n += n or 0
                if progress is not None and self._counts_bytes and self.n > furthest:
                    furthest = self.n
                    progress("download", min(start + int(furthest), total), total)

    return SilentBar
