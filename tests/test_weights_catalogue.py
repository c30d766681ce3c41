"""The catalogue, and fetching, finding and verifying weights against a small hub on this machine."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner

from fake_hub import (
    FIRST_COMMIT,
    REPO,
    SECOND_COMMIT,
    UNET,
    failure,
    get,
    git_sha1,
    overwrite,
    sha256,
    states,
    tensors,
)
from idmvton import weights
from idmvton.cli import app
from idmvton.errors import WeightsError
from idmvton.weights.entries import KnownFile

WANTED = {"model_index.json", "unet/config.json", UNET, "vae/diffusion_pytorch_model.safetensors"}


NETWORKS = ("densepose-r50", "schp-atr", "schp-lip", "openpose-body")


# --- the catalogue


def test_every_entry_says_what_it_is():
    published = ["idm-vton", "idm-vton-dc", "sdxl-inpainting", "sdxl-base", "ip-adapter-plus", "clip-vit-large-patch14"]
    evaluation = [name for name, entry in weights.CATALOGUE.items() if entry.kind == "evaluation"]
    preparation = ["pose", "pose-heavy", *NETWORKS, "preparation-published"]
    assert list(weights.CATALOGUE) == ["mini", *published, *preparation, *evaluation]
    assert evaluation
    for name, entry in weights.CATALOGUE.items():
        assert entry.name == name
        assert entry.licence_url.startswith("https://")
        assert entry.licence
        if not entry.embedded:
            assert entry.approximate_bytes > (10**9 if entry.kind in ("checkpoint", "part") else 10**6)
        assert entry.get_command == f"idmvton weights get {name}"


def test_revisions_are_pinned_or_said_not_to_be():
    for name, entry in weights.CATALOGUE.items():
        assert entry.is_pinned is (entry.revision != "main"), name
        assert ("not pinned" in entry.revision_text) is not entry.is_pinned
        is_known = entry.is_pinned or set(entry.known) == set(entry.files)
        assert is_known or entry.kind == "evaluation", name
    assert not weights.find_entry("someone/else").is_pinned


def test_the_published_preparation_is_the_sum_of_its_networks():
    whole = weights.CATALOGUE["preparation-published"]
    parts = [weights.CATALOGUE[name] for name in NETWORKS]
    assert whole.files == tuple(file for part in parts for file in part.files)
    assert whole.known == {file: known for part in parts for file, known in part.known.items()}
    assert whole.approximate_bytes == sum(part.approximate_bytes for part in parts)
    assert all(part.licence in whole.licence and part.licence_url in whole.licence_url for part in parts)
    assert whole.page == "https://huggingface.co/spaces/yisol/IDM-VTON"
    assert "one source" in whole.note


def test_what_comes_with_the_library_is_there_and_not_fetched(hub):
    folder = weights.locate("mini")
    assert (folder / "warp_net").is_dir()
    assert weights.get("mini", endpoint=hub.url) == folder
    assert weights.status("mini").present


@pytest.mark.parametrize(
    ("name", "file", "wanted"),
    [
        ("idm-vton", "unet/diffusion_pytorch_model.bin", True),
        ("idm-vton", "unet_encoder/config.json", True),
        ("idm-vton", "humanparsing/parsing_atr.onnx", False),
        ("idm-vton", "densepose/model_final_162be9.pkl", False),
        ("sdxl-base", "unet/diffusion_pytorch_model.safetensors", True),
        ("sdxl-base", "unet/diffusion_pytorch_model.fp16.safetensors", False),
        ("sdxl-base", "unet/model.onnx", False),
        ("sdxl-base", "vae/diffusion_pytorch_model.safetensors", False),
        ("sdxl-inpainting", "text_encoder/model.safetensors", True),
        ("sdxl-inpainting", "text_encoder/model.fp16.safetensors", False),
        ("ip-adapter-plus", "models/image_encoder/model.safetensors", True),
        ("ip-adapter-plus", "models/ip-adapter_sd15.bin", False),
    ],
)
def test_which_files_are_fetched(name, file, wanted):
    assert weights.CATALOGUE[name].wants(file) is wanted


def test_names_hub_ids_and_near_misses():
    assert weights.find_entry("yisol/IDM-VTON") is weights.CATALOGUE["idm-vton"]
    assert weights.find_entry("someone/else").kind == "checkpoint"
    with pytest.raises(WeightsError, match=r"'idm-vton'\?.*ip-adapter-plus"):
        weights.find_entry("idm_vton")


# --- finding without a network


def test_a_folder_is_itself(tmp_path, monkeypatch):
    assert weights.locate(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert weights.locate("mine") == Path("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.locate("~/mine") == tmp_path / "mine"


@pytest.mark.parametrize("path", ["./gone", "/gone/unet", "~/gone", "a/b/c", Path("gone"), "..\\gone"])
def test_a_path_to_nothing_is_called_a_missing_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="does not exist"):
        weights.locate(path)


def test_a_file_is_not_a_checkpoint_folder(tmp_path):
    (tmp_path / "x.safetensors").touch()
    with pytest.raises(WeightsError, match="is a file"):
        weights.locate(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("name", ["idm-vton", "sdxl-base", REPO])
def test_weights_that_are_not_here_name_the_command_that_fetches_them(name, tmp_path):
    assert weights.status(name, cache_dir=tmp_path).state == "absent"
    with pytest.raises(WeightsError, match=f"run `idmvton weights get {name}`"):
        weights.locate(name, cache_dir=tmp_path)


# --- fetching


def test_fetching_takes_the_wanted_files_records_them_and_prints_nothing(hub, capfd):
    seen: list[tuple[str, int, int]] = []
    folder = get(hub, progress=lambda *told: seen.append(told))
    assert {name for name in hub.files if (folder / name).exists()} == WANTED
    assert all((folder / name).read_bytes() == hub.files[name] for name in WANTED)
    manifest = weights.read_manifest(folder)
    assert (manifest.repo, manifest.commit) == (REPO, FIRST_COMMIT)
    assert manifest.files[UNET] == weights.FileRecord(len(tensors(1)), sha256=sha256(tensors(1)))
    assert manifest.files["unet/config.json"] == weights.FileRecord(2, git_sha1=git_sha1(b"{}"))
    total = sum(len(hub.files[name]) for name in WANTED)
    for stage in ("download", "verify"):
        done = [told[1] for told in seen if told[0] == stage]
        assert done == sorted(done)
        assert done[-1] == total
    assert {told[2] for told in seen} == {total}
    assert capfd.readouterr() == ("", "")


def test_what_was_fetched_is_found_without_the_network(hub, monkeypatch):
    folder = get(hub)
    hub.refusal = (500, "")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert weights.locate(REPO) == folder
    assert get(hub) == folder
    assert get(hub, offline=True) == folder
    found = weights.status(REPO)
    assert found.present
    assert found.num_bytes == sum(len(hub.files[name]) for name in WANTED)
    assert found.manifest.commit == FIRST_COMMIT


def test_fetching_again_downloads_nothing_new_until_the_branch_moves(hub):
    get(hub)
    first = Counter(hub.gets)
    get(hub)
    assert hub.gets == first
    hub.commit, hub.files[UNET] = SECOND_COMMIT, tensors(9)
    folder = get(hub)
    assert hub.gets - first == Counter([UNET])
    assert weights.read_manifest(folder).commit == SECOND_COMMIT
    assert weights.locate(REPO) == folder


def test_a_branch_that_moves_during_the_call_is_recorded_as_what_was_fetched(hub):
    hub.moves_to = SECOND_COMMIT
    folder = get(hub)
    assert folder.name == weights.read_manifest(folder).commit == SECOND_COMMIT


def test_a_dropped_connection_is_resumed_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.drop_once = UNET
    folder = get(hub)
    assert hub.ranges == [f"{UNET} from {len(tensors(1)) // 2 // 1000 * 1000}"]
    assert weights.verify(folder).ok


def test_an_interrupted_download_is_incomplete_and_finished_by_the_next(hub):
    hub.fail = UNET
    assert "HTTP 500" in failure(hub)
    found = weights.status(REPO)
    assert found.state == "incomplete"
    with pytest.raises(WeightsError, match="to finish the download"):
        weights.locate(REPO)
    assert "are incomplete on this machine" in failure(hub, offline=True)
    before, hub.fail = Counter(hub.gets), None
    folder = get(hub)
    assert hub.gets - before == Counter([UNET])
    assert weights.verify(folder).ok


def test_wrong_bytes_from_the_hub_are_fetched_once_more(hub):
    hub.corrupt[UNET] = 1
    folder = get(hub)
    assert hub.gets[UNET] == 2
    assert (folder / UNET).read_bytes() == tensors(1)


def test_bytes_that_stay_wrong_are_an_error(hub):
    hub.corrupt[UNET] = 9
    text = failure(hub)
    assert "differ from what the hub announced" in text
    assert f"{UNET}: wrong hash" in text
    assert states(weights.verify(REPO))[UNET] == "wrong hash"


def test_a_part_from_the_catalogue(hub):
    hub.files = {"unet/config.json": b"{}", UNET: tensors(3), "unet/model.onnx": b"x"}
    folder = get(hub, "sdxl-base")
    assert folder.parent.parent.name == "models--stabilityai--stable-diffusion-xl-base-1.0"
    assert not (folder / "unet/model.onnx").exists()
    assert weights.locate("sdxl-base") == folder


# --- the networks of the published preparation: files of one repository, whose hashes are known


@pytest.fixture
def space(hub, monkeypatch):
    """The hub with small files in their places, and a catalogue that knows their hashes."""
    hub.files = {"app.py": b"not wanted"}
    known = {}
    for name in NETWORKS:
        (file,) = weights.CATALOGUE[name].files
        hub.files[file] = name.encode() * 100
        known[file] = KnownFile(len(hub.files[file]), sha256(hub.files[file]))
    for name in (*NETWORKS, "preparation-published"):
        entry = weights.CATALOGUE[name]
        monkeypatch.setitem(weights.CATALOGUE, name, replace(entry, known={file: known[file] for file in entry.files}))
    return hub


def test_entries_share_a_snapshot(space):
    first = get(space, "densepose-r50")
    assert first.parents[1].name == "spaces--yisol--IDM-VTON"
    assert weights.locate_file("densepose-r50").read_bytes() == b"densepose-r50" * 100
    assert weights.status("schp-atr").state != "present"
    assert weights.status("preparation-published").state == "incomplete"
    assert get(space, "schp-atr") == first
    assert states(weights.verify("densepose-r50")) == {weights.CATALOGUE["densepose-r50"].files[0]: "ok"}
    before = Counter(space.gets)
    get(space, "preparation-published")
    assert sorted((space.gets - before).elements()) == sorted(
        weights.CATALOGUE[name].files[0] for name in ("schp-lip", "openpose-body")
    )
    assert all(weights.status(name).present for name in (*NETWORKS, "preparation-published"))
    assert len(weights.verify("preparation-published").files) == 4
    assert not (first / "app.py").exists()


def test_a_file_that_the_catalogue_knows_otherwise_is_not_downloaded(space):
    (file,) = weights.CATALOGUE["densepose-r50"].files
    space.files[file] = b"another network of the same size"
    text = failure(space, "densepose-r50")
    assert "does not have the file that 'densepose-r50' needs" in text
    assert weights.CATALOGUE["densepose-r50"].known[file].sha256 in text
    space.files[file] = b"put densepose here"
    assert "18 bytes" in failure(space, "preparation-published")
    assert not space.gets


def test_a_known_file_is_checked_where_the_hub_tells_no_hash(space):
    space.tells_hashes = False
    folder = get(space, "densepose-r50")
    (file,) = weights.CATALOGUE["densepose-r50"].files
    assert states(weights.verify("densepose-r50")) == {file: "ok"}
    overwrite(folder / file, b"x" * 1300)
    assert states(weights.verify("densepose-r50")) == {file: "wrong hash"}


def test_a_file_is_located_only_where_there_is_one(space):
    with pytest.raises(WeightsError, match="idmvton weights get schp-lip"):
        weights.locate_file("schp-lip")
    with pytest.raises(WeightsError, match="are not one file"):
        weights.locate_file("preparation-published")
    with pytest.raises(WeightsError, match="are not one file"):
        weights.locate_file("sdxl-base")


def test_sizes_licences_and_hashes_are_shown_before_the_download(space):
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["weights", "get", "preparation-published"], input="n\n")
    assert result.exit_code == 1
    for name in NETWORKS:
        entry = weights.CATALOGUE[name]
        assert entry.licence_url in result.stderr
        assert entry.known[entry.files[0]].sha256 in result.stderr
    assert "main, not pinned; hashes known" in result.stderr
    assert "1.3 kB" in result.stderr
    assert not space.gets


# --- what can go wrong on the way
