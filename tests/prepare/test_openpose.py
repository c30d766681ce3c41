"""OpenPose's body model: golden numbers, several people, files that are something else."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from golden_data import GOLDEN
from idmvton.errors import WeightsError
from idmvton.prepare.backends.openpose.decoding import decode, published_points
from idmvton.prepare.backends.openpose.estimator import OpenPose
from idmvton.prepare.backends.openpose.network import BodyNet, load_body_net
from idmvton.prepare.backends.openpose.picture import maps_of_picture, network_input, working_picture
from idmvton.prepare.self_test.openpose import check_openpose, formula_weights

FOLDER = GOLDEN / "openpose"


@pytest.fixture(scope="module")
def maps():
    return load_file(FOLDER / "decode_cases.safetensors")


def people_of(maps, name, size=(512, 384)):
    source = network_input(np.zeros((*size, 3), np.uint8)).size
    kinds = (maps[f"{name}.in.{kind}"].astype(np.float32) for kind in ("heatmaps", "pafs"))
    return decode(*(maps_of_picture(each, source, size) for each in kinds))


def test_everything_agrees_with_the_published_code():
    checks = list(check_openpose(FOLDER, "dev"))
    assert len(checks) > 40
    assert [each for each in checks if each[1] > each[2]] == []


def test_the_demo_mixes_people_up_and_the_decoder_does_not(maps):
    found = people_of(maps, "two_people_mixed")
    intended = maps["two_people_mixed.out.first_person"]
    assert np.array_equal(found.points(0), intended)
    assert (published_points(found) != intended).any(1).nonzero()[0].tolist() == [11, 14, 15, 16, 17]


def test_a_field_that_points_backwards_joins_nobody(maps):
    found = people_of(maps, "one_clear")
    heatmaps, fields = maps["one_clear.in.heatmaps"], -maps["one_clear.in.pafs"]
    source = network_input(np.zeros((512, 384, 3), np.uint8)).size
    turned = decode(*(maps_of_picture(each.astype(np.float32), source, (512, 384)) for each in (heatmaps, fields)))
    assert len(found.people) == 1
    assert len(turned.people) == 0


class Canned(OpenPose):
    """The backend with a network that says what a golden case says, whatever it is shown."""

    def __init__(self, maps, name):
        self.canned = [maps[f"{name}.in.{kind}"].astype(np.float32)[None] for kind in ("pafs", "heatmaps")]

    def maps(self, pictures):
        return tuple(self.canned)


def test_everybody_is_told_the_largest_first_in_pixels_of_the_photo(maps):
    poses = Canned(maps, "two_people_mixed")(np.zeros((1024, 768, 3), np.uint8))
    assert len(poses) == 2
    areas = [np.prod(np.ptp(pose.points[pose.visibility > 0], axis=0)) for pose in poses]
    assert areas == sorted(areas, reverse=True)
    intended = maps["two_people_mixed.out.first_person"]
    nearest = min(np.abs(pose.points - (intended + 0.5) * 2).max() for pose in poses)
    assert nearest < 1e-3
    assert all(0.4 <= pose.confidence <= 1 for pose in poses)


def test_missing_joints_are_not_seen(maps):
    (pose,) = Canned(maps, "half_body")(np.zeros((512, 384, 3), np.uint8))
    assert (pose.visibility == 0).nonzero()[0].tolist() == [6, 7, 9, 10, 12, 13, 17]
    assert not pose.points[pose.visibility == 0].any()


@pytest.mark.parametrize("name", ["nobody_noise", "nobody_peaks"])
def test_nobody(maps, name):
    assert Canned(maps, name)(np.zeros((512, 384, 3), np.uint8)) == ()


def test_people_who_are_small_are_read_again_from_nearer(maps):
    asked = []

    class Counting(Canned):
        def maps(self, pictures):
            asked.append(pictures[0].values.shape)
            return super().maps(pictures)

    whole = Counting(maps, "one_clear")
    whole(np.zeros((512, 384, 3), np.uint8))
    assert len(asked) == 1
    assert (
        whole._nearer(np.zeros((512, 384, 3), np.uint8), whole._found(np.zeros((512, 384, 3), np.uint8))[0]) is not None
    )
    assert len(asked) == 3


@pytest.mark.parametrize("shape", [(40, 1600), (1600, 40), (64, 64), (1365, 2048)])
def test_long_photos_stay_cheap(shape):
    source = network_input(working_picture(np.zeros((*shape, 3), np.uint8)))
    assert source.values.shape[1] % 8 == source.values.shape[2] % 8 == 0
    assert source.values[0].size <= 4 * 200 * 200


def test_a_file_loads_without_running_its_code(tmp_path):
    tensors = formula_weights(FOLDER, "dev")
    torch.save(tensors, tmp_path / "body_pose_model.pth")
    network = load_body_net(tmp_path / "body_pose_model.pth")
    assert torch.equal(network.get_parameter("Mconv7_stage6_L2.bias"), tensors["Mconv7_stage6_L2.bias"])
    assert not any(each.requires_grad for each in network.parameters())


def test_other_files_are_named(tmp_path):
    path = tmp_path / "body_pose_model.pth"
    with pytest.raises(WeightsError, match="there is no file"):
        load_body_net(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\nsize 209267595\n")
    with pytest.raises(WeightsError, match="git-lfs pointer"):
        load_body_net(path)
    path.write_text("<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(WeightsError, match="web page"):
        load_body_net(path)
    torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match="does not hold OpenPose's body network") as caught:
        load_body_net(path)
    assert "idmvton weights get openpose-body" in str(caught.value)
    torch.save({"conv1_1.weight": BodyNet}, path)
    with pytest.raises(WeightsError, match="its code was not run"):
        load_body_net(path)
