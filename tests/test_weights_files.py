"""Finding, sniffing, reading and writing weight files."""

import builtins
import json
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from idmvton.errors import WeightsError
from idmvton.weights import check_file, find_weights, read_tensors, size_text, stamp, write_tensors

TENSORS = {
    "a.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "a.ids": torch.tensor([7, 8], dtype=torch.int64),
}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(TENSORS, path)
    return path


def message(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        check_file(path)
    return str(caught.value)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


# --- finding


def test_safetensors_is_preferred_to_bin_and_a_single_file_to_shards(tmp_path):
    touch(tmp_path, "diffusion_pytorch_model.bin")
    assert find_weights(tmp_path, "diffusion_pytorch_model") == [tmp_path / "diffusion_pytorch_model.bin"]
    touch(tmp_path, "s-2.safetensors", "s-1.safetensors")
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {"a": "s-2.safetensors", "b": "s-1.safetensors", "c": "s-2.safetensors"}})
    )
    shards = [tmp_path / "s-1.safetensors", tmp_path / "s-2.safetensors"]
    assert find_weights(tmp_path, "diffusion_pytorch_model") == shards
    touch(tmp_path, "diffusion_pytorch_model.safetensors")
    assert find_weights(tmp_path, "diffusion_pytorch_model") == [tmp_path / "diffusion_pytorch_model.safetensors"]


def test_sharded_bin_is_found(tmp_path):
    touch(tmp_path, "one.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "one.bin"}}')
    assert find_weights(tmp_path, "model") == [tmp_path / "one.bin"]


def test_the_bin_of_a_model_is_called_pytorch_model(tmp_path):
    touch(tmp_path, "pytorch_model.bin")
    assert find_weights(tmp_path, "model") == [tmp_path / "pytorch_model.bin"]


def test_a_variant_is_taken_when_asked_for_or_alone(tmp_path):
    touch(tmp_path, "model.fp16.safetensors")
    assert find_weights(tmp_path, "model", "fp16") == [tmp_path / "model.fp16.safetensors"]
    assert find_weights(tmp_path, "model") == [tmp_path / "model.fp16.safetensors"]  # the only one there is
    with pytest.raises(WeightsError, match="choose one of its variants: fp16"):
        find_weights(tmp_path, "model", "bf16")
    touch(tmp_path, "model.safetensors")
    assert find_weights(tmp_path, "model") == [tmp_path / "model.safetensors"]


@pytest.mark.parametrize("index", ["model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"])
def test_both_spellings_of_a_sharded_variant(tmp_path, index):
    touch(tmp_path, "s.safetensors")
    (tmp_path / index).write_text('{"weight_map": {"a": "s.safetensors"}}')
    assert find_weights(tmp_path, "model", "fp16") == [tmp_path / "s.safetensors"]


def test_nothing_to_load_lists_what_is_there_and_what_was_expected(tmp_path):
    touch(tmp_path, "config.json", "notes.txt")
    with pytest.raises(WeightsError) as caught:
        find_weights(tmp_path, "diffusion_pytorch_model")
    for words in ("config.json, notes.txt", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"):
        assert words in str(caught.value)


def test_no_folder(tmp_path):
    with pytest.raises(WeightsError, match="there is no folder"):
        find_weights(tmp_path / "unet", "model")


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ('{"weight_map": {"a": "gone.safetensors", "b": "s.safetensors"}}', "1 of the 2 shards.*are missing"),
        ('{"weight_map": {"a": "../s.safetensors"}}', "not a file beside it"),
        ('{"weight_map": {"a": "/etc/s.safetensors"}}', "not a file beside it"),
        ('{"weight_map": {}}', "not a file beside it"),
        ('{"weight_map": {"a": 3}}', "cannot be read as a list of shards"),
        ("[]", "cannot be read as a list of shards"),
        ("<html>", "cannot be read as a list of shards"),
    ],
)
def test_damaged_shard_indexes(tmp_path, index, words):
    touch(tmp_path, "s.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(WeightsError, match=words):
        find_weights(tmp_path, "model")


# --- sniffing


def test_whole_files_pass(whole, tmp_path):
    assert check_file(whole) == "safetensors"
    torch.save(TENSORS, tmp_path / "new.bin")
    torch.save(TENSORS, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert check_file(tmp_path / "new.bin") == "torch zip"
    assert check_file(tmp_path / "old.bin") == "torch legacy"


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_git_lfs_pointer_is_named_with_the_size_it_stands_for(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 11966000000\n")
    text = message(path)
    assert "git-lfs pointer" in text
    assert "11.97 GB" in text
    assert "git lfs pull" in text


@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html><html><head><title>Sign in</title>", "\n <html lang='en'><title>Sign in</title>"]
)
def test_a_web_page_is_named_with_its_title(tmp_path, page):
    path = tmp_path / "model.safetensors"
    path.write_text(page)
    text = message(path)
    assert "web page" in text
    assert "Sign in" in text


def test_an_empty_file(tmp_path):
    path = tmp_path / "model.bin"
    path.touch()
    assert "is empty" in message(path)


def test_a_truncated_safetensors_says_how_much_is_missing(whole):
    whole.write_bytes(whole.read_bytes()[:-5])
    assert "truncated: 5 bytes are missing" in message(whole)


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 20])
def test_a_safetensors_cut_inside_its_header(whole, keep):
    whole.write_bytes(whole.read_bytes()[:keep])
    assert "truncated: it ends inside its header" in message(whole)


def test_bytes_after_the_end(whole):
    whole.write_bytes(whole.read_bytes() + b"abc")
    assert "3 bytes after its end" in message(whole)


@pytest.mark.parametrize(
    "header", [b"{not json", b'{"a": 3}', b'{"a": {"data_offsets": [4, 0]}}', b'{"a": {"data_offsets": ["0", 4]}}']
)
def test_a_damaged_header(tmp_path, header):
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert "damaged header" in message(path)


def test_something_else_under_the_name_of_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b'{"error":"Repository not found"}')
    assert "is not a safetensors file" in message(path)
    torch.save(TENSORS, path)
    assert "holds a PyTorch pickle" in message(path)


def test_a_truncated_bin(tmp_path):
    path = tmp_path / "model.bin"
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    for keep in (len(whole) - 1, len(whole) // 2, 5):
        path.write_bytes(whole[:keep])
        assert "is truncated" in message(path)


def test_a_bin_that_torch_did_not_write(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "another program's pickle" in message(path)
    path.write_bytes(b"\x00" * 64)
    assert "not a file that torch.save wrote" in message(path)
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", "x")
    assert "holiday.jpg" in message(path)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".pkl"])
def test_other_suffixes_are_refused_whatever_they_hold(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save(TENSORS, path)
    text = message(path)
    assert "run code" in text
    assert ".safetensors" in text


def test_unfinished_and_unknown_names(tmp_path):
    touch(tmp_path, "model.safetensors.incomplete", "model", "model.onnx")
    assert "unfinished download" in message(tmp_path / "model.safetensors.incomplete")
    assert "no suffix" in message(tmp_path / "model")
    assert "'.onnx'" in message(tmp_path / "model.onnx")


def test_missing_folder_dangling_link_and_pipe(tmp_path):
    assert "there is no file" in message(tmp_path / "model.bin")
    assert "is a folder" in message(tmp_path)
    (tmp_path / "l.bin").symlink_to(tmp_path / "gone")
    assert "links to a file that is not there" in message(tmp_path / "l.bin")
    os.mkfifo(tmp_path / "p.bin")
    assert "not a regular file" in message(tmp_path / "p.bin")


def test_an_unreadable_file(whole, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in message(whole)


def test_sizes_for_people():
    assert [size_text(n) for n in (12, 3200, 5_100_000, 11_966_000_000)] == ["12 bytes", "3.2 kB", "5.1 MB", "11.97 GB"]


# --- reading


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin", "old.bin"])
def test_reading_gives_the_tensors_back(whole, tmp_path, name):
    torch.save(TENSORS, tmp_path / "model.bin")
    torch.save(TENSORS, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    read = read_tensors(tmp_path / name)
    assert sorted(read) == sorted(TENSORS)
    for key, tensor in TENSORS.items():
        assert torch.equal(read[key], tensor)
        assert read[key].dtype == tensor.dtype


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_only_floating_tensors_are_cast(whole, tmp_path, name):
    torch.save(TENSORS, tmp_path / "model.bin")
    read = read_tensors(tmp_path / name, dtype=torch.bfloat16)
    assert read["a.weight"].dtype == torch.bfloat16
    assert read["a.ids"].dtype == torch.int64


def test_nested_dictionaries_are_flattened_with_dots(tmp_path):
    parts = {"image_proj": {"latents": torch.ones(2)}, "ip_adapter": {"1.to_k_ip.weight": torch.zeros(3)}}
    torch.save(parts, tmp_path / "ip.bin")
    assert sorted(read_tensors(tmp_path / "ip.bin")) == ["image_proj.latents", "ip_adapter.1.to_k_ip.weight"]


def test_parameters_come_back_as_plain_tensors(tmp_path):
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "m.bin")
    assert not read_tensors(tmp_path / "m.bin")["w"].requires_grad


class Bomb:
    def __reduce__(self):
        return builtins.exec, ("import pathlib; pathlib.Path('EXPLODED').touch()",)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch, new_format):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Bomb()}, "m.bin", _use_new_zipfile_serialization=new_format)
    with pytest.raises(WeightsError, match="its code was not run"):
        read_tensors("m.bin")
    assert not Path("EXPLODED").exists()


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"w": torch.ones(1), "step": 3}, "step: int"),
        ({"w": [torch.ones(1)]}, "w: list"),
        ({"w": None}, "w: NoneType"),
        (torch.ones(2), "the whole file: Tensor"),
        ({1: torch.ones(1)}, "name is not text"),
        ({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}, "two tensors called 'a.b'"),
    ],
)
def test_anything_but_named_tensors_is_refused(tmp_path, held, words):
    torch.save(held, tmp_path / "m.bin")
    with pytest.raises(WeightsError, match=words):
        read_tensors(tmp_path / "m.bin")


def test_damage_that_only_reading_finds(tmp_path, whole):
    torch.save({"w": torch.ones(1000)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "old.bin").write_bytes((tmp_path / "old.bin").read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(tmp_path / "old.bin")
    whole.write_bytes(whole.read_bytes().replace(b"F32", b"F16"))
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(whole)


# --- writing


def test_what_is_written_is_read_back_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "model.safetensors"
    base = torch.arange(6.0).reshape(2, 3)
    tied = {"t": base.T, "one": base, "two": base, "part": base[1:], "p": torch.nn.Parameter(base), "e": torch.empty(0)}
    write_tensors(tied, path)
    read = read_tensors(path)
    assert sorted(read) == sorted(tied)
    assert all(torch.equal(read[name], tied[name]) for name in tied)
    assert os.listdir(path.parent) == ["model.safetensors"]
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_tensors(TENSORS, tmp_path / "m.safetensors")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "m.safetensors")]
    assert modes[0] == modes[1]


def test_a_file_can_be_written_over_the_one_its_tensors_were_read_from(whole):
    write_tensors({name: tensor for name, tensor in read_tensors(whole).items() if name == "a.weight"}, whole)
    assert torch.equal(read_tensors(whole)["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("exception", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupted_write_keeps_the_old_file_and_no_partial_one(whole, monkeypatch, exception, where):
    before = whole.read_bytes()

    def fail(*args, **kwargs):
        raise exception

    monkeypatch.setattr(os if where == "fsync" else Path, where, fail)
    with pytest.raises(WeightsError if isinstance(exception, OSError) else exception):
        write_tensors({"b": torch.zeros(3)}, whole)
    assert whole.read_bytes() == before
    assert os.listdir(whole.parent) == [whole.name]


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(WeightsError, match="only tensors"):
        write_tensors({"a": 3}, tmp_path / "m.safetensors")
    with pytest.raises(WeightsError, match=r"'\.bin'"):
        write_tensors(TENSORS, tmp_path / "m.bin")
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="could not be written"):
        write_tensors(TENSORS, tmp_path / "file" / "m.safetensors")


def test_importing_loads_no_heavy_library():
    code = (
        "import sys, idmvton.weights; "
        "print([n for n in ('torch', 'safetensors', 'huggingface_hub', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stamp_tells_weights_in_the_same_folder_apart(tmp_path):
    tensors = {"a": torch.zeros(2**20)}
    for name in ("model.safetensors", "model.bin"):
        write_tensors(tensors, tmp_path / "model.safetensors")
        (tmp_path / "model.safetensors").rename(tmp_path / name)
        before = stamp(tmp_path)
        assert before == stamp(tmp_path)
        assert len(before) == 8
        content = bytearray((tmp_path / name).read_bytes())
        content[len(content) // 2] += 1
        (tmp_path / name).write_bytes(content)
        assert stamp(tmp_path) != before
