"""Keypoint sets."""

import pytest

from vidpretrain import skeletons
from vidpretrain.errors import UnknownName


@pytest.mark.parametrize("name", ["hand21", "body33", "human75", "hand21_left"])
def test_names_are_unique_bones_in_range_and_mirror_is_an_involution(name):
    s = skeletons.skeleton(name)
    assert len(set(s.names)) == len(s) == int(name.removesuffix("_left")[-2:])
    assert all(0 <= a < len(s) and 0 <= b < len(s) and a != b for a, b in s.bones)
    assert [s.mirror[i] for i in s.mirror] == list(range(len(s)))


def test_hand_slices_and_fingertips():
    human = skeletons.skeleton("human75")
    assert human.names[skeletons.LEFT_HAND_SLICE][0] == "left_hand_wrist"
    assert human.names[skeletons.RIGHT_HAND_SLICE][0] == "right_hand_wrist"
    assert next(skeletons.HAND_NAMES[i] for i in skeletons.FINGERTIPS) == "thumb_tip"
    assert human.mirror[33] == 54


def test_unknown_names_list_what_exists():
    with pytest.raises(UnknownName, match="did you mean 'left_hip'"):
        skeletons.skeleton("body33").index("left_hipp")
    with pytest.raises(UnknownName, match="human75"):
        skeletons.skeleton("smpl")
