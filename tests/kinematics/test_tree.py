"""The tree: digest, checks, mimic couplings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain.errors import UnknownName
from vidpretrain.tree import Tree


def chain(**changes) -> Tree:
    identity = np.array([1.0, 0, 0, 0, 0, 0, 0.1])
    fields = {
        "joint_names": ("a", "b", "c"),
        "kind": ("hinge", "hinge", "slide"),
        "parent": np.array([-1, 0, 1]),
        "T_parent_zero": np.stack([identity] * 3),
        "axis": np.eye(3),
        "lower": np.array([-1.0, -1.0, 0.0]),
        "upper": np.array([2.0, 1.0, 0.6]),
        "mimic_source": np.array([-1, -1, 0]),
        "mimic_ratio": np.array([1.0, 1.0, 0.5]),
        "mimic_offset": np.array([0.0, 0.0, 0.1]),
        "site_names": ("tip",),
        "site_joint": np.array([2]),
        "T_joint_site": identity[None],
    }
    return Tree(**{**fields, **changes})


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Tree)])
def test_digest_changes_with_every_field(field):
    tree = chain()
    changed = {
        "joint_names": ("a", "b", "d"),
        "kind": ("hinge", "slide", "slide"),
        "parent": np.array([-1, 0, 0]),
        "mimic_source": np.array([-1, -1, 1]),
        "site_names": ("top",),
        "site_joint": np.array([1]),
    }
    value = changed.get(field)
    if value is None:
        value = getattr(tree, field) + 1e-9
    assert chain(**{field: value}).digest != tree.digest
    assert chain().digest == tree.digest


def test_mimic_joints_follow_and_narrow_their_source():
    tree = chain()
    q = tree.with_mimic(np.array([[0.4, 0.0, 9.0], [1.0, 0.2, 9.0]]))
    np.testing.assert_allclose(q[:, 2], [0.3, 0.6])
    lower, upper = tree.bounds()
    np.testing.assert_allclose(lower, [-0.2, -1.0, 0.0])
    np.testing.assert_allclose(upper, [1.0, 1.0, 0.6])
    np.testing.assert_array_equal(tree.independent, [True, True, False])


def test_a_follower_of_a_source_at_its_bound_is_inside_exactly():
    random = np.random.default_rng(0)
    for _ in range(300):
        ratio, offset, width = random.normal(), random.normal(), random.uniform(0.1, 2)
        upper = np.array([9.0, 1.0, offset + width])
        lower = np.array([-9.0, -1.0, offset - width])
        tree = chain(lower=lower, upper=upper, mimic_ratio=np.array([1, 1, ratio]), mimic_offset=np.full(3, offset))
        for q in tree.bounds():
            assert lower[2] <= tree.with_mimic(q)[2] <= upper[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parent": np.array([-1, 1, 1])}, "before its parent"),
        ({"lower": np.array([3.0, -1, 0])}, "above upper"),
        ({"joint_names": ("a", "a", "c")}, "twice"),
        ({"axis": np.eye(3)[:2]}, "3 joints"),
        ({"site_joint": np.array([0, 1])}, "site_names"),
        ({"mimic_source": np.array([-1, 0, 1])}, "another mimic"),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        chain(**changes)


def test_names_become_indices():
    tree = chain()
    assert tree.joint("b") == 1
    np.testing.assert_array_equal(tree.joints(["c", "a"]), [2, 0])
    with pytest.raises(UnknownName, match="did you mean 'tip'"):
        tree.site("tib")
