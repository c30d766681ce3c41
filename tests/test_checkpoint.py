"""Loading and saving the published layout; starting from the parts; refusing what does not fit."""

import copy
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline, load_checkpoint, load_training_parts
from idmvton.checkpoint.published import FOLDERS, ip_adapter_names
from idmvton.errors import WeightsError
from idmvton.models.image_prompt import to_published
from idmvton.models.latents import decode_latents

UNET = "unet/diffusion_pytorch_model.safetensors"
GARMENT_NET = "unet_encoder/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """A copy of the golden checkpoint that the test may damage."""
    return shutil.copytree(CHECKPOINT, tmp_path / "checkpoint")


def change(file, edit):
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def all_tensors(folder):
    return {
        f"{file.parent.name}/{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def test_round_trip_is_bit_equal_under_the_published_names(tmp_path):
    components = load_checkpoint(CHECKPOINT, dtype=torch.float16)
    TryOnPipeline(**components).save_pretrained(tmp_path / "saved")
    golden, saved = all_tensors(CHECKPOINT), all_tensors(tmp_path / "saved")
    assert golden.keys() == saved.keys()
    for name, tensor in golden.items():
        if tensor.dtype == saved[name].dtype:
            assert torch.equal(tensor, saved[name]), name
        else:
            assert torch.equal(tensor.to(torch.float16), saved[name]), name
    assert {each.name for each in (tmp_path / "saved").iterdir()} == {*FOLDERS, "model_index.json"}


def test_saved_configs_say_what_the_published_ones_say(tmp_path):
    TryOnPipeline(**load_checkpoint(CHECKPOINT)).save_pretrained(tmp_path / "saved")
    for name in ("unet/config.json", "unet_encoder/config.json", "model_index.json", "scheduler/scheduler_config.json"):
        golden = json.loads((CHECKPOINT / name).read_text())
        saved = json.loads((tmp_path / "saved" / name).read_text())
        golden.pop("_diffusers_version")
        differing = {key for key in golden if saved.get(key) != golden[key]}
        assert not differing, name
    for tokenizer in ("tokenizer", "tokenizer_2"):
        for name in ("vocab.json", "merges.txt"):
            assert (tmp_path / "saved" / tokenizer / name).is_file(), "slow tokenizers read these"


def test_a_saved_checkpoint_gives_the_same_picture(tmp_path, pipe, one_call):
    pipe.save_pretrained(tmp_path / "saved")
    again = TryOnPipeline.from_pretrained(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    torch.testing.assert_close(pipe(**one_call).latents, again(**one_call).latents, atol=1e-3, rtol=0)


def test_loaded_weights_share_no_memory_so_that_trainings_of_them_can_be_resumed():
    unet = load_checkpoint(CHECKPOINT)["unet"]
    storages = [parameter.untyped_storage() for parameter in unet.parameters()]
    assert len({each.data_ptr() for each in storages}) == len(storages)
    sizes = [parameter.numel() * parameter.element_size() for parameter in unet.parameters()]
    assert [each.nbytes() for each in storages] == sizes


def test_saving_replaces_parts_whole(tmp_path):
    """Shards of an older save would otherwise be read together with the new file."""
    components = load_checkpoint(CHECKPOINT)
    folder = tmp_path / "saved"
    components["vae"].save_pretrained(folder / "vae", max_shard_size="100KB")
    assert len(list((folder / "vae").glob("*.safetensors"))) > 1
    (folder / "notes.txt").write_text("mine")
    TryOnPipeline(**components).save_pretrained(folder)
    load_checkpoint(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["saved"], "nothing is left beside it"


def test_a_failed_save_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    pipe = TryOnPipeline(**load_checkpoint(CHECKPOINT))
    pipe.save_pretrained(tmp_path / "saved")
    before = {file: file.read_bytes() for file in (tmp_path / "saved").rglob("*") if file.is_file()}

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipe.image_encoder, "save_pretrained", fail)
    with pytest.raises(WeightsError, match="cannot be written"):
        pipe.save_pretrained(tmp_path / "saved")
    assert before == {file: file.read_bytes() for file in (tmp_path / "saved").rglob("*") if file.is_file()}


def test_a_compiled_pipeline_saves_what_it_compiles(tmp_path):
    pipe = TryOnPipeline(**load_checkpoint(CHECKPOINT))
    pipe.unet = torch.compile(pipe.unet, backend="eager")
    pipe.save_pretrained(tmp_path / "saved")
    assert all_tensors(tmp_path / "saved").keys() == all_tensors(CHECKPOINT).keys()


def test_policies_travel_with_the_checkpoint(tmp_path):
    changed = {"garment_timestep": 0, "time_ids": "height_height", "num_inference_steps": 4, "guidance_scale": 1.5}
    changed |= {"match_colours": True}
    pipe = TryOnPipeline(**load_checkpoint(CHECKPOINT), **changed)
    pipe.save_pretrained(tmp_path / "saved")
    again = TryOnPipeline.from_pretrained(tmp_path / "saved")
    assert {name: again.config[name] for name in changed} == changed
    published = TryOnPipeline.from_pretrained(CHECKPOINT)
    assert [published.config[name] for name in changed] == ["each_step", "height_width", 30, 2.0, False]


def test_unused_add_embedding_of_garment_net_is_left_out(folder):
    def add(tensors):
        for layer in (1, 2):
            tensors[f"add_embedding.linear_{layer}.weight"] = torch.zeros(64, 64)
            tensors[f"add_embedding.linear_{layer}.bias"] = torch.zeros(64)

    change(folder / GARMENT_NET, add)
    config = json.loads((folder / "unet_encoder/config.json").read_text())
    config |= {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    config |= {"projection_class_embeddings_input_dim": 72}
    (folder / "unet_encoder/config.json").write_text(json.dumps(config))
    net = load_checkpoint(folder)["unet_encoder"]
    assert net.config.addition_embed_type is None
    assert not any("add_embedding" in name for name in net.state_dict())


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda tensors: tensors.pop("conv_in.bias"), ["1 tensors missing", "conv_in.bias"]),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), ["1 tensors not known", "extra"]),
        (
            lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}),
            ["1 tensors of the wrong shape", "conv_in.bias: [3], expected [16]"],
        ),
        (
            lambda tensors: tensors.pop("encoder_hid_proj.layers.1.0.to_kv.weight"),
            ["2 tensors missing", "encoder_hid_proj.layers.1.attn.to_k.weight"],
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(folder, edit, words):
    change(folder / UNET, edit)
    with pytest.raises(WeightsError, match="do not fit TryonNet") as caught:
        load_checkpoint(folder)
    assert all(word in str(caught.value) for word in words)


def test_reports_have_at_most_ten_lines_a_kind(folder):
    def drop_blocks(tensors):
        for name in [name for name in tensors if name.startswith("down_blocks")]:
            tensors[f"old_{name}"] = tensors.pop(name)

    change(folder / UNET, drop_blocks)
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(folder)
    lines = str(caught.value).splitlines()
    assert sum("  down_blocks" in line for line in lines) == sum("  old_down_blocks" in line for line in lines) == 9
    assert sum("... and " in line for line in lines) == 2


@pytest.mark.parametrize("name", ["vae", "text_encoder", "text_encoder_2", "image_encoder"])
def test_library_parts_are_strict_too(folder, name):
    (file,) = (folder / name).glob("*.safetensors")
    change(file, lambda tensors: tensors.pop(sorted(tensors)[0]))
    with pytest.raises(WeightsError, match="1 tensors missing"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_missing_part_is_named(folder, name):
    shutil.rmtree(folder / name)
    with pytest.raises(WeightsError, match=f"missing: {name}\n"):
        load_checkpoint(folder)


def test_parts_that_a_folder_lacks_come_from_its_base(folder):
    for name in FOLDERS:
        if name != "unet":
            shutil.rmtree(folder / name)
    (folder / "model_index.json").unlink()
    change(folder / UNET, lambda tensors: tensors["conv_in.bias"].fill_(0.25))
    parts = load_checkpoint(folder, base=CHECKPOINT)
    assert parts["unet"].conv_in.bias.unique().item() == 0.25
    assert torch.equal(parts["vae"].quant_conv.bias, load_checkpoint(CHECKPOINT)["vae"].quant_conv.bias)


def test_a_git_lfs_pointer_is_named_wherever_it_lies(folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234\n"
    for file in (UNET, "vae/diffusion_pytorch_model.safetensors", "image_encoder/model.safetensors"):
        whole = (folder / file).read_bytes()
        (folder / file).write_text(pointer)
        with pytest.raises(WeightsError, match="git-lfs"):
            load_checkpoint(folder)
        (folder / file).write_bytes(whole)


def test_a_broken_config_is_named(folder):
    (folder / "unet/config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"cannot read .*config\.json"):
        load_checkpoint(folder)


def test_old_bin_files_load_the_same(folder):
    for file in (UNET, GARMENT_NET):
        torch.save(load_file(folder / file), (folder / file).with_suffix(".bin"))
        (folder / file).unlink()
    golden, old = load_checkpoint(CHECKPOINT), load_checkpoint(folder)
    for net in ("unet", "unet_encoder"):
        states = golden[net].state_dict(), old[net].state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_precision_of_the_parts(folder):
    parts = load_checkpoint(folder, dtype=torch.bfloat16)
    assert parts["unet"].dtype == parts["unet_encoder"].dtype == parts["text_encoder"].dtype == torch.bfloat16
    assert parts["vae"].dtype == torch.float32, "bfloat16 would shift colours"
    assert load_checkpoint(folder, dtype=torch.float16)["vae"].dtype == torch.float16, "its config says it is safe"
    config = json.loads((folder / "vae/config.json").read_text()) | {"force_upcast": True}
    (folder / "vae/config.json").write_text(json.dumps(config))
    assert load_checkpoint(folder, dtype=torch.float16)["vae"].dtype == torch.float32


def test_casting_the_pipeline_does_not_round_the_vae():
    pipe = TryOnPipeline(**load_checkpoint(CHECKPOINT))
    with torch.no_grad():
        pipe.vae.quant_conv.bias.fill_(1 / 3)
    pipe.to(torch.bfloat16)
    assert pipe.unet.dtype == torch.bfloat16
    assert pipe.vae.quant_conv.bias[0].item() == torch.tensor(1 / 3).item()
    pipe.vae.half()
    assert pipe.to("cpu").vae.dtype == torch.float16, "moving is not casting"


def test_a_half_precision_vae_that_overflows_decodes_again_in_float32():
    vae = load_checkpoint(CHECKPOINT, dtype=torch.float16)["vae"]
    latents = torch.randn(1, 4, 16, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(1000.0)
        overflown = vae.decode((latents * 1000 / vae.config.scaling_factor).half()).sample
        pictures = decode_latents(vae, latents * 1000)
        exact = decode_latents(copy.deepcopy(vae).float(), latents * 1000)
    assert not torch.isfinite(overflown).all()
    assert torch.isfinite(pictures).all()
    torch.testing.assert_close(pictures, exact)
    assert vae.dtype == torch.float16


@pytest.fixture
def training_parts(tmp_path):
    """The golden checkpoint taken apart: a 9-channel inpainting UNet, an SDXL UNet, an IP-Adapter file."""
    inpainting = shutil.copytree(CHECKPOINT, tmp_path / "inpainting")
    shutil.copytree(CHECKPOINT / "unet_encoder", tmp_path / "sdxl" / "unet")
    unet = load_checkpoint(CHECKPOINT)["unet"]
    tensors = {name: tensor.clone() for name, tensor in load_file(inpainting / UNET).items()}
    numbers = {ours: theirs for theirs, ours in ip_adapter_names(unet).items()}
    attention = {numbers[name]: tensors.pop(name) for name in list(tensors) if "_ip." in name}
    for name in [name for name in tensors if name.startswith("encoder_hid_proj.")]:
        del tensors[name]
    tensors["conv_in.weight"] = tensors["conv_in.weight"][:, :9].contiguous()
    save_file(tensors, inpainting / UNET)
    config = json.loads((inpainting / "unet/config.json").read_text())
    config |= {"in_channels": 9, "encoder_hid_dim": None, "encoder_hid_dim_type": None}
    (inpainting / "unet/config.json").write_text(json.dumps(config))
    adapter = {"image_proj": to_published(unet.encoder_hid_proj.state_dict()), "ip_adapter": attention}
    torch.save(adapter, tmp_path / "ip-adapter-plus.bin")
    return {
        "inpainting": inpainting,
        "garment": tmp_path / "sdxl",
        "ip_adapter": tmp_path / "ip-adapter-plus.bin",
        "image_encoder": inpainting / "image_encoder",
    }


def test_starts_from_the_parts(training_parts):
    golden, assembled = load_checkpoint(CHECKPOINT), load_training_parts(**training_parts)
    for net in ("unet", "unet_encoder"):
        expected, found = golden[net].state_dict(), assembled[net].state_dict()
        assert expected.keys() == found.keys()
        for name in expected.keys() - {"conv_in.weight"}:
            assert torch.equal(expected[name], found[name]), name
    weight = assembled["unet"].conv_in.weight
    assert torch.equal(weight[:, :9], golden["unet"].conv_in.weight[:, :9])
    assert weight[:, 9:].abs().max() == 0
    TryOnPipeline(**assembled)


def test_an_adapter_for_another_unet_is_refused(training_parts):
    adapter = torch.load(training_parts["ip_adapter"], weights_only=True)
    adapter["ip_adapter"]["999.to_k_ip.weight"] = adapter["ip_adapter"].pop("1.to_k_ip.weight")
    torch.save(adapter, training_parts["ip_adapter"])
    with pytest.raises(WeightsError) as caught:
        load_training_parts(**training_parts)
    assert "ip_adapter.999.to_k_ip.weight" in str(caught.value)
    assert "attn2.processor.to_k_ip.weight" in str(caught.value)


def test_ip_adapter_numbers_fit_the_published_shapes():
    """The file's numbering is down, up, mid; shapes of the full-size file tell (the manifest)."""
    from diffusers import UNet2DConditionModel

    from golden_data import GOLDEN
    from idmvton.models.tryon_net import TryonNet
    from test_models import SDXL, SDXL_ADDED

    manifest = json.loads((GOLDEN / "full_size_manifest.json").read_text())
    with torch.device("meta"):
        net = TryonNet.from_config(SDXL | SDXL_ADDED)
    assert isinstance(net, UNet2DConditionModel)
    names = ip_adapter_names(net)
    assert names.keys() == manifest["ip_adapter"].keys()
    assert all(manifest["unet"][names[name]] == shape for name, shape in manifest["ip_adapter"].items())
