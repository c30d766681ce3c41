"""One pair from photos to pictures: what goes in, what is told on the way, and what comes out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from idmvton.engine.folders import FolderTryOn
from idmvton.engine.folders_on_ray import LoadLane
from idmvton.engine.intermediates import save_intermediates
from idmvton.engine.job import Settings, TryOn
from idmvton.engine.ready import make_ready
from idmvton.errors import ConfigError, InputError
from idmvton.images import read_provenance
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, TryOnOptions
from idmvton.prepare.maps import Given
from idmvton.prepare.preparer import preparer_for

ONE_STEP = TryOnOptions(num_inference_steps=1, seed=3)


@pytest.fixture
def job(pipe, photos):
    return TryOn(pipe, preparer_for(PrepareOptions()))


def test_photos_in_everything_that_was_made_out(job, photos):
    told = []
    settings = Settings(JobOptions(num_images=2, caption="vest"), ONE_STEP)
    outcome = job(photos / "anna.png", photos / "shirt.png", settings, lambda *stage: told.append(stage))
    assert [stage for stage, _, _ in told] == [
        "preparing", "describing the garment", "encoding", "decoding and pasting back",
    ]  # fmt: skip
    assert told[-1][1:] == (1, 1)
    assert [each["seed"] for each in outcome.provenance] == [3, 4]
    assert all(each["caption"] == "vest" for each in json.loads(json.dumps(outcome.provenance)))
    assert outcome.prepared.mask.any()
    assert outcome.draft is None
    assert [each.size for each in outcome.repainted] == [(96, 128)] * 2
    assert {"describing", "denoising"} <= outcome.timings.keys()
    assert "mask" in outcome.prepared.timings


def test_photos_and_what_was_prepared_of_them_give_the_same_picture(job, photos):
    person, garment = photos / "anna.png", photos / "shirt.png"
    settings = Settings(JobOptions(caption="vest"), ONE_STEP)
    prepared = job.preparer(person, garment)
    prepared.save(photos / "anna")
    ready = make_ready(job.preparer, person, garment, Given(), PrepareOptions())
    first, *others = (
        np.asarray(job(*pair, settings=settings).images[0])
        for pair in ((person, garment), (prepared,), (prepared, garment), (photos / "anna",), (ready,))
    )
    assert all(np.array_equal(first, other) for other in others)


def test_folders_say_what_the_single_pair_says(job, photos, rendered):
    """Same warnings, same account of how it was made: trousers are asked for, a shirt is given."""
    settings = Settings(JobOptions(), ONE_STEP, PrepareOptions(category="lower"))
    pair = photos / "anna.png", photos / "shirt.png"
    alone = job(*pair, settings)
    assert any("is exchanged" in note for note in alone.warnings)
    report = FolderTryOn(job, settings)([pair], photos / "out")
    name = "anna__shirt.png"
    assert report.warnings == {pair: tuple(alone.warnings)}
    told = json.loads((photos / "out" / "report.json").read_text())
    assert told["warnings"] == {name: list(alone.warnings)}
    made = read_provenance(photos / "out" / name)
    for key in ("preparation", "caption", "seed", "warnings", "num_inference_steps"):
        assert made[key] == alone.provenance[0][key]
    assert np.array_equal(np.asarray(Image.open(photos / "out" / name)), np.asarray(alone.images[0]))


def test_intermediates_are_what_the_outcome_carries(job, photos, monkeypatch):
    outcome = job(photos / "anna.png", photos / "shirt.png", Settings(JobOptions(), ONE_STEP))
    monkeypatch.setattr(type(job.pipe), "__call__", None)
    save_intermediates(photos / "stages", outcome)
    written = np.asarray(Image.open(photos / "stages" / "repainted-1.png"))
    assert np.array_equal(written, np.asarray(outcome.repainted[0]))


def test_what_would_do_nothing_is_refused(job, photos):
    person, garment = photos / "anna.png", photos / "shirt.png"
    prepared = job.preparer(person, garment)
    mask = np.asarray(prepared.photo_mask)
    with pytest.raises(ConfigError, match="beside a prepared"):
        job(prepared, garment, Settings(given=Given(mask=mask)))
    with pytest.raises(ConfigError, match="--category"):
        job(prepared, garment, Settings(prepare=PrepareOptions(category="lower")))
    both = Given(mask=mask, densepose=prepared.photo, labels=prepared.labels)
    with pytest.raises(ConfigError, match="--labels"):
        job(person, garment, Settings(given=both))
    with pytest.raises(InputError, match="no garment was given"):
        job(person)


class TestBatches:
    """Several people in one garment at a time."""

    @pytest.fixture
    def people(self, photos, rendered):
        """The second one is darker; the third is no picture."""
        Image.fromarray(rendered.person // 2).save(photos / "bert.png")
        (photos / "broken.png").write_bytes(b"no picture")
        return [(photos / name, photos / "shirt.png") for name in ("anna.png", "broken.png", "bert.png")]

    def test_the_pictures_are_those_of_one_at_a_time(self, job, people, photos):
        settings = Settings(JobOptions(caption="vest"), ONE_STEP)
        calls = []

        def count(pipe, *arguments, **options):
            calls.append(len(arguments[0]))
            return call(pipe, *arguments, **options)

        call = type(job.pipe).__call__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(job.pipe), "__call__", count)
            for size, folder in ((3, "together"), (None, "alone")):
                report = FolderTryOn(job, settings, batch_size=size)(people, photos / folder)
                assert [pair[0].name for pair in report.made] == ["anna.png", "bert.png"]
                assert [each.item[0].name for each in report.failed] == ["broken.png"]
        assert calls == [2, 1, 1]
        for name in ("anna__shirt.png", "bert__shirt.png"):
            first, second = (photos / folder / name for folder in ("together", "alone"))
            difference = np.asarray(Image.open(first), int) - np.asarray(Image.open(second))
            assert np.abs(difference).max() <= 1  # a batch may round the last bit otherwise
            told = [{**read_provenance(each), "timings": None} for each in (first, second)]
            assert told[0] == told[1]

    def test_pictures_without_a_seed_each_draw_their_own(self, job, people, photos):
        settings = Settings(JobOptions(caption="vest"), TryOnOptions(num_inference_steps=1))
        FolderTryOn(job, settings, batch_size=2)(people[::2], photos / "out")
        seeds = {read_provenance(path)["seed"] for path in (photos / "out").glob("*.png")}
        assert len(seeds) == 2

    def test_what_does_not_fit_is_dressed_in_parts(self, job, people, photos, monkeypatch):
        dress, sizes = job.dress_together, []

        def small(pairs, settings):
            sizes.append(len(pairs))
            if len(pairs) > 1:
                raise torch.cuda.OutOfMemoryError("no memory left")
            return dress(pairs, settings)

        monkeypatch.setattr(job, "dress_together", small)
        work = FolderTryOn(job, Settings(JobOptions(caption="vest"), ONE_STEP), batch_size=2)
        assert len(work(people[::2], photos / "out").made) == 2
        assert (sizes, work.batch.number) == ([2, 1, 1], 1)

    def test_a_lane_of_a_cluster_makes_the_same_pictures(self, job, people, photos, monkeypatch):
        monkeypatch.setattr("idmvton.engine.folders_on_ray.load_pipeline", lambda model: job.pipe)
        settings = Settings(JobOptions(caption="vest"), ONE_STEP)
        (photos / "lane").mkdir()
        work = LoadLane(settings, ModelOptions(), photos / "lane", batch_size=2)()
        outcomes = work([(pair, f"{pair[0].stem}.png") for pair in people])
        assert [pair[0].name for pair in outcomes.made] == ["anna.png", "bert.png"]
        assert [each.item[0].name for each in outcomes.failed] == ["broken.png"]
        assert read_provenance(photos / "lane" / "bert.png")["caption"] == "vest"
        assert work([(people[0], "anna.png")]).skipped == [people[0]]
