"""Work on many machines: a real Ray cluster of two nodes on this machine, with lanes that die on the way."""

import io
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.fake_lane import FAKE

from idmvton.data.prepare import MakeMaps, unshared_preparer
from idmvton.engine.folders_on_ray import GROUP, dress_on_ray, groups_of
from idmvton.engine.job import Settings
from idmvton.engine.on_ray import Lanes, items_on_ray, load_ray, work_on_ray
from idmvton.engine.pairs import names_of
from idmvton.errors import ConfigError, InputError, MissingExtraError, NumericsError
from idmvton.options import BackendOptions, ModelOptions, ServerOptions, ServiceOptions
from idmvton.resume import Outcomes
from idmvton.server.on_ray import NAME, check_replicas, deployment

MEMORY = 100 * 2**20


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = load_ray()
    from ray.cluster_utils import Cluster

    made = None
    for attempt in range(4):  # Ray waits 30 s for a node, which a busy machine may need for its imports
        try:
            made = made or Cluster(
                initialize_head=True,
                head_node_args={"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False},
            )
            made.add_node(num_cpus=1, object_store_memory=MEMORY)
            break
        except Exception as error:
            if attempt == 3 or "timed out during startup" not in str(error):
                raise
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


class Lane:
    """Stands for a lane with a pipeline: writes a small picture, notes who made it, and dies once, half way."""

    settings = None

    def __init__(self, output, dies_at=None, num_lanes=1):
        self.output, self.dies_at, self.num_lanes = output, dies_at, num_lanes

    def __call__(self):
        import ray

        node = ray.get_runtime_context().get_node_id()
        (self.output / f"lane-{node}").touch()

        def dress(group):
            end = time.monotonic() + 30
            while len(list(self.output.glob("lane-*"))) < self.num_lanes and time.monotonic() < end:
                time.sleep(0.05)
            outcomes = Outcomes()
            for pair, name in group:
                place = self.output / name
                if place.exists():
                    outcomes.skipped.append(pair)
                else:
                    outcomes.attempt(pair, lambda _, place=place: self.make(place, node))
            return outcomes

        return dress

    def make(self, place, node):
        if place.name == self.dies_at and not (flag := self.output / "died").exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "broken" in place.name:
            raise InputError("the photo is no picture")
        Image.new("RGB", (4, 4)).save(place)
        with (self.output / "log").open("a") as log:
            log.write(f"{place.name} {node}\n")
        return ("dark",)


class Driver(Lane):
    """With what only the driver reads: a lane would import torch for it."""

    settings = Settings()

    def __reduce__(self):
        return Lane, (self.output, self.dies_at, self.num_lanes)


def pairs_of(num_people, num_garments):
    return [(Path(f"p{person}.png"), Path(f"g{garment}.png"))
            for garment in range(num_garments) for person in range(num_people)]  # fmt: skip


def test_every_pair_is_made_once_though_a_lane_dies(cluster, tmp_path):
    pairs = [*pairs_of(6, 6), (Path("broken.png"), Path("g0.png"))]
    output, told = tmp_path / "out", []
    output.mkdir()
    names = names_of(pairs)
    before = [names[pair] for pair in pairs[:2]]
    for name in before:
        Image.new("RGB", (4, 4)).save(output / name)
    outcomes = dress_on_ray(pairs, Driver(output, "p3__g4.png", 2), Lanes(), lambda *now: told.append(now))
    assert (output / "died").exists()
    lines = [line.split() for line in (output / "log").read_text().splitlines()]
    made = Counter(name for name, _ in lines)
    assert set(made.values()) == {1}, "each once"
    assert made.keys() | set(before) | {"broken__g0.png"} == set(names.values())
    assert sorted(names[pair] for pair in outcomes.made) == sorted(made)
    assert sorted(names[pair] for pair in outcomes.skipped) == sorted(before)
    assert [each.item[0].name for each in outcomes.failed] == ["broken.png"]
    assert len({node for _, node in lines}) == 2, "both machines work"
    report = json.loads((output / "report.json").read_text())
    assert sorted(report["made"]) == sorted(made)
    assert report["failed"][0]["what"] == "the photo is no picture"
    assert outcomes.warnings.keys() <= set(outcomes.made)
    assert told[-1][1:] == (len(pairs), len(pairs))
    again = dress_on_ray(pairs, Driver(output), Lanes())
    assert (len(again.made), len(again.skipped)) == (0, len(pairs) - 1)


def test_errors_that_end_the_work_keep_their_class_and_words(cluster):
    def load():
        def work(group):
            raise NumericsError("the networks produced NaN", got=group[0], fix="use a wider precision")

        return work

    with pytest.raises(NumericsError, match="do this:  use a wider precision") as caught:
        list(work_on_ray([[7]], load, Lanes()))
    assert caught.value.got == 7


def test_items_of_other_commands(cluster, tmp_path):
    def work(item):
        if item == 5:
            raise InputError("five")
        (tmp_path / str(item)).touch()
        return [f"note {item}"] if item == 3 else []

    told = []
    outcomes = items_on_ray(range(20), work, Lanes(), lambda *now: told.append(now))
    assert sorted(outcomes.made) == [each for each in range(20) if each != 5]
    assert [each.what for each in outcomes.failed] == ["five"]
    assert outcomes.warnings.keys() <= set(outcomes.made)
    assert len(list(tmp_path.iterdir())) == 19
    assert told[-1] == (20, 20)


def test_the_work_of_data_prepare_can_be_sent_to_other_machines():
    make = MakeMaps(True, partial(unshared_preparer, BackendOptions(segmenter="clothes")))
    again = load_ray().cloudpickle.loads(load_ray().cloudpickle.dumps(make))
    assert (again.beside, again.make_preparer.args) == (True, (BackendOptions(segmenter="clothes"),))


def test_a_lane_that_no_machine_can_hold_is_refused(cluster):
    with pytest.raises(ConfigError, match="expected: one with 64 processors"):
        list(work_on_ray([[1]], lambda: len, Lanes(num_cpus=64)))


def test_groups_have_one_garment_each():
    groups = groups_of(names_of(pairs_of(GROUP + 1, 2)))
    assert [len(group) for group in groups] == [GROUP, 1, GROUP, 1]
    assert all(len({garment for (_, garment), _ in group}) == 1 for group in groups)


def test_without_ray_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'idmvton\[ray\]'"):
        list(work_on_ray([[1]], lambda: len, Lanes()))


class TestServe:
    """The REST server as a deployment of Ray Serve."""

    def test_a_replica_answers_with_a_picture(self, cluster, tmp_path):
        from ray import serve

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False)
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        try:
            serve.run(deployment(options, ModelOptions(device="cpu"), ServerOptions(), 1, worker=FAKE), name=NAME)
            photo = io.BytesIO()
            Image.new("RGB", (96, 128), (200, 100, 50)).save(photo, "PNG")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                assert client.get("/healthz/live").status_code == 200
                end = time.monotonic() + 60  # until its lane has loaded, orders are answered with 503
                while client.get("/healthz/ready").status_code == 503 and time.monotonic() < end:
                    time.sleep(0.2)
                files = {name: (f"{name}.png", photo.getvalue()) for name in ("person", "garment")}
                made = client.post("/v1/try-ons", files=files, headers={"Prefer": "wait=50"}).json()
                assert made.get("state") == "succeeded", made
                picture = client.get(made["outputs"][0]["url"])
            assert Image.open(io.BytesIO(picture.content)).format == "PNG"
        finally:
            serve.shutdown()

    def test_replicas_need_a_common_queue(self):
        shared = {"database": "postgresql://somewhere", "store": "/pictures"}
        check_replicas(ServiceOptions(), 1)
        check_replicas(ServiceOptions(**shared), 3)
        with pytest.raises(ConfigError, match="no --database, no --store"):
            check_replicas(ServiceOptions(), 2)
