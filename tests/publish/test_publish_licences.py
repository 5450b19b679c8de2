"""Which licences allow what."""

from __future__ import annotations

import pytest

from vidpretrain.publish.licences import objection, plain, refusals


@pytest.mark.parametrize(
    ("given", "name"),
    [("Apache License 2.0", "apache-2.0"), ("CC BY 4.0", "cc-by-4.0"), (" MIT ", "mit"), ("", "unknown")],
)
def test_names_are_spelled_as_the_hub_does(given, name):
    assert plain(given) == name


@pytest.mark.parametrize(
    ("source", "result", "words"),
    [
        ("MIT", "apache-2.0", None),
        ("generated", "apache-2.0", None),
        ("CC-BY-4.0", "cc-by-nc-4.0", None),
        ("cc-by-sa-4.0", "apache-2.0", "same licence"),
        ("cc-by-sa-4.0", "cc-by-sa-4.0", None),
        ("cc-by-nc-4.0", "apache-2.0", "commercial"),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", None),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", "same licence"),
        ("cc-by-nd-4.0", "apache-2.0", "works made from it"),
        ("cc-by-nc-nd-4.0", "cc-by-nc-4.0", "works made from it"),
        ("unknown", "apache-2.0", "wrote down"),
        ("All rights reserved", "apache-2.0", "not in the table"),
    ],
)
def test_what_a_source_says_to_a_result(source, result, words):
    why = objection(source, result)
    assert why is None if words is None else words in why


def test_accepted_licences_are_let_through_under_any_spelling():
    sources = [("a", "CC BY-NC 4.0"), ("b", "unknown"), ("c", "mit")]
    assert [one.source for one in refusals(sources, "apache-2.0")] == ["a", "b"]
    assert [one.source for one in refusals(sources, "apache-2.0", ["cc-by-nc-4.0"])] == ["b"]
