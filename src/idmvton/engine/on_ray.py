"""Work on many machines, by Ray: groups of items go to lanes, which are processes with everything loaded.

All machines see the same files at the same places. A lane that dies is started again and gets its group again; what was
made of the group by then is found done. So every item is made once, however often a lane dies.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from idmvton.errors import ConfigError, IdmVtonError, MissingExtraError
from idmvton.quiet import calm_threads
from idmvton.resume import Outcomes, work_through

LOCAL: Final = "local"
"""In place of an address: a Ray of this machine alone, for the time of the work."""

Item = TypeVar("Item")
Found = TypeVar("Found")
Work: TypeAlias = "Callable[[Sequence[Item]], Found]"


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where lanes run, and what each needs.

    Attributes:
        address: of the cluster, as Ray takes it (``HOST:PORT``, ``ray://...``, ``auto``); or :data:`LOCAL`.
        num_cpus: processors of one lane.
        may_use_gpu: whether a lane gets a GPU where the cluster has any.
        most: how many lanes at the most; None: as many as there is room for.
    """

    address: str = LOCAL
    num_cpus: float = 1
    may_use_gpu: bool = False
    most: int | None = None


def load_ray() -> Any:
    """Ray, without its reports to its makers.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError as error:
        raise MissingExtraError(
            "work on many machines needs Ray, which is not installed",
            got=error,
            expected="the extra `ray`",
            fix="pip install 'idmvton[ray]'",
        ) from error
    return ray


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster for the length of the block; a connection that is there already stays.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: there is no cluster at the address.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    where: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        ray.init(**where, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            "there is no Ray cluster to work on",
            got=f"--ray {address}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            expected=f"HOST:PORT of a cluster's head, auto, or {LOCAL}",
            fix="start one with `ray start --head`, and `ray start --address HOST:PORT` on the other machines",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def work_on_ray(
    groups: Sequence[Sequence[Item]], make_work: Callable[[], Work[Item, Found]], lanes: Lanes
) -> Iterator[Found]:
    """What lanes found of each group, as they find it.

    Args:
        groups: each goes to one lane as a whole.
        make_work: called once in each lane; loads what the work needs and returns it. It is sent to the lanes.
        lanes: where they run.

    Raises:
        MissingExtraError, ConfigError: see :func:`connected`; or no machine has what a lane needs.
        IdmVtonError: what the work of a lane raised.
    """
    if not groups:
        return
    with connected(lanes.address) as ray:
        num_gpus, most = _room(ray, lanes)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # else it tells of every execution
        rows = [{"group": pickle.dumps(list(group))} for group in groups]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Lane,
            fn_constructor_args=(make_work, os.getcwd()),
            compute=ray.data.ActorPoolStrategy(size=min(most, len(rows))),
            num_cpus=lanes.num_cpus,
            num_gpus=num_gpus,
        )
        for row in found.iter_rows():
            result = pickle.loads(row["found"])
            if isinstance(result, IdmVtonError):
                raise result
            yield result


def items_on_ray(
    items: Sequence[Item],
    work: Callable[[Item], Sequence[str]],
    lanes: Lanes,
    progress: Callable[[int, int], None] = lambda *_: None,
    group: int = 8,
) -> Outcomes[Item]:
    """What :func:`idmvton.resume.work_through` does, on many machines.

    Args:
        items: what is to be done of them.
        work: as of :meth:`idmvton.resume.Outcomes.attempt`; is sent to the lanes.
        lanes: where they run.
        progress: called with (done, total) after each group.
        group: items that a lane gets at a time.

    Raises:
        As :func:`work_on_ray`.
    """
    outcomes = Outcomes[Item]()
    groups = [items[start : start + group] for start in range(0, len(items), group)]
    done = 0
    for found in work_on_ray(groups, partial(_worker, work), lanes):
        outcomes.made += found.made
        outcomes.failed += found.failed
        outcomes.warnings |= found.warnings
        done += len(found.made) + len(found.failed)
        progress(done, len(items))
    return outcomes


def _worker(work: Callable[[Item], Sequence[str]]) -> Work[Item, Outcomes[Item]]:
    return lambda group: work_through(group, lambda _: False, work)


def _room(ray: Any, lanes: Lanes) -> tuple[int, int]:
    """GPUs of a lane, and how many lanes the cluster has room for."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    num_gpus = int(lanes.may_use_gpu and any(node.get("GPU", 0) >= 1 for node in nodes))
    wanted = {"CPU": lanes.num_cpus} | ({"GPU": num_gpus} if num_gpus else {})
    room = sum(min(int(node.get(kind, 0) // each) for kind, each in wanted.items()) for node in nodes)
    if room == 0:
        raise ConfigError(
            "no machine of the Ray cluster has what a lane needs",
            got=f"{len(nodes)} machines, the largest with {max(node.get('CPU', 0) for node in nodes):g} processors",
            expected=f"one with {lanes.num_cpus:g} processors" + (" and a GPU" if num_gpus else ""),
            fix="set --threads to fewer, or --device cpu",
        )
    return num_gpus, room if lanes.most is None else min(room, lanes.most)


class _Lane:
    """A process of the cluster that works on groups."""

    def __init__(self, make_work: Callable[[], Work[Any, Any]], folder: str) -> None:
        calm_threads()
        try:
            os.chdir(folder)
            self._work: Work[Any, Any] = make_work()
        except IdmVtonError as error:
            self._work = partial(_raise, error)
        except OSError as error:
            what = "a machine of the cluster does not see the files"
            here = f"{folder}, from which the command was started"
            self._work = partial(_raise, ConfigError(what, got=error, expected=f"on every machine {here}"))

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        try:
            found = self._work(pickle.loads(row["group"]))
        except IdmVtonError as error:
            found = error
        return {"found": pickle.dumps(found)}


def _raise(error: IdmVtonError, _group: Sequence[Any]) -> None:
    raise error
