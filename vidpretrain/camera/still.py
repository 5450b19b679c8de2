"""Whether a camera stands still: most of the picture's background stays where it was in the keyframe.

Nothing has to be known of the lens. Cells of the picture vote, not features, so that a walking person that nobody
masked, or a logo that stays in its corner while the rest moves, does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.camera.background import CELLS, Background
from vidpretrain.camera.config import CameraConfig


@dataclass(frozen=True)
class Stillness:
    """Per frame: share (t) of the cells that stayed, cells (t) and features (t) that were seen; NaN, 0 without any.

    `moved_px` (t) is the median over cells of how far they went from the keyframe, in pixels of the config.
    """

    share: np.ndarray
    cells: np.ndarray
    features: np.ndarray
    moved_px: np.ndarray


def cell_median(cell: Int64[np.ndarray, " m"], value: Float64[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
    """(median of the value in each cell that has any, number of values there)."""
    order = np.lexsort((value, cell))
    cell, value = cell[order], value[order]
    _, start, count = np.unique(cell, return_index=True, return_counts=True)
    middle = 0.5 * (value[start + (count - 1) // 2] + value[start + count // 2])
    return middle, count


def stillness(seen: Background, config: CameraConfig) -> Stillness:
    """How still each frame is against its keyframe; a keyframe itself against the one before."""
    t = len(seen.time_ns)
    share, cells = np.full(t, np.nan), np.zeros(t, dtype=int)
    features, moved = np.zeros(t, dtype=int), np.full(t, np.nan)
    far = np.linalg.norm(seen.p_image - seen.p_home[seen.feature], axis=-1) / seen.pixel
    cell = seen.cell(seen.p_home[seen.feature])
    start = np.searchsorted(seen.frame, np.arange(t + 1))
    for i in range(t):
        part = slice(start[i], start[i + 1])
        features[i] = part.stop - part.start
        if features[i] == 0:
            continue
        middle, _ = cell_median(cell[part], far[part])
        share[i], cells[i], moved[i] = float((middle < config.still_px).mean()), len(middle), float(np.median(middle))
    for row, i in enumerate(seen.key_frame):  # a keyframe that nothing was followed to tells by its own features
        own = seen.cell(seen.p_home[seen.home == row])
        if row == 0 or features[i] < config.min_features:
            share[i] = 1.0 if row == 0 else _came_back(seen, row, config)
            features[i], cells[i] = len(own), len(np.unique(own))
    return Stillness(share, cells, features, moved)


def _came_back(seen: Background, row: int, config: CameraConfig) -> float:
    """Share of the cells in which a keyframe after a break matches an earlier one where that was, at best."""
    best = 0.0
    for other in np.unique(seen.link[seen.link[:, 1] == row, 0]):
        pair = seen.p_link[(seen.link == (other, row)).all(axis=1)]
        far = np.linalg.norm(pair[:, 0] - pair[:, 1], axis=-1) / seen.pixel
        middle, _ = cell_median(seen.cell(pair[:, 0]), far)
        best = max(best, float((middle < 1.5 * config.still_px).mean()))
    return best


def enough(still: Stillness, config: CameraConfig) -> Bool[np.ndarray, " t"]:
    """Frames with enough background in enough places to tell anything."""
    return (still.features >= config.min_features) & (still.cells >= config.min_cells)


def is_static(still: Stillness, config: CameraConfig) -> bool:
    """Whether nearly all frames that tell anything are still."""
    tells = enough(still, config)
    if not tells.any():
        return False
    return float((still.share[tells] < config.min_still_share).mean()) <= config.max_moving_share


ALL_CELLS = CELLS[0] * CELLS[1]
