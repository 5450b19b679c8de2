"""The page of 'make robots-table': per robot the medians over motions and the worst motion, for people to read."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

_GROUPS = (
    ("body", "Whole bodies: {count} motions of people, hands not seen"),
    ("clip", "Real clips: {count} stretches of video, bodies and hands where they were seen"),
    ("hand", "Hands: {count} track of 21 points"),
)
_VERDICTS = ("feasible", "doubtful", "infeasible")


def document(
    rows: list[dict[str, Any]],
    missing: list[str],
    left_out: list[str],
    undone: int,
    commit: str,
    settings: list[str],
) -> str:
    """The whole page as Markdown."""
    blocks = [
        "# Robots and motions\n\n"
        "All shipped robots on all motions, one thread: `make robots && make robots-table` writes this page again "
        "(it goes on where it was stopped; every row is in `runs/robots/robots.csv` and `.json`).\n\n"
        f"Commit {commit}, {said_of(settings)}. Medians over motions of each motion's median over frames and sides; "
        "*p95* is the median of "
        "the motions' 95th percentiles. *Colliding*: frames in which the robot is more than 5 mm inside itself, over "
        "all frames. *Verdict*: motions that are feasible / doubtful / infeasible by `vidpretrain.feasibility`; "
        "infeasible asks for more than a joint's torque, speed or limit, or collides, in more than 5 % of the frames. "
        "Frames/s is the time of `retarget` alone, on a machine that was doing other things too; the first motion on a "
        "robot is not the one that compiles."
    ]
    for kind, title in _GROUPS:
        mine = [row for row in rows if row["kind"] == kind]
        if mine:
            count = len({row["motion"] for row in mine})
            blocks.append(f"## {title.format(count=count)}\n" + _table(mine, kind))
    blocks.append("## Motions that no robot, or hardly any, plays\n" + _hard_motions(rows))
    said = [*(f"* robot {text}" for text in missing), *(f"* {text}" for text in left_out)]
    if undone:
        said.append(f"* {undone} rows are not made yet: type the command again")
    if said:
        blocks.append("## Left out\n" + "\n".join(said))
    return "\n\n".join(blocks) + "\n"


def said_of(settings: list[str]) -> str:
    """The settings in words."""
    return f"settings {' '.join(settings)}" if settings else "default settings"


def _table(rows: list[dict[str, Any]], kind: str) -> str:
    wide = kind != "hand"
    head = ["robot", "motions", *(["wrist mm (p95)", "foot mm (p95)"] if wide else []), "tip mm (p95)", "verdicts"]
    head += ["colliding", "fingers colliding", "frames/s", "flaws that count", "worst motion"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name in dict.fromkeys(row["robot"] for row in rows):
        lines.append(_line(name, [row for row in rows if row["robot"] == name], wide))
    return "\n".join(lines)


def _line(name: str, mine: list[dict[str, Any]], wide: bool) -> str:
    good = [row for row in mine if not row["reason"]]
    if not good:
        why = Counter(row["reason"].partition(":")[0] for row in mine).most_common(1)[0][0]
        return f"| {name} | 0/{len(mine)} |" + " - |" * (6 if wide else 4) + f" - | none came out: {why} | - |"
    verdicts = Counter(row["verdict"] for row in good)
    flaws = Counter(flaw for row in good for flaw in row["flaws"].split())
    parts = ("wrist", "foot", "tip") if wide else ("tip",)
    cells = [name, f"{len(good)}/{len(mine)}", *(_pair(good, part) for part in parts)]
    cells.append(" / ".join(str(verdicts[word]) for word in _VERDICTS))
    cells += [_share(good, "colliding"), _share(good, "fingers_colliding")]
    cells.append(f"{statistics.median(row['frames_per_s'] for row in good):,.0f}")
    cells.append(", ".join(f"{flaw} {count}" for flaw, count in flaws.most_common(4)) or "none")
    cells.append(_worst(mine, "wrist" if wide else "tip"))
    return f"| {' | '.join(cells)} |"


def _pair(rows: list[dict[str, Any]], part: str) -> str:
    known = [(row[f"{part}_mm"], row[f"{part}_p95_mm"]) for row in rows if row[f"{part}_mm"] is not None]
    if not known:
        return "-"
    middle, high = (statistics.median(values) for values in zip(*known, strict=True))
    return f"{middle:.1f} ({high:.1f})"


def _share(rows: list[dict[str, Any]], key: str) -> str:
    frames = sum(row["frames"] for row in rows)
    return f"{100 * sum(row[key] * row['frames'] for row in rows) / frames:.2f} %"


def _worst(mine: list[dict[str, Any]], part: str) -> str:
    """A motion that did not come out, else the one with the largest error."""
    lost = [row for row in mine if row["reason"]]
    if lost:
        return f"{lost[0]['motion']}: {lost[0]['reason'].partition(':')[0]}" + (
            f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        )
    key = f"{part}_p95_mm"
    row = max(mine, key=lambda row: row[key] if row[key] is not None else -1.0)
    flaw = row["worst_flaw"].partition(":")[0] or "no flaw"
    return f"{row['motion']}: {row[key]:.0f} mm p95, {flaw}" if row[key] is not None else f"{row['motion']}: {flaw}"


def _hard_motions(rows: list[dict[str, Any]]) -> str:
    """Motions by the share of robots on which they are not infeasible, the ten worst."""
    shares = []
    for motion in dict.fromkeys(row["motion"] for row in rows if row["kind"] != "hand"):
        mine = [row for row in rows if row["motion"] == motion]
        if mine:
            good = sum(not row["reason"] and row["verdict"] != "infeasible" for row in mine)
            flaws = Counter(flaw for row in mine if not row["reason"] for flaw in row["flaws"].split()[:1])
            shares.append((good, len(mine), motion, flaws))
    lines = ["| motion | robots that can (feasible or doubtful) | what stops the others first |", "|---|---|---|"]
    for good, count, motion, flaws in sorted(shares, key=lambda s: s[0] / s[1])[:10]:
        named = ", ".join(f"{flaw} {n}" for flaw, n in flaws.most_common(3)) or "-"
        lines.append(f"| {motion} | {good}/{count} | {named} |")
    return "\n".join(lines)
