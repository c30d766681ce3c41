"""LoRA files on TryonNet: every spelling of its layers, against diffusers with peft; on, off, and what does not fit."""

import hashlib

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin
from safetensors.torch import save_file
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.checkpoint.lora import read_lora
from idmvton.cli import app
from idmvton.engine.loading import lora_files
from idmvton.errors import ConfigError, WeightsError
from idmvton.models.changed_weights import ChangedWeights

ATTENTION = "up_blocks.0.attentions.1.transformer_blocks.0."
IN_SDXL = {
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
    "down_blocks.1.resnets.0.time_emb_proj": "input_blocks_4_0_emb_layers_1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
    "mid_block.attentions.0.proj_in": "middle_block_1_proj_in",
    "mid_block.resnets.1.conv2": "middle_block_2_out_layers_3",
    ATTENTION + "attn2.to_out.0": "output_blocks_1_1_transformer_blocks_0_attn2_to_out_0",
    ATTENTION + "ff.net.0.proj": "output_blocks_1_1_transformer_blocks_0_ff_net_0_proj",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_2_2_conv",
    "up_blocks.1.resnets.2.conv_shortcut": "output_blocks_5_0_skip_connection",
}
"""Layers of a UNet of SDXL's kind with two levels -> their names in SDXL's own code, as kohya writes them."""


@pytest.fixture(scope="module")
def stock():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=2, cross_attention_dim=12, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1, attention_head_dim=2, use_linear_projection=True,
    ).eval()  # fmt: skip


def halves(network, layers, rank=3):
    """Layer -> down and up, as kohya shapes them."""
    generator = torch.Generator().manual_seed(1)
    for layer in layers:
        weight = network.get_submodule(layer).weight
        down = torch.randn(rank, *weight.shape[1:], generator=generator)
        up = torch.randn(weight.shape[0], rank, *[1] * (weight.dim() - 2), generator=generator)
        yield layer, down, up


def write(file, network, spelling, layers=IN_SDXL, alpha=None):
    tensors = {}
    for layer, down, up in halves(network, layers):
        name, kind = layer, spelling
        if spelling == "kohya":
            name = f"lora_unet_{layer.replace('.', '_')}"
        elif spelling == "SDXL":
            name, kind = f"lora_unet_{IN_SDXL[layer]}", "kohya"
        first, second = ("lora_down", "lora_up") if kind == "kohya" else ("lora_A", "lora_B")
        name = f"unet.{name}" if kind == "diffusers" else f"base_model.model.{name}" if kind == "peft" else name
        if kind == "old" and ".attn" in layer:
            name = layer.replace(".to_", ".processor.to_").removesuffix(".0") + "_lora"
            first, second = "down", "up"
        elif kind == "old":
            first, second = "lora.down", "lora.up"
        tensors |= {f"{name}.{first}.weight": down, f"{name}.{second}.weight": up}
        if alpha is not None:
            tensors[f"{name}.alpha"] = torch.tensor(float(alpha))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    return tensors


def output(network):
    generator = torch.Generator().manual_seed(2)
    sample, text = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 5, 12, generator=generator)
    with torch.no_grad():
        return network(sample, 10, text).sample


@pytest.mark.parametrize("spelling", ["peft", "diffusers", "old", "kohya", "SDXL"])
def test_every_spelling_names_the_same_layers(tmp_path, stock, spelling):
    write(tmp_path / "lora.safetensors", stock, spelling, alpha=1.5)
    changes = read_lora(tmp_path / "lora.safetensors", stock)
    assert changes.keys() == {f"{layer}.weight" for layer in IN_SDXL}
    for layer, down, up in halves(stock, IN_SDXL):
        expected = 0.5 * torch.einsum("or...,ri...->oi...", up, down)
        assert torch.allclose(changes[f"{layer}.weight"].dense(), expected, atol=1e-5)


@pytest.mark.parametrize("spelling", ["kohya", "SDXL"])
def test_what_diffusers_and_peft_make_of_the_same_file(tmp_path, stock, spelling):
    tensors = write(tmp_path / "lora.safetensors", stock, spelling, alpha=2)
    plain = output(stock)
    read, alphas = StableDiffusionXLLoraLoaderMixin.lora_state_dict(dict(tensors), unet_config=stock.config)
    stock.load_lora_adapter(read, network_alphas=alphas, prefix="unet")
    theirs = output(stock)
    stock.unload_lora()
    changed = ChangedWeights(lambda: {"unet": stock})
    differences = read_lora(tmp_path / "lora.safetensors", stock)
    changed.put_on("lora", {f"unet.{name}": each for name, each in differences.items()})
    assert torch.allclose(output(stock), theirs, atol=1e-5)
    assert not torch.allclose(theirs, plain, atol=1e-2)
    changed.take_off("lora")
    assert torch.equal(output(stock), plain)


@pytest.fixture
def file(tmp_path, untouched):
    """A file that changes the attention of the golden TryonNet."""
    layers = [name for name, _ in untouched.unet.named_modules() if name.endswith((".to_q", ".to_v"))]
    write(tmp_path / "lcm.safetensors", untouched.unet, "kohya", layers, alpha=1)
    return tmp_path / "lcm.safetensors"


def test_put_on_and_taken_off_a_pipeline(own_pipe, one_call, file):
    pipe = own_pipe
    before = {name: each.clone() for name, each in pipe.unet.state_dict().items()}
    plain = pipe(**one_call).images[0]
    pipe.loras.put_on(file, 0.5)
    result = pipe(**one_call)
    assert np.abs(np.asarray(result.images[0], float) - np.asarray(plain)).max() > 1
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert result.provenance()["made_with"]["lora"] == f"lcm.safetensors at {digest}, scale 0.5"
    loaded = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu", lora=[(file, 0.5)])
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(loaded(**one_call).images[0], result.images[0])
    pipe.loras.take_off(file)
    assert all(torch.equal(each, before[name]) for name, each in pipe.unet.state_dict().items())
    again = pipe(**one_call)
    assert np.array_equal(again.images[0], plain)
    assert "lora" not in again.made_with


def test_conv_in_of_a_net_without_person_conditions_goes_to_the_noisy_latents(tmp_path, untouched):
    weight = untouched.unet.conv_in.weight
    down, up = torch.randn(2, 4, *weight.shape[2:]), torch.randn(weight.shape[0], 2, 1, 1)
    save_file({"unet.conv_in.lora_A.weight": down, "unet.conv_in.lora_B.weight": up}, tmp_path / "lora.safetensors")
    dense = read_lora(tmp_path / "lora.safetensors", untouched.unet)["conv_in.weight"].dense()
    assert dense.shape == weight.shape
    assert dense[:, :4].any()
    assert not dense[:, 4:].any()


def damage(file, untouched, name, tensor):
    good = "lora_unet_mid_block_attentions_0_proj_in"
    weight = untouched.unet.get_submodule("mid_block.attentions.0.proj_in").weight
    tensors = {f"{good}.lora_down.weight": torch.zeros(2, weight.shape[1]),
               f"{good}.lora_up.weight": torch.zeros(weight.shape[0], 2)}  # fmt: skip
    save_file(tensors | {name: tensor}, file)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "without its text encoders"),
        ("lora_unet_down_blocks_9_attentions_0_proj_in.lora_down.weight", "down_blocks_9"),
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", "LoHa"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", r"\[3, 7\] times"),
        ("lora_unet_mid_block_attentions_0_proj_out.lora_up.weight", "without their other half"),
        ("conv_in.weight", "not known"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, untouched, name, words):
    damage(tmp_path / "lora.safetensors", untouched, name, torch.zeros(3, 7))
    with pytest.raises(WeightsError, match=words):
        read_lora(tmp_path / "lora.safetensors", untouched.unet)


def test_scales():
    given = ["a.safetensors", "b.safetensors=0.6", "x=y/c.bin"]
    assert lora_files(given) == [("a.safetensors", 1.0), ("b.safetensors", 0.6), ("x=y/c.bin", 1.0)]
    with pytest.raises(ConfigError, match="cannot be read"):
        lora_files(["a.safetensors=much"])


def test_the_command_line_refuses_a_missing_file_before_it_loads_anything(file):
    missing = file.with_name("none.safetensors")
    runner = CliRunner(env={"COLUMNS": "300"})
    result = runner.invoke(app, ["try-on", "a.png", "b.png", "-o", "c.png", "--lora", f"{missing}=0.5"])
    assert result.exit_code == 1
    assert "none.safetensors" in result.stderr
