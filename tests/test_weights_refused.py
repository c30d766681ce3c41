"""Weights that cannot be had or are damaged: every refusal of the hub, of the disk and of a check says what to do."""

import errno
import re

import huggingface_hub
import pytest

from fake_hub import REPO, UNET, failure, get, overwrite, states, tensors
from idmvton import weights
from idmvton.errors import WeightsError

WANTED = {"model_index.json", "unet/config.json", UNET, "vae/diffusion_pytorch_model.safetensors"}


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((403, "GatedRepo"), "is gated.*accept the terms on https://huggingface.co/maker/tiny-tryon.*hf auth login"),
        ((401, "RepoNotFound"), "has no repository maker/tiny-tryon, or it is private"),
        ((404, "RepoNotFound"), "has no repository maker/tiny-tryon, or it is private"),
        ((404, "RevisionNotFound"), "has no revision 'main'"),
        ((403, ""), "refuses access"),
        ((429, ""), "slow down"),
        ((503, ""), "could not serve"),
    ],
)
def test_refusals_of_the_hub(hub, refusal, words):
    hub.refusal = refusal
    text = failure(hub)
    assert re.search(words, text, re.DOTALL), text
    assert f"HTTP {refusal[0]}" in text


def test_no_network(hub):
    with pytest.raises(WeightsError, match="the network or the hub failed") as caught:
        weights.get(REPO, endpoint="http://127.0.0.1:9")
    assert f"idmvton weights get {REPO}" in str(caught.value)


def test_a_login_page_instead_of_the_hub(hub):
    hub.page = b"<html>Welcome to the hotel</html>"
    assert "the answer is not the hub's" in failure(hub)


def test_a_repository_that_is_no_checkpoint_is_refused_before_any_download(hub):
    del hub.files[UNET]
    assert "does not hold what" in failure(hub)
    hub.files = {"unet/config.json": b"{}"}
    assert "unet/diffusion_pytorch_model.safetensors" in failure(hub, "sdxl-base")
    assert not hub.gets


def test_a_disk_without_room_is_refused_before_any_download(hub, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    assert "the disk has no room" in failure(hub)
    assert not hub.gets


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the cache cannot be written")]
)
def test_a_disk_that_fails_during_the_download(hub, monkeypatch, code, words):
    def fail(*args, **kwargs):
        raise OSError(code, "failed")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert words in failure(hub)


def test_mistakes_in_the_program_are_not_called_network_trouble(hub, monkeypatch):
    def fail(*args, **kwargs):
        raise AttributeError("a bug")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(AttributeError, match="a bug"):
        get(hub)


def test_offline_never_asks_the_hub(hub, monkeypatch):
    assert "offline was asked for" in failure(hub, offline=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    text = failure(hub)
    assert "HF_HUB_OFFLINE is set" in text
    assert f"idmvton weights get {REPO}" in text
    assert hub.listings == 0


# --- verifying


def test_verify_names_every_kind_of_damage_and_get_repairs_it(hub):
    folder = get(hub)
    assert set(states(weights.verify(REPO)).values()) == {"ok"}
    overwrite(folder / UNET, tensors(7))
    overwrite(folder / "vae/diffusion_pytorch_model.safetensors", tensors(2)[:-10])
    overwrite(folder / "unet/config.json", b"[]")
    found = weights.status(REPO)
    assert (found.state, found.missing) == ("incomplete", ("vae/diffusion_pytorch_model.safetensors",))
    (folder / "model_index.json").unlink()
    report = weights.verify(REPO)
    assert states(report) == {
        "model_index.json": "missing",
        "unet/config.json": "wrong hash",
        UNET: "wrong hash",
        "vae/diffusion_pytorch_model.safetensors": "wrong size",
    }
    assert not report.ok
    assert "10 bytes are missing" in report.failures[-1].detail
    assert weights.verify(get(hub)).ok


def test_a_hub_that_tells_no_hash_leaves_files_unverifiable(hub):
    hub.tells_hashes = False
    report = weights.verify(get(hub))
    assert set(states(report).values()) == {"unverifiable"}
    assert report.ok


def test_a_file_that_the_hub_itself_serves_damaged_is_found(hub):
    hub.files[UNET] = tensors(1)[:-8]
    assert states(weights.verify(get(hub)))[UNET] == "damaged"


def test_a_folder_without_manifest_is_checked_for_whole_files_and_says_so(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / UNET).write_bytes(tensors(1))
    report = weights.verify(tmp_path)
    assert report.ok
    assert report.manifest is None
    assert states(report) == {UNET: "unverifiable"}
    assert "no recorded hashes" in report.notes[0]
    (tmp_path / UNET).write_bytes(tensors(1)[:-1])
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    (tmp_path / "l.bin").symlink_to(tmp_path / "gone")
    assert states(weights.verify(tmp_path)) == {
        "l.bin": "missing",
        "model.safetensors.index.json": "damaged",
        UNET: "damaged",
    }


def test_a_folder_without_weights_or_with_a_damaged_manifest(tmp_path):
    with pytest.raises(WeightsError, match="holds no weight files"):
        weights.verify(tmp_path)
    for text in ("{", "[]", '{"format": 99}', '{"format": 1, "files": {"a": {"size": 1, "colour": 2}}}'):
        (tmp_path / weights.MANIFEST_NAME).write_text(text)
        with pytest.raises(WeightsError, match="is damaged"):
            weights.verify(tmp_path)
