"""What sources allow. Not legal advice: a table of common licences, and everything else is asked about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OPEN = {
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0", "cc0-1.0", "public-domain", "pddl", "odc-by"),
    *("cc-by", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "unlicense", "isc", "zlib"),
    "generated",  # rendered by this toolkit
}
_SAME = re.compile(r"cc-by-sa(-[\d.]+)?|odbl(-[\d.]+)?|gpl-[\d.]+|lgpl-[\d.]+|agpl-[\d.]+")
_NONCOMMERCIAL = re.compile(r"cc-by-nc(-sa)?(-[\d.]+)?")
_WORDS = {
    "apache": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "mit license": "mit",
    "the mit license": "mit",
    "cc by 4.0": "cc-by-4.0",
    "public domain": "public-domain",
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A source that may not be in what is published, and why."""

    source: str
    license: str
    why: str


def plain(name: str) -> str:
    """A licence's name as the Hub spells it: lower case, dashes; "" becomes "unknown"."""
    words = " ".join(name.strip().lower().split())
    words = _WORDS.get(words, words)
    return words.replace(" ", "-").replace("_", "-") or "unknown"


def objection(license: str, result: str) -> str | None:
    """Why material under `license` may not go into a result under `result`; None where it may."""
    mine, theirs = plain(result), plain(license)
    if theirs in _OPEN:
        return None
    if _SAME.fullmatch(theirs):
        return None if mine == theirs else f"it asks for the same licence: publish.license={theirs}"
    if _NONCOMMERCIAL.fullmatch(theirs):
        if "-sa" in theirs:
            return None if mine == theirs else f"it asks for the same licence: publish.license={theirs}"
        return None if _NONCOMMERCIAL.fullmatch(mine) else f"it forbids commercial use: publish.license={theirs}"
    if "-nd" in theirs:
        return "it forbids works made from it"
    if theirs == "unknown":
        return "nobody wrote down its licence"
    return "this licence is not in the table of those that allow it"


def refusals(sources: Iterable[tuple[str, str]], result: str, accept: Iterable[str] = ()) -> list[Refusal]:
    """One refusal for each (source, licence) that does not allow the result and is not among `accept`."""
    accepted = {plain(name) for name in accept}
    found = []
    for source, license in sources:
        why = objection(license, result)
        if why is not None and plain(license) not in accepted:
            found.append(Refusal(source=source, license=license or "unknown", why=why))
    return found
