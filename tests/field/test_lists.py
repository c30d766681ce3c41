"""Lists of pairs as people write them, and lists that lead out of their folder."""

import json

import pytest
from PIL import Image
from tests.data import layouts

from idmvton.data.check import check_dataset
from idmvton.data.name_lists import inside, read_rows
from idmvton.data.opening import list_files
from idmvton.data.packed import ShardDataset
from idmvton.engine.pairs import listed_pairs
from idmvton.errors import InputError

PLAIN = ("anna.jpg", "shirt.jpg")


def write(folder, text, name="pairs.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestRows:
    @pytest.mark.parametrize(
        ("line", "names"),
        [
            ("anna.jpg shirt.jpg", PLAIN),
            ("anna.jpg\tshirt.jpg", PLAIN),
            ("anna.jpg, shirt.jpg", PLAIN),
            ("anna.jpg;shirt.jpg", PLAIN),
            ("anna.jpg shirt.jpg 0", PLAIN),
            ("anna.jpg\tshirt.jpg\t2", PLAIN),
            ('"anna b.jpg" "my shirt.jpg"', ("anna b.jpg", "my shirt.jpg")),
            ("'anna b.jpg' shirt.jpg", ("anna b.jpg", "shirt.jpg")),
            ('"anna, b.jpg",shirt.jpg', ("anna, b.jpg", "shirt.jpg")),
            ("anna b.jpg\tmy shirt.jpg", ("anna b.jpg", "my shirt.jpg")),
            ("anna b.jpg my shirt.jpg", ("anna b.jpg", "my shirt.jpg")),
        ],
    )
    @pytest.mark.parametrize("head", ["", "\ufeff", "person,garment\n", "# people\n\n", "person garment\n"])
    def test_forms(self, tmp_path, line, names, head):
        assert [row.names for row in read_rows(write(tmp_path, f"{head}{line}\r\n"), "list")] == [names]

    @pytest.mark.parametrize("line", ["anna.jpg", "anna.jpg shirt.jpg hat.jpg", "anna.jpg,", "a.jpg,b.jpg,c.jpg"])
    def test_other_lines_are_named(self, tmp_path, line):
        with pytest.raises(InputError, match="line 2"):
            read_rows(write(tmp_path, f"a.jpg b.jpg\n{line}\n"), "list")

    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "person,garment\n"])
    def test_empty_lists_are_no_lists(self, tmp_path, text):
        with pytest.raises(InputError, match="is empty"):
            read_rows(write(tmp_path, text), "list")

    def test_another_encoding_is_named(self, tmp_path):
        with pytest.raises(InputError, match="not UTF-8"):
            read_rows(write(tmp_path, "änna.jpg shirt.jpg".encode("latin-1")), "list")


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/passwd", "a/../../x.jpg", "C:\\x.jpg", "..\\x.jpg", "a\0.jpg", ""])
def test_what_leads_out_of_a_folder(tmp_path, name):
    with pytest.raises(InputError, match="outside its folder"):
        inside(tmp_path, name, "the list")
    assert inside(tmp_path, "a/b..jpg", "the list") == tmp_path / "a/b..jpg"


class TestOutside:
    """Every list that names files."""

    def test_pairs_of_a_try_on(self, tmp_path):
        with pytest.raises(InputError, match="outside its folder"):
            listed_pairs(write(tmp_path, "../../x.jpg shirt.jpg\n"), tmp_path, tmp_path)

    @pytest.mark.parametrize("garment", ["../../x.jpg", "/tmp/x.jpg"])
    def test_lists_of_data_sets(self, tmp_path, garment):
        (tmp_path / "test" / "image").mkdir(parents=True)
        write(tmp_path, f"\ufeffanna.jpg {garment}\n", "test_pairs.txt")
        with pytest.raises(InputError, match="outside its folder"):
            list_files(tmp_path, "test", "unpaired")

    @pytest.mark.parametrize("column", ["person", "garment", "mask", "densepose"])
    def test_pairs_csv(self, tmp_path, column):
        cells = {"person": "a.jpg", "garment": "b.jpg"} | {column: "../c.jpg"}
        write(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\n", "pairs.csv")
        with pytest.raises(InputError, match="outside its folder"):
            list_files(tmp_path, "all")

    def test_shards(self, tmp_path):
        index = {
            "num_samples": 1, "samples_per_shard": 1, "height": 8, "width": 8, "picture_format": "png",
            "names_hash": "", "format": 2,
        }  # fmt: skip
        write(tmp_path, json.dumps(index), "shards.json")
        place = {"name": "a", "caption": "", "shard": "../../secret.tar", "start": 0, "stop": 9}
        write(tmp_path, json.dumps(place) + "\n", "samples.jsonl")
        with pytest.raises(InputError, match="outside its folder"):
            ShardDataset(tmp_path)


class TestTables:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_any_separator_and_a_byte_order_mark(self, tmp_path, separator):
        rows = [("Person", "Garment", "caption"), ("a.jpg", "b.jpg", "red shirt")]
        write(tmp_path, "\ufeff" + "\n".join(separator.join(row) for row in rows) + "\n", "pairs.csv")
        (found,) = list_files(tmp_path, "all")
        assert (found.person, found.caption) == (tmp_path / "a.jpg", "red shirt")

    def test_an_empty_table(self, tmp_path):
        write(tmp_path, "person,garment\n", "pairs.csv")
        with pytest.raises(InputError, match="is empty"):
            list_files(tmp_path, "all")


def test_a_file_under_another_suffix_is_named(tmp_path):
    for name in ("people", "garments"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "people" / "anna.png")
    with pytest.raises(InputError, match=r"there is anna\.png"):
        listed_pairs(write(tmp_path, "anna.jpg shirt.jpg\n"), tmp_path / "people", tmp_path / "garments")


class TestRewrittenSuffixes:
    """Photos converted to PNG, and the lists with them, beside tags and body maps that were not."""

    def test_viton_hd(self, tmp_path):
        root = layouts.viton_hd(tmp_path)
        before = list_files(root, "test")
        rename_to_png(root, root / "test" / "image", root / "test" / "cloth")
        after = list_files(root, "test")
        assert [each.caption for each in after] == [each.caption for each in before]
        assert any(each.caption for each in after)
        assert [each.category for each in after] == [each.category for each in before]
        assert {each.person.suffix for each in after} == {".png"}
        assert all(each.densepose.exists() for each in after)
        assert check_dataset(root, split="test").is_good

    def test_dress_code(self, tmp_path):
        root = layouts.dress_code(tmp_path)
        before = list_files(root, "train")
        rename_to_png(root, *root.glob("*/images"))
        after = list_files(root, "train")
        assert [each.caption for each in after] == [each.caption for each in before]
        assert all(each.densepose.exists() for each in after)


def rename_to_png(root, *folders):
    for path in [path for folder in folders for path in folder.glob("*.jpg")]:
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    for path in root.rglob("*_pairs*.txt"):
        path.write_text(path.read_text().replace(".jpg", ".png"))
