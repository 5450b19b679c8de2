"""Rows about hands: Shadow in detail, then every hand that dex-retargeting ships a configuration for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from retargeting import hands, support
from retargeting.measures import row, smoothness, vector_errors, violations
from retargeting.peer import PeerError
from retargeting.setting import Setting, timed

Row = dict[str, Any]
_STEPS, _FIRST_STEPS, _SPEED_RAD_S = 3, 50, 6.0


def _peer(setting: Setting, hand: hands.HandCase, solver: str) -> Callable[[], tuple[np.ndarray, float]]:
    def job() -> tuple[np.ndarray, float]:
        q, took = setting.peers.run(solver, hand.path, len(hand.target), _STEPS, _FIRST_STEPS)
        return hand.full(q), took["seconds"]

    return job


def _figures(hand: hands.HandCase, q: np.ndarray) -> dict[str, float]:
    error = vector_errors(hand.tree, q, hand.case, hand.target)[:, hand.tips]
    out = {"tip": 1e3 * float(error.mean()), "tip_p95": 1e3 * float(np.percentile(error, 95))}
    return out | smoothness(q, hands.RATE_HZ) | {"beyond": violations(hand.tree, q, 1e-6)}


def _measured(setting: Setting, hand: hands.HandCase, ours: dict[str, Any], solvers: tuple[str, ...]):
    """({name: figures with ms}) of ours (problems by name) and peers, in turn."""
    jobs = {name: timed(lambda problem=problem: hands.solve_hand(hand, problem)) for name, problem in ours.items()}
    jobs |= {solver: _peer(setting, hand, solver) for solver in solvers}
    done = setting.interleaved(jobs)
    return {n: _figures(hand, q) | {"ms": 1e3 * s / len(hand.target)} for n, (q, s) in done.items()}


def shadow(setting: Setting) -> list[Row]:
    """The Shadow hand: ten vectors, wrist locked."""
    hand = hands.hand_case("shadow", setting.packages, setting.p_hand, setting.work)
    problems = {
        "ours": hands.hand_problem(hand, hands.CLEAN),
        "ours, smooth": hands.hand_problem(hand, hands.SMOOTH),
        "ours, 6 rad/s": hands.hand_problem(hand, hands.CLEAN, _SPEED_RAD_S),
    }
    found = _measured(setting, hand, problems, ("dex", "dexi", "mink"))
    ours, slow = found["ours"], found["ours, 6 rad/s"]
    rows = []
    for name, f in found.items():
        rows.append(row(f"Shadow, {_WORDS.get(name, name)}: time", f["ms"], "ms/frame"))
    for peer, bar in (("dex", ">= 200"), ("dexi", ">= 14"), ("mink", None)):
        rows.append(row(f"Shadow, {_WORDS[peer]} over ours: time", found[peer]["ms"] / ours["ms"], "times", bar))
    for peer in ("dex", "dexi"):
        ratio = found[peer]["ms"] / slow["ms"]
        rows.append(row(f"Shadow with 6 rad/s, {_WORDS[peer]} over ours: time", ratio, "times"))
    bars = {"ours": ("<= 18.1", "<= 2700"), "ours, smooth": ("<= 18.2", "<= 1500")}
    for name, f in found.items():
        tip, jerk = bars.get(name, (None, None))
        label = f"Shadow, {_WORDS.get(name, name)}"
        rows.append(row(f"{label}: tip error, mean", f["tip"], "mm", tip))
        rows.append(row(f"{label}: tip error, p95", f["tip_p95"], "mm"))
        rows.append(row(f"{label}: jerk p99", f["jerk_p99"], "rad/s^3", jerk))
        rows.append(row(f"{label}: greatest speed", f["max_speed"], "rad/s"))
        rows.append(row(f"{label}: frames beyond a limit", f["beyond"], "frames", "== 0" if name in problems else None))
    too_fast = float(slow["max_speed"] > _SPEED_RAD_S * (1 + 1e-9))
    rows.append(row("Shadow, ours, 6 rad/s: speed limit broken", too_fast, "yes or no", "== 0"))
    return rows


def shadow_apart(setting: Setting) -> list[Row]:
    """The Shadow hand with links that stay apart, without and with the speed limit, where the solver can."""
    if not support.has_collisions():
        setting.skipped.append("self-collision: this solver has none")
        return []
    hand = hands.hand_case("shadow", setting.packages, setting.p_hand, setting.work)
    shape = support.urdf_shape(Path(hand.case["urdf"]), hand.base)
    problems = {
        "ours": hands.hand_problem(hand, hands.CLEAN),
        "ours, apart": hands.hand_problem(hand, hands.CLEAN, self_collision=shape),
        "ours, apart, 6 rad/s": hands.hand_problem(hand, hands.CLEAN, _SPEED_RAD_S, self_collision=shape),
    }
    jobs = {name: timed(lambda p=problem: hands.solve_hand(hand, p)) for name, problem in problems.items()}
    jobs |= {solver: _peer(setting, hand, solver) for solver in ("dex", "dexi")}
    done = setting.interleaved(jobs)
    rows = [row("Shadow, capsules and pairs", len(shape.pairs), "pairs")]
    for name, (q, _) in done.items():
        bar = "== 0" if "apart" in name else None
        share = 100 * support.touching(shape, hand.tree, q)
        rows.append(row(f"Shadow, {_WORDS.get(name, name)}: frames with links in each other", share, "%", bar))
    free = _figures(hand, done["ours"][0])["tip"]
    for name, bars in (("ours, apart", (">= 60", ">= 4")), ("ours, apart, 6 rad/s", (">= 40", ">= 2.7"))):
        q, seconds = done[name]
        figures = _figures(hand, q)
        rows.append(row(f"Shadow, {name}: time", 1e3 * seconds / len(q), "ms/frame"))
        for peer, bar in zip(("dex", "dexi"), bars, strict=True):
            rows.append(row(f"Shadow, {_WORDS[peer]} over {name}: time", done[peer][1] / seconds, "times", bar))
        bar = "<= 0.1" if name == "ours, apart" else None
        rows.append(row(f"Shadow, {name}: tip error more than free", figures["tip"] - free, "mm", bar))
        rows.append(row(f"Shadow, {name}: jerk p99", figures["jerk_p99"], "rad/s^3"))
        rows.append(row(f"Shadow, {name}: frames beyond a limit", figures["beyond"], "frames", "== 0"))
    fast = _figures(hand, done["ours, apart, 6 rad/s"][0])["max_speed"] > _SPEED_RAD_S * (1 + 1e-9)
    rows.append(row("Shadow, ours, apart, 6 rad/s: speed limit broken", float(fast), "yes or no", "== 0"))
    return rows


_WORDS = {"dex": "dex-retargeting", "dexi": "dexi-rs", "mink": "mink"}


def other_hands(setting: Setting) -> list[Row]:
    """LEAP and Allegro against dexi-rs, and every hand against dex-retargeting as it is shipped."""
    rows = []
    for name in ("leap", "allegro", "ability", "inspire", "svh"):
        try:
            hand = hands.hand_case(name, setting.packages, setting.p_hand, setting.work)
            problem = {"ours": hands.hand_problem(hand, hands.CLEAN)}
            found = _measured(setting, hand, problem, ("dex", "dexi"))
        except (OSError, KeyError, ValueError, PeerError) as error:
            setting.skipped.append(f"{name} ({type(error).__name__} {error})")
            continue
        ours, dex, dexi = found["ours"], found["dex"], found["dexi"]
        label, against_dexi = name.capitalize(), name in ("leap", "allegro")
        rows.append(row(f"{label}, ours: time", ours["ms"], "ms/frame"))
        rows.append(row(f"{label}, dex-retargeting over ours: time", dex["ms"] / ours["ms"], "times", ">= 100"))
        bar = ">= 12" if against_dexi else None
        rows.append(row(f"{label}, dexi-rs over ours: time", dexi["ms"] / ours["ms"], "times", bar))
        limit = min(dex["tip"], dexi["tip"]) if against_dexi else dex["tip"]
        rows.append(row(f"{label}, ours: tip error, mean", ours["tip"], "mm", f"<= {limit:.3f}"))
        rows.append(row(f"{label}, dexi-rs: tip error, mean", dexi["tip"], "mm"))
        bar = "<= 0.6" if against_dexi else None
        rows.append(row(f"{label}, ours over dexi-rs: jerk p99", ours["jerk_p99"] / dexi["jerk_p99"], "times", bar))
        rows.append(row(f"{label}, ours: frames beyond a limit", ours["beyond"], "frames", "== 0"))
    return rows
