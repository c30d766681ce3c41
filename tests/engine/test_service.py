"""Orders go in, jobs come out: whatever happens to the lanes on the way."""

import dataclasses
import hashlib
import os
import signal
import time
from pathlib import Path

import pytest
from tests.fake_lane import FAKE, picture

from idmvton.engine.service import Order, Service, Terms
from idmvton.engine.service.failures import ConflictError, QueueFullError, UnavailableError, UnknownJobError
from idmvton.errors import ConfigError, InputError
from idmvton.options import ServiceOptions

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIR = {"person": picture("red"), "garment": picture("blue")}


def order(caption=None, seed=1, **more):
    return Order(files=PAIR, options={"seed": seed, "caption": caption} if caption else {"seed": seed}, **more)


def everything_in(folder):
    return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file())


def test_an_order_becomes_a_picture(service):
    views = list(service.events(service.submit(order("sleep 20"))))
    assert [view.state for view in views][-2:] == ["running", "succeeded"]
    steps = [(view.done, view.total) for view in views if view.stage == "denoising"]
    assert steps == sorted(steps)  # a busy machine may miss some of them
    assert {total for _, total in steps} == {20}
    done = views[-1]
    assert (done.attempts, done.warnings, done.error) == (1, ("fake",), None)
    assert {"denoising", "total"} <= done.timings.keys()
    (output,) = done.outputs
    assert hashlib.sha256(service.read(done.id, output.name)).hexdigest() == output.sha256
    assert done.expires == pytest.approx(done.ended + 24 * 3600)


def test_the_seed_is_drawn_when_the_order_is_taken_and_decides_the_picture(service):
    one, same, other = (service.wait(service.submit(order(seed=seed)), 20).outputs[0].sha256 for seed in (1, 1, 2))
    assert one == same != other
    first, second = (service.wait(service.submit(Order(files=PAIR)), 20).outputs[0].sha256 for _ in range(2))
    assert first != second


def test_lanes_wait_without_spinning(service):
    about = service.lane_states()[0].about
    assert about["waits"] == "PASSIVE"
    assert about["threads"] == os.cpu_count()


def test_a_job_that_cannot_be_done_says_why_and_an_unexpected_error_says_nothing_of_ours(service):
    assert service.wait(service.submit(order("fail")), 20).error.code == "no_person"
    crashed = service.wait(service.submit(order("crash")), 20)
    assert crashed.state == "failed"
    assert crashed.error.code == "internal"
    assert "secret" not in str(crashed.to_dict())


def test_a_lane_that_dies_is_replaced_and_its_job_done(service):
    deaths = service.lane_states()[0].deaths
    job = service.submit(order("die once", seed=5))
    after = service.submit(order(seed=5))
    done = service.wait(job, 60)
    assert (done.state, done.attempts) == ("succeeded", 2)
    assert done.outputs[0].sha256 == service.wait(after, 20).outputs[0].sha256
    assert service.lane_states()[0].deaths == deaths + 1


def test_a_lane_that_is_killed_from_outside_loses_nothing(service):
    job = service.submit(order("sleep 20", seed=6))
    while service.view(job).stage != "denoising":
        time.sleep(0.02)
    os.kill(service.lane_states()[0].pid, signal.SIGKILL)
    done = service.wait(job, 60)
    assert (done.state, done.attempts) == ("succeeded", 2)


def test_a_job_that_kills_two_lanes_is_given_up(service):
    done = service.wait(service.submit(order("die")), 90)
    assert (done.state, done.error.code, done.attempts) == ("failed", "lane_died", 2)
    assert service.wait(service.submit(order()), 60).state == "succeeded"


def test_a_running_job_is_cancelled_at_its_next_step_and_a_waiting_one_at_once(service):
    running, queued = service.submit(order("sleep 400")), service.submit(order())
    while service.view(running).stage != "denoising":
        time.sleep(0.02)
    assert (service.view(queued).place, service.view(queued).seconds_left > 0) == (1, True)
    assert service.cancel(queued).state == "cancelled"
    service.cancel(running)
    done = service.wait(running, 10)
    assert (done.state, done.outputs, done.error) == ("cancelled", (), None)
    assert service.cancel(running).state == "cancelled"


def test_deadlines_end_jobs_that_run_and_jobs_that_wait(service):
    running = service.submit(order("sleep 400"), Terms(deadline=0.6))
    waiting = service.submit(order(), Terms(deadline=0.1))
    for job in (running, waiting):
        done = service.wait(job, 20)
        assert (done.state, done.error.code) == ("failed", "deadline")


def test_what_is_erased_is_nowhere(service):
    words = "purple-checked-raincoat"
    files = {"person": picture("#123457"), "garment": picture("#765431")}
    job = service.submit(Order(files=files, options={"negative_prompt": words}), Terms(key="raincoat"))
    service.wait(job, 20)
    state = service.options.state
    made = service.read(job, "0.png")
    there = everything_in(state)
    assert b"raincoat" in there
    assert made in there
    service.erase(job)
    left = everything_in(state)
    for trace in (b"raincoat", made, picture("#123457"), job.encode()):
        assert trace not in left
    with pytest.raises(UnknownJobError, match="no such job"):
        service.view(job)


def test_a_running_job_that_is_erased_leaves_nothing(service):
    job = service.submit(order("sleep 400"))
    while service.view(job).stage != "denoising":
        time.sleep(0.02)
    service.erase(job)
    until = time.monotonic() + 10
    while time.monotonic() < until and job.encode() in everything_in(service.options.state):
        time.sleep(0.05)
    assert job.encode() not in everything_in(service.options.state)
    assert not (service.store.folder / "jobs" / job).exists()


def test_an_adapter_is_made_listed_used_and_stays_until_it_is_erased_without_its_photos(service):
    adapter = Order("adapter", {"person": picture("#456701")}, adapter="jacket", options={"caption": "sleep 10"})
    job = service.submit(adapter)
    with pytest.raises(ConflictError, match="not there yet"):
        service.submit(order(adapter=job))
    with pytest.raises(ConflictError, match="an adapter of this name"):
        service.submit(adapter)
    done = service.wait(job, 20)
    assert (done.state, done.expires) == ("succeeded", None)
    assert {each.name for each in done.outputs} == {"adapter.safetensors", "before-after.png"}
    (listed,) = service.adapters("local")
    assert (listed.name, listed.id, listed.about["caption"]) == ("jacket", job, "shirt")
    assert service.adapters("bert") == []
    until = time.monotonic() + 5
    while (has_photo := picture("#456701") in everything_in(service.options.state)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not has_photo
    by_name, by_id, without = (
        service.wait(service.submit(order(adapter=adapter)), 20).outputs[0].sha256 for adapter in ("jacket", job, None)
    )
    assert by_name == by_id != without
    with pytest.raises(UnknownJobError, match="no such job"):
        service.submit(order(adapter=job), Terms(caller="bert"))
    with pytest.raises(UnknownJobError, match="no such adapter") as caught:
        service.submit(order(adapter="coat"))
    assert caught.value.expected == "jacket"
    service.erase(job)
    assert service.adapters("local") == []
    with pytest.raises(UnknownJobError):
        service.submit(order(adapter="jacket"))


def test_an_adapter_that_is_cancelled_leaves_its_name_free(service):
    adapter = Order("adapter", {"person": picture()}, adapter="coat", options={"caption": "sleep 400"})
    assert service.cancel(service.submit(dataclasses.replace(adapter, adapter="재" * 66))).state
    job = service.submit(adapter, Terms(key="coat"))
    assert service.submit(adapter, Terms(key="coat")) == job
    while service.view(job).stage != "denoising":
        time.sleep(0.02)
    service.cancel(job)
    assert service.wait(job, 10).state == "cancelled"
    again = service.submit(adapter)
    service.cancel(again)
    assert service.adapters("local") == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"adapter": "../coat"}, "cannot have this name"),
        ({"adapter": "0" * 32}, "cannot have this name"),
        ({"adapter": "재" * 67}, "cannot have this name"),
        ({"options": {"prior": "/data"}}, "prior cannot be set here"),
        ({"options": {"num_images": 2}}, "unknown option 'num_images'"),
        ({"files": {"garment": picture()}}, "no person was given"),
        ({"files": {"person": picture(), "mask": picture()}}, "would do nothing"),
    ],
)
def test_an_adapter_that_cannot_be_made_is_refused(service, wrong, match):
    with pytest.raises((InputError, ConfigError), match=match):
        service.submit(Order("adapter", **{"files": {"person": picture()}} | wrong))


def test_a_scale_out_of_range_and_an_adapter_for_nothing_are_refused(service):
    for more, match in (({"adapter": "x", "adapter_scale": 3.0}, "out of range"), ({"kind": "prepare"}, "do nothing")):
        with pytest.raises(InputError, match=match):
            service.submit(Order(**{"files": PAIR, "adapter": "x"} | more))


def test_prepared_photos_serve_many_orders_and_take_a_corrected_mask(service):
    prepared = service.submit(Order("prepare", {"person": picture()}, options={"caption": "sleep 20"}))
    with pytest.raises(ConflictError, match="not there yet"):
        service.submit(Order(prepared=prepared, files={"garment": picture("blue")}))
    before = service.wait(prepared, 20)
    assert {each.name for each in before.outputs} == {"mask.png", "overlay.png"}
    assert service.wait(service.submit(Order(prepared=prepared)), 20).state == "succeeded"
    assert service.put_mask(prepared, picture("white")).state == "succeeded"
    after = service.view(prepared)
    assert after.about["sources"] == {"mask": "changed by hand"}
    assert after.about["version"] != before.about["version"]
    (changed,) = (each for each in after.outputs if each.name == "mask.png")
    assert hashlib.sha256(service.read(prepared, "mask.png")).hexdigest() == changed.sha256


def test_garments_are_used_by_id(service):
    garment = service.submit(Order("garment", {"garment": picture("blue")}))
    service.wait(garment, 20)
    by_id = service.submit(Order(files={"person": picture("red")}, garment=garment, options={"seed": 1}))
    assert service.wait(by_id, 20).outputs == service.wait(service.submit(order()), 20).outputs
    with pytest.raises(UnknownJobError, match="no prepare's"):
        service.submit(Order(prepared=garment))


def test_other_callers_see_nothing(service):
    job = service.submit(order(), Terms(caller="anna"))
    assert service.wait(job, 20, "anna").state == "succeeded"
    for ask in (service.view, service.cancel, service.erase):
        with pytest.raises(UnknownJobError):
            ask(job, "bert")
    with pytest.raises(UnknownJobError):
        service.read(job, "../journal.sqlite", "anna")


def test_a_batch_is_taken_whole_and_stores_equal_photos_once(service):
    people = [picture("red"), picture("green")]
    orders = [Order(files={"person": each, "garment": picture("blue")}, options={"seed": 1}) for each in people]
    batch, jobs = service.submit_batch(orders)
    for job in jobs:
        service.wait(job, 20)
    assert {view.state for view in service.batch(batch)} == {"succeeded"}
    assert service.view(jobs[0]).outputs == service.wait(service.submit(order()), 20).outputs
    place = service.store.folder / "batches" / batch
    assert len(list(place.iterdir())) == 3
    service.erase_batch(batch)
    assert not place.exists()
    with pytest.raises(UnknownJobError, match="no such batch"):
        service.batch(batch)


def test_an_order_with_a_known_key_is_that_order(service):
    first = service.submit(order("sleep 1"), Terms(key="one"))
    assert service.submit(order("sleep 1"), Terms(key="one")) == first
    assert service.submit(order("sleep 1"), Terms(key="one", caller="other")) != first
    with pytest.raises(ConflictError, match="idempotency key"):
        service.submit(order("sleep 2"), Terms(key="one"))
    assert len(list((service.store.folder / "jobs" / first).iterdir())) >= 2


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (Order(files={"person": picture()}), InputError, "no garment"),
        (Order(files={**PAIR, "hat": picture()}), InputError, "unknown role"),
        (Order(files={**PAIR, "mask": b""}), InputError, "is empty"),
        (Order(files=PAIR, options={"stepps": 3}), ConfigError, "unknown option 'stepps'"),
        (Order(files=PAIR, options={"segmenter": "/etc/passwd"}), ConfigError, "cannot be set here"),
        (Order(files=PAIR, options={"num_images": 64}), ConfigError, "more than this service allows"),
        (Order(files=PAIR, options={"seed": -1}), ConfigError, "out of range"),
        (Order(files=PAIR, garment="0" * 32), InputError, "two of garment"),
        (Order(files=PAIR, adapter="../etc"), UnknownJobError, "no such adapter"),
        (Order(prepared="../../etc/passwd"), InputError, "wrong form"),
        (Order("garment", PAIR), InputError, "would do nothing"),
        (Order("mask", {"mask": picture()}), InputError, "no prepared"),
    ],
)
def test_orders_that_cannot_be_done_are_refused_and_leave_nothing(waiting, bad, error, words):
    with pytest.raises(error, match=words):
        waiting.submit(bad)
    assert waiting.journal.counts() == {}
    assert list(waiting.store.folder.rglob("*.*")) == []


def test_a_full_queue_says_when_to_ask_again(waiting):
    for number in range(4):
        waiting.submit(order(seed=number), Terms(caller="anna"))
    with pytest.raises(QueueFullError, match="your part of the queue is full") as caught:
        waiting.submit(order(), Terms(caller="anna"))
    assert caught.value.seconds >= 1
    waiting.submit_batch([order(), order()], Terms(caller="bert"))
    with pytest.raises(QueueFullError, match=r"^the queue is full"):
        waiting.submit(order(), Terms(caller="carl"))
    assert waiting.journal.counts() == {"queued": 6}
    with pytest.raises(QueueFullError):
        waiting.submit_batch([order()], Terms(caller="carl"))
    assert len(list((waiting.store.folder / "batches").iterdir())) == 1


def test_a_state_folder_has_one_server(waiting):
    with pytest.raises(ConfigError, match="another server uses the state folder"):
        Service(waiting.options, worker=FAKE)


def test_what_waited_or_ran_is_done_after_the_next_start_and_results_stay(tmp_path):
    options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False)
    first = Service(options, worker=FAKE)
    jobs = [first.submit(order(seed=number)) for number in range(3)]
    first.journal.claim("lane-0", None, None)  # runs, and then the server is gone
    first.close()
    with Service(options, worker=FAKE) as second:
        assert [second.wait(job, 60).state for job in jobs] == ["succeeded"] * 3
        adapter = second.submit(Order("adapter", {"person": picture()}))
        second.wait(adapter, 20)
    third = Service(options, worker=FAKE)
    assert third.read(jobs[0], "0.png").startswith(b"\x89PNG")
    photo = third.store.folder / f"jobs/{adapter}/person"
    photo.write_bytes(b"left by a server that was killed before it erased it")
    third.desk.sweep()
    assert not photo.exists()
    assert third.read(adapter, "adapter.safetensors")
    third.close()


def test_after_its_retention_a_job_is_gone_and_orphans_go_at_the_start(tmp_path):
    options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False, retention=0.5 / 3600)
    orphan = tmp_path / "state" / "pictures" / "jobs" / ("0" * 32) / "person"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"left")
    with Service(options, worker=FAKE) as service:
        assert not orphan.exists()
        service.wait_ready(60)
        job = service.submit(order())
        service.wait(job, 20)
        until = time.monotonic() + 10
        while service.journal.counts() and time.monotonic() < until:
            time.sleep(0.05)
        assert service.journal.counts() == {}
        assert not (service.store.folder / "jobs" / job).exists()


def test_a_lane_that_takes_too_much_memory_is_replaced_and_its_job_not_tried_again(tmp_path):
    options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False, lane_memory=0.3)
    with Service(options, worker=FAKE) as service:
        grown = service.wait(service.submit(order("grow 400")), 60)
        assert (grown.error.code, grown.attempts) == ("out_of_memory", 1)
        assert service.wait(service.submit(order()), 60).state == "succeeded"


def test_a_job_that_does_not_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("idmvton.engine.service.lanes._GRACE", 0.5)
    options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False, job_timeout=1)
    with Service(options, worker=FAKE) as service:
        stuck = service.wait(service.submit(order("stuck")), 60)
        assert (stuck.state, stuck.error.code) == ("failed", "timeout")


def test_a_model_that_cannot_be_loaded_says_why(tmp_path):
    options = ServiceOptions(state=str(tmp_path / "state"))
    with Service(options, worker="tests.fake_lane:Nothing") as service:
        with pytest.raises(UnavailableError, match="could not be loaded"):
            service.wait_ready(60)
        assert service.lane_states()[0].state == "broken"
