"""Plans of clips: strict keys, the same from the same seed, splits that share nothing, groups as asked."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
import pytest

from vidpretrain import config as configuration
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.synth import GROUPS, SynthConfig, plan
from vidpretrain.synth.config import GroupName
from vidpretrain.synth.planning import motion_files, split_of
from vidpretrain.synth.pools import SPLITS

MANY = SynthConfig(clips=66, people=6, rooms=5)


def test_unknown_keys_and_bad_values_are_errors():
    assert configuration.build(SynthConfig, {"clips": 3, "split": "dev"}).clips == 3
    with pytest.raises(ConfigError, match="did you mean 'clips'"):
        configuration.build(SynthConfig, {"clps": 3})
    with pytest.raises(ConfigError, match="split"):
        configuration.build(SynthConfig, {"split": "test"})
    for wrong in ({"clips": 0}, {"fov_deg": [80, 60]}, {"width_px": 641}, {"groups": []}, {"groups": ["third_files"]}):
        with pytest.raises(ConfigError):
            configuration.build(SynthConfig, wrong)


def test_every_group_has_a_recipe():
    assert set(GROUPS) == set(typing.get_args(GroupName))


def test_the_same_seed_plans_the_same_and_another_one_another():
    assert plan(MANY) == plan(MANY)
    other = plan(dataclasses.replace(MANY, seed=1))
    assert not {spec.digest for spec in plan(MANY)} & {spec.digest for spec in other}
    longer = plan(dataclasses.replace(MANY, clips=70))
    assert longer[:66] == plan(MANY)
    wider = plan(dataclasses.replace(MANY, width_px=320))
    assert all(a.digest != b.digest for a, b in zip(plan(MANY), wider, strict=True))


def test_splits_share_no_person_room_camera_or_motion():
    found: dict[str, dict[str, set]] = {}
    for split in SPLITS:
        specs = [spec for seed in (0, 1, 7) for spec in plan(dataclasses.replace(MANY, split=split, seed=seed))]
        people = [person for spec in specs for person in spec.people]
        found[split] = {
            "body": {repr(dataclasses.replace(person.shape, sleeves="")) for person in people},
            "skin": {person.colours["skin"] for person in people},
            "person": {person.name for person in people},
            "room": {spec.room.name for spec in specs},
            "walls": {spec.room.half_m for spec in specs},
            "camera": {spec.camera.name for spec in specs},
            "lens": {spec.camera.fov_x_deg for spec in specs},
            "motion": {motion.name for spec in specs for motion in spec.motions},
            "draws": {motion.seed for spec in specs for motion in spec.motions},
            "clip": {spec.digest for spec in specs},
        }
    for what in found["train"]:
        sets = [found[split][what] for split in SPLITS]
        assert all(sets)
        assert sum(map(len, sets)) == len(set.union(*sets)), f"splits share a {what}"


def test_people_differ_and_colours_are_colours():
    people = {person.name: person for spec in plan(MANY) for person in spec.people}
    assert len(people) == 6
    ages = [person.shape.age for person in people.values()]
    assert np.ptp(ages) > 0.1
    for person in people.values():
        assert all(0 <= value <= 1 for colour in person.colours.values() for value in colour)


def test_groups_are_what_they_say():
    every = plan(dataclasses.replace(MANY, groups=tuple(g for g in GROUPS if g != "third_files"), clips=46))
    by_group = {spec.group: spec for spec in every[:23]}
    assert [spec.group for spec in every[:23]] == [spec.group for spec in every[23:]]
    assert len(by_group["two_people"].people) == 2
    assert len({person.name for person in by_group["two_people"].people}) == 2
    assert by_group["empty"].people == () == by_group["empty"].motions
    assert by_group["third_gloves"].people[0].glove is not None
    assert by_group["third"].people[0].glove is None
    assert by_group["head_sleeves"].people[0].sleeves == "over_hand"
    assert by_group["third_blur"].picture.shutter > 0.5
    assert by_group["third_noise"].picture.noise > 8
    assert by_group["third_noise"].picture.crf == 30
    assert by_group["third_occluded"].occluder
    assert 60 <= abs(np.degrees(by_group["third_side"].camera.azimuth_rad)) <= 100
    assert {spec.camera.kind for spec in every if spec.group == "empty"} == {"third", "head"}
    lenses = [spec.camera.fov_x_deg for spec in every]
    assert min(lenses) >= 50
    assert max(lenses) <= 110


def test_a_still_head_camera_sees_what_a_moving_one_sees():
    moving, still = plan(dataclasses.replace(MANY, groups=("head_moving", "head_still"), clips=2))
    assert (moving.people, moving.motions, moving.room) == (still.people, still.motions, still.room)
    assert dataclasses.replace(still.camera, frozen=False) == moving.camera
    assert still.camera.frozen
    assert moving.digest != still.digest


def test_motion_files_are_shared_out_by_name(tmp_path):
    names = [f"walk_{i}.npz" for i in range(200)]
    share = [split_of(name) for name in names]
    assert 130 < share.count("train") < 190
    assert {"train", "dev", "held"} == set(share)
    (tmp_path / "deep").mkdir()
    for name in names[:40]:
        (tmp_path / "deep" / name).write_bytes(name.encode())
    config = SynthConfig(groups=("third_files",), motion_files=tmp_path, clips=3)
    own = {split: motion_files(dataclasses.replace(config, split=split)) for split in SPLITS}
    assert sum(map(len, own.values())) == 40
    assert len(set().union(*own.values())) == 40
    chosen = plan(config)[0].motions[0]
    assert split_of(chosen.name) == "train"
    elsewhere = tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert (
        plan(dataclasses.replace(config, motion_files=elsewhere))[0].digest
        == plan(config_at(config, elsewhere))[0].digest
    )
    with pytest.raises(InputError, match="no such folder"):
        plan(config)
    empty = tmp_path.with_name("empty")
    empty.mkdir()
    with pytest.raises(InputError, match="no motion file"):
        plan(config_at(config, empty))


def config_at(config: SynthConfig, folder) -> SynthConfig:
    return dataclasses.replace(config, motion_files=folder)
