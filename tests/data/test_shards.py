"""Shards: what goes in comes out, in plain tars that other readers understand; any order, damage and interruptions."""

import dataclasses
import io
import json
import sys
import tarfile

import fsspec
import numpy as np
import pytest
from layouts import SIZE, dress_code, mask, save, viton_hd
from PIL import Image
from torch.utils.data import DataLoader

from idmvton.data import DressCode, ShardDataset, VitonHD, flow_files, write_shards
from idmvton.errors import InputError, MissingExtraError

NAMES = tuple(f"{number:05d}_00" for number in range(7))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = viton_hd(tmp_path_factory.mktemp("viton"), names=NAMES)
    return VitonHD(root, SIZE, split="test", missing_caption="category phrase")


@pytest.fixture(scope="module")
def packed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shards(data, folder, samples_per_shard=2)
    return folder


def names(samples):
    return [sample.name for sample in samples]


def everything(folder, size=None):
    dataset = ShardDataset(folder, size)
    return [dataset[index] for index in range(len(dataset))]


def test_what_goes_in_comes_out(data, packed):
    for before, after in zip((data[row] for row in range(7)), everything(packed), strict=True):
        assert (before.name, before.caption, before.category) == (after.name, after.caption, after.category)
        for piece in ("person", "garment", "densepose", "mask", "labels", "keypoints"):
            assert np.array_equal(getattr(before, piece), getattr(after, piece)), piece
        assert after.mask.dtype == bool
        assert after.unpaired_target is None


def test_the_layout_is_webdatasets(packed):
    """Grouped by what comes before the first dot of the name, as WebDataset does; each file by its suffix."""
    with tarfile.open(packed / "shard-000000.tar") as shard:
        members = shard.getmembers()
        keys = [member.name.split(".")[0] for member in members]
        assert keys == sorted(keys)
        assert set(keys) == {"00000_00", "00001_00"}
        first = {m.name.split(".", 1)[1]: shard.extractfile(m).read() for m in members if m.name.startswith("00000")}
    assert set(first) == {"person.png", "garment.png", "densepose.png", "mask.png", "labels.png", "json"}
    assert json.loads(first["json"])["caption"] == "short sleeve round neck t-shirts"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(first["mask.png"]))) > 0, mask())


def test_equal_data_gives_equal_bytes(data, packed, tmp_path):
    write_shards(data, tmp_path, samples_per_shard=2, workers=1)
    for name in ShardDataset(packed).index.shard_names:
        assert (tmp_path / name).read_bytes() == (packed / name).read_bytes()


def test_photos_may_be_jpegs_maps_never(data, tmp_path):
    index = write_shards(data, tmp_path, picture_format="jpg")
    assert index.shard_names == ["shard-000000.tar"]
    sample = ShardDataset(tmp_path)[0]
    assert np.array_equal(sample.densepose, data[0].densepose)
    assert np.abs(np.asarray(sample.person).astype(int) - np.asarray(data[0].person)).mean() < 3


def test_an_interrupted_run_goes_on(data, tmp_path):
    class Failing:
        names = data.names

        def __len__(self):
            return len(data)

        def __getitem__(self, index):
            if index == 5:
                raise InputError("the person picture does not exist")
            return data[index]

    with pytest.raises(InputError, match="does not exist"):
        write_shards(Failing(), tmp_path, samples_per_shard=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-000000.tar", "shard-000001.tar", "shards.json"]
    before = (tmp_path / "shard-000000.tar").stat().st_mtime_ns
    seen = []
    write_shards(data, tmp_path, samples_per_shard=2, progress=lambda *at: seen.append(at))
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert (tmp_path / "shard-000000.tar").stat().st_mtime_ns == before
    assert names(everything(tmp_path)) == list(NAMES)


def test_a_full_disk_leaves_no_half_shard(data, tmp_path, monkeypatch):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(InputError, match="No space left"):
            write_shards(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shards.json"]


def test_a_folder_with_other_shards_is_refused(data, packed):
    with pytest.raises(InputError, match="other samples_per_shard"):
        write_shards(data, packed, samples_per_shard=3)


def test_a_folder_that_is_a_file(data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_shards(data, tmp_path / "file")


def test_names_with_dots_do_not_break_the_keys(tmp_path):
    root = viton_hd(tmp_path / "viton", names=("a.b", "a.c"))
    write_shards(VitonHD(root, SIZE, split="test"), tmp_path / "shards")
    assert names(everything(tmp_path / "shards")) == ["a.b", "a.c"]


def test_dress_code_packs_too(tmp_path):
    root = dress_code(tmp_path / "dress")
    for number in ("000001", "000002"):
        save(mask(), root / "upper_body" / "agnostic-mask" / f"{number}_0_mask.png")
    write_shards(DressCode(root, SIZE, categories=["upper_body"]), tmp_path / "shards")
    assert [sample.category for sample in everything(tmp_path / "shards", (64, 48))] == ["upper_body"] * 2


def test_flows_go_with_the_samples(data, tmp_path):
    """In 64ths of a pixel; where the garment is hidden or not shown is kept exactly."""
    flow = np.random.default_rng(0).uniform(0, 47, (*SIZE, 2)).astype(np.float32)
    flow[:5], flow[5:9] = np.nan, np.inf
    write_shards(InMemory([dataclasses.replace(data[0], flow=flow)]), tmp_path)
    read = ShardDataset(tmp_path)[0].flow
    assert np.isnan(read[:5]).all()
    assert np.isinf(read[5:9]).all()
    assert np.abs(read[9:] - flow[9:]).max() <= 1 / 128
    with pytest.raises(InputError, match="too large"):
        flow_files.encode_flow(np.zeros((1200, 900, 2)))


class InMemory:
    def __init__(self, samples):
        self.samples, self.names = samples, [sample.name for sample in samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class TestReading:
    def test_another_size_keeps_the_pieces_together(self, packed):
        sample = ShardDataset(packed, (64, 64))[0]
        assert sample.size == (64, 64)
        assert sample.mask[sample.labels == 4].all()

    def test_any_order_and_workers(self, packed):
        dataset = ShardDataset(packed)
        assert len(dataset) == 7
        assert dataset.captions[0] == "short sleeve round neck t-shirts"
        order = [5, 0, 6, 3]
        loader = DataLoader(dataset, batch_size=None, sampler=order, num_workers=2)
        assert names(loader) == [NAMES[index] for index in order]

    def test_shards_in_object_storage(self, packed):
        """Each sample by one read of its own bytes, and of no others."""
        address = copy_to_memory(packed, "/bucket/train")
        dataset, asked = ShardDataset(address), []
        system = fsspec.filesystem("memory")
        read = system.cat_file

        def watched(path, start=None, end=None):
            asked.append((path, end - start))
            return read(path, start=start, end=end)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(system, "cat_file", watched)
            assert dataset[6].name == NAMES[6]
        assert asked == [("/bucket/train/shard-000003.tar", dataset.places[6].stop - dataset.places[6].start)]

    def test_a_storage_that_fails_is_asked_again(self, packed, monkeypatch):
        dataset = ShardDataset(copy_to_memory(packed, "/bucket/again"))
        system, failures = fsspec.filesystem("memory"), [OSError("503"), OSError("503")]
        read = system.cat_file
        monkeypatch.setattr(system, "cat_file", lambda *a, **k: fail(failures.pop()) if failures else read(*a, **k))
        assert dataset[0].name == NAMES[0]
        failures += [OSError("503")] * 3
        with pytest.raises(InputError, match="503"):
            dataset[0]

    def test_damage_is_named(self, packed, tmp_path):
        for name in ("shards.json", "samples.jsonl", "shard-000000.tar"):
            (tmp_path / name).write_bytes((packed / name).read_bytes())
        dataset = ShardDataset(tmp_path)
        bad, whole = tmp_path / "shard-000000.tar", (packed / "shard-000000.tar").read_bytes()
        assert dataset[0].name == NAMES[0]
        for content in (
            b"rubbish" * 2000,
            whole[: len(whole) // 3],
            whole.replace(b"00000_00.json", b"00000_00.jsox"),
            (packed / "shard-000001.tar").read_bytes(),
        ):
            bad.write_bytes(content)
            with pytest.raises(InputError, match=r"shard-000000\.tar, sample 00000_00"):
                dataset[0]
        bad.unlink()
        with pytest.raises(InputError, match=r"there is no .*shard-000000\.tar"):
            dataset[0]

    def test_what_is_not_there_is_named(self, packed, tmp_path):
        with pytest.raises(InputError, match=r"there is no .*shards\.json"):
            ShardDataset(tmp_path)
        (tmp_path / "shards.json").write_text((packed / "shards.json").read_text())
        (tmp_path / "samples.jsonl").write_text((packed / "samples.jsonl").read_text().split("\n", 1)[1])
        with pytest.raises(InputError, match="not complete"):
            ShardDataset(tmp_path)
        (tmp_path / "samples.jsonl").write_text("{}")
        with pytest.raises(InputError, match="damaged"):
            ShardDataset(tmp_path)
        (tmp_path / "shards.json").write_text('{"format": 1}')
        with pytest.raises(InputError, match="pack the data set anew"):
            ShardDataset(tmp_path)

    def test_an_address_whose_package_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "s3fs", None)
        with pytest.raises(MissingExtraError, match="pip install s3fs"):
            ShardDataset("s3://bucket/train")
        with pytest.raises(InputError, match="nothing"):
            ShardDataset("nothing://bucket/train")


def fail(error):
    raise error


def copy_to_memory(folder, address):
    system = fsspec.filesystem("memory")
    for path in folder.iterdir():
        system.pipe_file(f"{address}/{path.name}", path.read_bytes())
    return f"memory:/{address}"
