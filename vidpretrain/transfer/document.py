"""The page of results: made from the lines alone, so that no figure on it can be older than its cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidpretrain.transfer.figures import table
from vidpretrain.transfer.tuning import grid

Lines = Sequence[dict[str, Any]]
_INTRO = """# Few-demo transfer

Made by `scripts/bench/transfer.py --docs docs/results/transfer.md` from `transfer.jsonl`, a line per cell: do not edit.
Success in closed loop over the same starts for every arm; intervals (95 %) are bootstrapped over demonstration sets and
starts, differences paired over both. **With one set an interval is over starts alone**, and another set of
demonstrations may differ by more than it says; with fewer than five it says little about sets."""


def page(lines: Lines, tuned: Lines = (), earlier: Lines = (), rows: Sequence[dict[str, Any]] = ()) -> str:
    """Markdown: the bars, the cells of the present configuration, the grid of rates, cells of other configurations."""
    parts = [_INTRO]
    if rows:
        parts.append("## What is asked for\n\n" + _bars(rows))
    for title, chosen in _sections(lines):
        parts.append(f"## {title}\n\n{_table(chosen)}")
    if tuned:
        parts.append("## Rates of learning\n\n" + _grid(tuned))
    for digest in dict.fromkeys(line["config"] for line in earlier):
        own = [line for line in earlier if line["config"] == digest]
        codes = ", ".join(dict.fromkeys(line["code"] for line in own))
        notes = "; ".join(dict.fromkeys(line["note"] for line in own if line.get("note")))
        said = f"Code {codes}.{f' {notes[0].upper()}{notes[1:]}.' if notes else ''}"
        parts.append(f"## Of another configuration ({digest})\n\n{said} {_table(own)}")
    return "\n\n".join(parts) + "\n"


def _sections(lines: Lines) -> list[tuple[str, Lines]]:
    levels = sorted({line["level"] for line in lines if line["arm"] != "scratch"}) or [1]
    return [
        (f"Arms, people of level {level}", [x for x in lines if x["arm"] == "scratch" or x["level"] == level])
        for level in levels
        if lines
    ]


def _table(lines: Lines) -> str:
    head = ["arm", "demonstrations", "sets", "in distribution", "difference", "all axes shifted", "difference"]
    found: dict[tuple, dict[str, dict[str, Any]]] = {}
    for row in table(lines):
        found.setdefault((row["demos"], row["arm"], row["flip"], row["recipe"]), {})[row["where"]] = row
    out = []
    for (demos, arm, flip, recipe), by_place in found.items():
        name = arm + (f", {flip} the other way round" if flip else "") + (f", kept by {recipe}" if recipe else "")
        sets = str(next(iter(by_place.values()))["sets"])
        cells = [words for where in ("in", "out") for words in _cells(by_place.get(where))]
        out.append([name, str(demos), sets, *cells])
    tasks = sorted({task for line in lines for task in line["tasks"]})
    starts = sorted({line["starts"] for line in lines})
    said = f"Tasks: {', '.join(tasks)}; {', '.join(map(str, starts))} starts. "
    said += "Differences are to scratch, or to the arm as it is."
    return f"{said}\n\n{markdown(head, out)}"


def _cells(row: dict[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    own = f"{_short(row['success'])} [{_short(row['low'])}, {_short(row['high'])}]"
    if row["gain"] is None:
        return own, ""
    return own, f"{row['gain']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}]"


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if value < 1 else "1"


def _grid(lines: Lines) -> str:
    by_arm = grid(lines)
    rates = sorted({lr for found in by_arm.values() for lr in found})
    body = [
        [arm, *(f"{found[lr]['success']:.3f} ({found[lr]['sets']:.0f})" if lr in found else "" for lr in rates)]
        for arm, found in by_arm.items()
    ]
    said = "Success on demonstrations and starts that no cell uses (sets in brackets), by rate:"
    return f"{said}\n\n{markdown(['arm', *(f'{lr:g}' for lr in rates)], body)}"


def _bars(rows: Sequence[dict[str, Any]]) -> str:
    head, body = ["figure", "value", "interval", "bar", "met", "evidence"], []
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.3g} {row['unit']}".strip()
        ends = [("" if end is None else f"{end:.3g}") for end in (row["low"], row["high"])]
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        body.append(
            [row["name"], value, f"{ends[0]} to {ends[1]}" if any(ends) else "", row["bar"] or "", met, row["note"]]
        )
    return markdown(head, body)


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
