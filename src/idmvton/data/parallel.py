"""Work on many files at once; decoding, resizing and compressing release the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 4  # items a thread that are worked on or wait to be taken


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The results in the order of the items; a few are computed ahead, and an error or Ctrl-C drops those.

    Args:
        function: called in threads.
        items: taken as they are needed.
        workers: threads, at least 1.
    """
    pool = ThreadPoolExecutor(workers)
    waiting = deque[Future[Result]]()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
