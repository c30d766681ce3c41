"""Restated backbones and perceptual distances: public names and shapes, and the outputs of an independent form."""

import pickle

import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional.image
from torchmetrics.functional.image.lpips import ScalingLayer

from idmvton.errors import ConfigError, InputError, WeightsError
from idmvton.evaluate.backbones import CHANNELS, BlurPool, build, build_shift_tolerant
from idmvton.evaluate.perceptual import PerceptualDistance, read_pickled_tensors

ALEX = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
VGG = dict(
    zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        [
            (out, into, 3, 3)
            for into, out in (
                *((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)),
                *((256, 512), (512, 512), (512, 512), (512, 512), (512, 512), (512, 512)),
            )
        ],
        strict=True,
    )
)
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128), 9: (256, 48, 192)}
FIRES |= {10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def with_biases(convolutions):
    return {f"features.{n}.weight": shape for n, shape in convolutions.items()} | {
        f"features.{n}.bias": shape[:1] for n, shape in convolutions.items()
    }


def test_names_and_shapes_are_those_of_the_public_files():
    assert shapes(build("alex")) == with_biases(ALEX)
    assert shapes(build("vgg")) == with_biases(VGG)
    expected = with_biases({0: (64, 3, 3, 3)})
    for number, (into, squeezed, expanded) in FIRES.items():
        for part, shape in {
            "squeeze": (squeezed, into, 1, 1),
            "expand1x1": (expanded, squeezed, 1, 1),
            "expand3x3": (expanded, squeezed, 3, 3),
        }.items():
            expected[f"features.{number}.{part}.weight"] = shape
            expected[f"features.{number}.{part}.bias"] = shape[:1]
    assert shapes(build("squeeze")) == expected


@pytest.mark.parametrize("name", ["alex", "vgg", "squeeze"])
def test_features_have_the_channels_that_the_heads_read(name):
    picture = torch.rand(1, 3, 64, 48)
    assert tuple(each.shape[1] for each in build(name)(picture)) == CHANNELS[name]


def relu_conv(x, tensors, number, **kwargs):
    return F.relu(F.conv2d(x, tensors[f"features.{number}.weight"], tensors[f"features.{number}.bias"], **kwargs))


def alex_restated(x, tensors):
    first = relu_conv(x, tensors, 0, stride=4, padding=2)
    second = relu_conv(F.max_pool2d(first, 3, 2), tensors, 3, padding=2)
    third = relu_conv(F.max_pool2d(second, 3, 2), tensors, 6, padding=1)
    fourth = relu_conv(third, tensors, 8, padding=1)
    return first, second, third, fourth, relu_conv(fourth, tensors, 10, padding=1)


def test_alexnet_agrees_with_an_independent_form():
    network, picture = build("alex"), torch.rand(2, 3, 80, 64)
    for ours, theirs in zip(network(picture), alex_restated(picture, network.state_dict()), strict=True):
        assert torch.equal(ours, theirs)


def test_lpips_agrees_with_an_independent_form(tmp_path):
    torch.manual_seed(1)
    network = build("alex")
    torch.save(network.state_dict() | {"classifier.1.weight": torch.rand(3, 3)}, tmp_path / "alex.pth")
    metric = PerceptualDistance.lpips("alex", tmp_path / "alex.pth")
    first, second = torch.rand(2, 2, 3, 80, 64) * 2 - 1
    heads = torch.load(
        f"{torchmetrics.functional.image.__path__[0]}/lpips_models/alex.pth", map_location="cpu", weights_only=True
    )
    scaling = ScalingLayer()
    expected = torch.zeros(2)
    pair = [scaling(each) for each in (first, second)]

    def unit(features):
        return features / (features.pow(2).sum(1, keepdim=True) + 1e-8).sqrt()

    features = zip(*(alex_restated(each, network.state_dict()) for each in pair), strict=True)
    for number, (one, two) in enumerate(features):
        gap = (unit(one) - unit(two)) ** 2
        expected += (gap * heads[f"lin{number}.model.1.weight"]).sum(1).mean((1, 2))
    assert torch.allclose(metric(first, second), expected, atol=1e-6)
    assert metric(first, first).abs().max() == 0


def test_shift_tolerant_pooling_blurs_before_it_skips():
    picture = torch.rand(1, 2, 9, 8, dtype=torch.float64)
    pool = BlurPool(2).double()
    padded = F.pad(picture, (2, 2, 2, 2), mode="reflect")
    row = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    blurred = (row[..., :-2, :] + 2 * row[..., 1:-1, :] + row[..., 2:, :]) / 4
    assert torch.allclose(pool(picture), blurred[..., ::2, ::2])


def test_a_shift_matters_less_to_the_shift_tolerant_network(st_lpips):
    torch.manual_seed(0)
    wide = F.interpolate(torch.rand(1, 3, 20, 20), size=(97, 97), mode="bicubic") * 2 - 1
    here, moved = wide[..., 1:, 1:], wide[..., :-1, 1:]
    tolerant = PerceptualDistance.shift_tolerant("alex", st_lpips)
    other = torch.rand_like(here) * 2 - 1
    assert tolerant(here, here) == 0
    assert tolerant(here, moved) < tolerant(here, other) / 5


def test_other_files_are_refused_by_name(tmp_path):
    torch.save(build_shift_tolerant("alex").state_dict(), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net.pth does not hold the weights"):
        PerceptualDistance.lpips("alex", tmp_path / "net.pth")
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    with pytest.raises(WeightsError, match=r"page.pth cannot be read"):
        read_pickled_tensors(tmp_path / "page.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pickled_tensors(tmp_path / "missing.pth")


class Hostile:
    def __reduce__(self):
        return (open, ("/tmp/idmvton-was-here", "w"))


def test_nothing_in_a_file_is_run(tmp_path):
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"features.0.weight": Hostile()}))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pickled_tensors(tmp_path / "bad.pth")
    torch.save({"a": [1, 2]}, tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="other things than tensors"):
        read_pickled_tensors(tmp_path / "list.pth")


def test_pictures_that_cannot_be_compared_are_refused(st_lpips):
    metric = PerceptualDistance.shift_tolerant("alex", st_lpips)
    with pytest.raises(InputError, match="cannot be compared"):
        metric(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 32))
    with pytest.raises(InputError, match="too small"):
        metric(torch.zeros(1, 3, 16, 64), torch.zeros(1, 3, 16, 64))
    with pytest.raises(ConfigError, match="unknown backbone"):
        build("resnet")
