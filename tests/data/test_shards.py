"""Shards: what goes in comes out, in plain tars that other readers understand; order, shares and interruptions."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from layouts import SIZE, dress_code, mask, save, viton_hd
from PIL import Image
from torch.utils.data import DataLoader

from idmvton.data import DressCode, ShardStream, VitonHD, write_shards
from idmvton.data.shards import read_index
from idmvton.errors import InputError

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


def names(stream):
    return [sample.name for sample in stream]


def test_what_goes_in_comes_out(data, packed):
    for before, after in zip((data[row] for row in range(7)), ShardStream(packed), strict=True):
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
    for name in read_index(packed).shard_names:
        assert (tmp_path / name).read_bytes() == (packed / name).read_bytes()


def test_photos_may_be_jpegs_maps_never(data, tmp_path):
    index = write_shards(data, tmp_path, picture_format="jpg")
    assert index.shard_names == ["shard-000000.tar"]
    sample = next(iter(ShardStream(tmp_path)))
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
    assert names(ShardStream(tmp_path)) == list(NAMES)


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
    assert names(ShardStream(tmp_path / "shards")) == ["a.b", "a.c"]


def test_dress_code_packs_too(tmp_path):
    root = dress_code(tmp_path / "dress")
    for number in ("000001", "000002"):
        save(mask(), root / "upper_body" / "agnostic-mask" / f"{number}_0_mask.png")
    write_shards(DressCode(root, SIZE, categories=["upper_body"]), tmp_path / "shards")
    assert [sample.category for sample in ShardStream(tmp_path / "shards", size=(64, 48))] == ["upper_body"] * 2


class TestStream:
    def test_another_size_keeps_the_pieces_together(self, packed):
        sample = next(iter(ShardStream(packed, size=(64, 64))))
        assert sample.size == (64, 64)
        assert sample.mask[sample.labels == 4].all()

    def test_shuffling_is_complete_reproducible_and_new_each_epoch(self, packed):
        first, second = (ShardStream(packed, shuffle_buffer=4, seed=3) for _ in range(2))
        epochs = [names(first), names(first)]
        assert epochs == [names(second), names(second)]
        assert epochs[0] != epochs[1]
        assert all(sorted(epoch) == list(NAMES) for epoch in epochs)
        again = ShardStream(packed, shuffle_buffer=4, seed=3)
        again.epoch = 1
        assert names(again) == epochs[1]

    def test_shards_are_shuffled_anew_each_epoch(self, packed):
        """A buffer of one sample changes nothing within a shard."""
        stream = ShardStream(packed, shuffle_buffer=1, seed=3)
        orders = [names(stream) for _ in range(3)]
        assert len({tuple(order) for order in orders}) > 1
        for order in orders:
            assert order.index("00001_00") == order.index("00000_00") + 1

    @pytest.mark.parametrize("world_size", [2, 3, 6])
    @pytest.mark.parametrize("shuffle_buffer", [0, 3])
    def test_ranks_share_the_samples(self, packed, world_size, shuffle_buffer):
        """Two and three ranks share the four shards, six the samples."""
        shares = [
            names(ShardStream(packed, rank=rank, world_size=world_size, shuffle_buffer=shuffle_buffer))
            for rank in range(world_size)
        ]
        assert sorted(name for share in shares for name in share) == list(NAMES)
        assert min(map(len, shares)) >= 1

    def test_workers_of_a_loader_share_the_samples(self, packed):
        loader = DataLoader(ShardStream(packed), batch_size=None, num_workers=2)
        assert sorted(names(loader)) == list(NAMES)

    def test_shards_from_anywhere(self, packed):
        """A stream that can only be read forward, as object storage gives it."""

        class Forward(io.RawIOBase):
            def __init__(self, name):
                self.inner = (packed / Path(name).name).open("rb")

            def readable(self):
                return True

            def readinto(self, buffer):
                data = self.inner.read(len(buffer))
                buffer[: len(data)] = data
                return len(data)

        urls = [f"https://bucket/{name}" for name in read_index(packed).shard_names]
        assert names(ShardStream(urls, open_shard=lambda name: io.BufferedReader(Forward(name)))) == list(NAMES)

    def test_damage_is_named(self, packed, tmp_path):
        whole = (packed / "shard-000000.tar").read_bytes()
        for content in (b"rubbish" * 200, whole[: len(whole) // 3], whole.replace(b"00000_00.json", b"00000_00.jsox")):
            (tmp_path / "bad.tar").write_bytes(content)
            with pytest.raises(InputError, match=r"bad\.tar"):
                list(ShardStream([str(tmp_path / "bad.tar")]))

    def test_what_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"shards\.json"):
            ShardStream(tmp_path)
        with pytest.raises(InputError, match=r"gone\.tar"):
            list(ShardStream([str(tmp_path / "gone.tar")]))
        with pytest.raises(InputError, match="cannot be set up"):
            ShardStream(["a.tar"], rank=2, world_size=2)
