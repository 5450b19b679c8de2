"""The frames of real clips in which the checks are off most, as one HTML file with the pictures inside."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass

import numpy as np

from labelling.agreement import LIMITS, Agreement
from labelling.real import RealClip
from vidpretrain.report.draw import draw_tracks
from vidpretrain.video import open_video

_WIDTH_PX = 640
_APART_S = 0.3  # between two frames of one clip
_SIDES = ("left hand", "right hand")


@dataclass(frozen=True)
class Worst:
    """A frame, and its checks over their limits, the worst first."""

    real: RealClip
    fit: np.ndarray
    frame: int
    score: float
    words: tuple[str, ...]


def worst_frames(clips: list[tuple[RealClip, Agreement]], count: int) -> list[Worst]:
    """The `count` frames whose worst check is farthest over its limit, some time apart in each clip."""
    every = []
    for real, checked in clips:
        share = np.stack([np.nan_to_num(checked.off[name]) / limit for name, limit in LIMITS.items()], axis=-1)
        score = share.max(axis=(1, 2))  # (t 2 n)
        every += [(float(score[t]), t, real, checked, share[t]) for t in range(len(score))]
    kept: list[Worst] = []
    for score, t, real, checked, share in sorted(every, key=lambda row: -row[0]):
        time_s = real.tracks[0].time_ns[t] / 1e9
        near = [w for w in kept if w.real.name == real.name]
        if any(abs(w.real.tracks[0].time_ns[w.frame] / 1e9 - time_s) < _APART_S for w in near):
            continue
        kept.append(Worst(real, checked.points[t], t, score, _words(checked, share, t)))
        if len(kept) == count:
            break
    return kept


def _words(checked: Agreement, share: np.ndarray, t: int) -> tuple[str, ...]:
    found = []
    for side, n in np.argwhere(share > 0.7):
        name = list(LIMITS)[n]
        found.append((share[side, n], f"{_SIDES[side]}: {name} {checked.off[name][t, side]:.2f}"))
    return tuple(word for _, word in sorted(found, reverse=True))


def page(clips: list[tuple[RealClip, Agreement]], count: int, summary: str) -> str:
    """The HTML: a table of all clips, then the worst frames with networks' points and the fit's hands in white."""
    figures = []
    for number, worst in enumerate(worst_frames(clips, count), start=1):
        time_s = worst.real.tracks[0].time_ns[worst.frame] / 1e9
        words = "<br>".join(html.escape(word) for word in worst.words)
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{_picture(worst)}" alt="frame">'
            f"<figcaption><b>{number}. {html.escape(worst.real.name)}</b> at {time_s:.2f} s<br>{words}"
            "</figcaption></figure>"
        )
    limits = ", ".join(f"{name} {limit:g}" for name, limit in LIMITS.items())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Real clips: the worst frames</title>
<style>body{{font:14px/1.4 sans-serif;margin:2em;max-width:1400px}}figure{{display:inline-block;margin:8px;
width:640px;vertical-align:top}}img{{width:100%}}table{{border-collapse:collapse}}
td{{padding:2px 8px;border:1px solid #ccc}}</style>
<h1>Real clips, held against themselves</h1><p>Networks' points: left orange, right blue; the fit's hands white.
Distances are hand lengths (from the body's wrist: torso lengths); a hand that the mirrored or reversed film lacks is 1
off. Frames are ordered by the check that is farthest over its limit ({limits}).</p>{summary}
<h2>The worst {len(figures)} frames</h2>{"".join(figures)}</html>"""


def _picture(worst: Worst) -> str:
    from PIL import Image, ImageDraw

    real = worst.real
    index = int(np.searchsorted(real.info.time_ns, real.tracks[0].time_ns[worst.frame]))
    with open_video(real.info) as reader:
        frame = reader.read([index])[0]
    image = Image.fromarray(draw_tracks(frame, real.tracks, worst.frame, width_px=_WIDTH_PX))
    pen, scale = ImageDraw.Draw(image), _WIDTH_PX / frame.shape[1]
    for hand in worst.fit:
        for finger in range(5):
            chain = [hand[0], *hand[1 + 4 * finger : 5 + 4 * finger]]
            if np.isfinite(chain).all():
                pen.line([tuple(p * scale) for p in chain], fill=(255, 255, 255), width=1)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()
