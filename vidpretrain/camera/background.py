"""Features of the background followed through a clip, and where an earlier view comes back. No lens is needed yet.

Corners (Shi and Tomasi 1994) are found in a keyframe, spread over the picture, and followed from frame to frame
(Lucas and Kanade, pyramidal, there and back); each place is then corrected against the keyframe itself, so that
errors do not add up. When too few are left the frame becomes the next keyframe. Keyframes are matched to earlier ones
by ORB features, so that a view that comes back ends the drift.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from vidpretrain.camera import masks
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import opencv
from vidpretrain.camera.trajectory import Trajectory
from vidpretrain.types import Camera, Clip, Frozen, PoseTrack
from vidpretrain.video import VideoInfo, open_video

CELLS = (6, 8)  # rows, columns
_PER_CELL = 8
_BACK_PX, _CORRECTION_PX = 0.7, 2.0  # there and back; from frame to frame against the keyframe
_FLOOR_PX, _GREY = 0.3, 2e-5  # one sigma of any feature's place; variance times the gradients' eigenvalue
_LEFT = 0.55  # of a keyframe's features, below which the next one begins
_LONGEST = 45  # frames that one keyframe serves where the picture moves
_MOVED = 0.2  # of the picture's width
_VIEWS, _MATCHES = 12, 25  # earlier keyframes that one is matched to; matches that make a link


@dataclass(frozen=True, kw_only=True)
class Background(Frozen):
    """What the background did, in pixels of the full upright picture.

    `key_frame` (k) are the keyframes, `home` (n) each feature's keyframe (its row there) and `p_home` (n 2) its place
    in it; observation m says that feature `feature[m]` was at `p_image[m]` in frame `frame[m]`. Frames up to the next
    keyframe, and that one too, see the features of theirs. `link` (l 2) are pairs of keyframes (rows) with one matched
    point `p_link` (l 2 2) each. `pixel` is how many of these pixels one pixel is in which everything was measured.
    `point` (n) is the point of the world that a feature shows: one that a new keyframe took over from the keyframe
    before shows the same. `spread` (n 3) is the covariance (xx, xy, yy; pixels of the config, squared) with which it is
    placed, wide along an edge; features that are not `sure` (n) lie on faint texture. `index` (t) are the video's
    frames out of `frame_count`, turned by `rotation_deg` to be upright; `trajectory` is what pycolmap made of the
    pictures, if it was asked.
    """

    clip_id: str
    time_ns: Int64[np.ndarray, " t"]
    width_px: int
    height_px: int
    pixel: float
    key_frame: Int32[np.ndarray, " k"]
    home: Int32[np.ndarray, " n"]
    p_home: Float32[np.ndarray, "n 2"]
    frame: Int32[np.ndarray, " m"]
    feature: Int32[np.ndarray, " m"]
    p_image: Float32[np.ndarray, "m 2"]
    link: Int32[np.ndarray, "l 2"]
    p_link: Float32[np.ndarray, "l 2 2"]
    index: Int32[np.ndarray, " t"]
    frame_count: int
    rotation_deg: int = 0
    trajectory: Trajectory | None = None
    point: Int32[np.ndarray, " n"] | None = None
    spread: Float32[np.ndarray, "n 3"] | None = None
    sure: Bool[np.ndarray, " n"] | None = None

    def firm(self) -> Background:
        """What features that are `sure` did; noise can move those on faint texture."""
        if self.sure is None:
            return self
        keep = self.sure
        number, seen = np.cumsum(keep) - 1, keep[self.feature]
        return dataclasses.replace(
            self,
            home=self.home[keep],
            p_home=self.p_home[keep],
            frame=self.frame[seen],
            feature=number[self.feature[seen]].astype(np.int32),
            p_image=self.p_image[seen],
            point=None if self.point is None else self.point[keep],
            spread=None if self.spread is None else self.spread[keep],
            sure=keep[keep],
        )

    def of(self, key: int) -> tuple[np.ndarray, np.ndarray]:
        """(features (n) whose home is a keyframe, observations (m) of them)."""
        features = np.flatnonzero(self.home == key)
        return features, np.flatnonzero(np.isin(self.feature, features))

    def cell(self, p_image: np.ndarray) -> np.ndarray:
        """Index (m) of the cell of the picture that points (m 2) are in."""
        rows, columns = CELLS
        column = np.clip(p_image[..., 0] / self.width_px * columns, 0, columns - 1).astype(int)
        return np.clip(p_image[..., 1] / self.height_px * rows, 0, rows - 1).astype(int) * columns + column


def observe(
    clip: Clip, info: VideoInfo, tracks: Sequence[PoseTrack], config: CameraConfig, lens: Camera | None = None
) -> Background:
    """What the background of a clip did on the tracks' time grid; people's points hide people.

    `lens` is what method `sfm` starts from, and needed by it alone.

    Raises:
        MissingExtra: OpenCV is not installed, or pycolmap for `sfm`.
        InputError: the file is gone or changed since it was probed.
    """
    time_ns = np.asarray(tracks[0].time_ns)
    indices = np.searchsorted(info.time_ns, time_ns)
    scale = min(1.0, config.picture_px / max(info.width_px, info.height_px))
    watcher = _Watcher(tracks, scale, config)
    for t, picture in enumerate(_pictures(info, indices)):
        watcher.see(t, picture)
    seen = watcher.result(clip, time_ns, info, indices)
    if config.method != "sfm" or lens is None:
        return seen
    from vidpretrain.camera.sfm import reconstruct

    return dataclasses.replace(seen, trajectory=reconstruct(info, tracks, lens, config))


def _pictures(info: VideoInfo, indices: np.ndarray) -> Iterator[np.ndarray]:
    with open_video(info) as reader:
        steps = np.unique(np.diff(indices))
        if len(steps) == 1 and steps[0] > 0:
            for _, _, picture in reader.iterate(int(indices[0]), int(indices[-1]) + 1, int(steps[0])):
                yield picture
            return
        for index in indices:
            yield reader.read([index])[0]


@dataclass
class _Key:
    """A keyframe while its features are followed."""

    row: int
    frame: int
    grey: np.ndarray
    first: int  # number of its first feature
    p: np.ndarray  # (n 2) in the keyframe
    point: np.ndarray  # (n) points of the world
    spread: np.ndarray  # (n 3)
    sure: np.ndarray  # (n)
    now: np.ndarray  # (n 2) in the last frame
    alive: np.ndarray
    descriptors: np.ndarray | None = None
    p_described: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))


class _Watcher:
    def __init__(self, tracks: Sequence[PoseTrack], scale: float, config: CameraConfig) -> None:
        self.tracks, self.scale, self.config = tracks, scale, config
        self.cv2 = opencv()
        self.orb = self.cv2.ORB_create(700, fastThreshold=12)
        self.matcher = self.cv2.BFMatcher(self.cv2.NORM_HAMMING)
        self.keys: list[_Key] = []
        self.last: np.ndarray | None = None
        self.points = 0
        self.frames: list[np.ndarray] = []
        self.features: list[np.ndarray] = []
        self.places: list[np.ndarray] = []
        self.links: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def see(self, t: int, picture: np.ndarray) -> None:
        cv2 = self.cv2
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        if self.scale < 1.0:
            grey = cv2.resize(grey, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_AREA)
        mask = masks.background(self.tracks, t, (grey.shape[0], grey.shape[1]), self.scale)
        if self.keys:
            self._follow(t, grey, mask)
        if not self.keys or self._worn_out(t):
            self._begin(t, grey, mask)
        self.last = grey

    def _follow(self, t: int, grey: np.ndarray, mask: np.ndarray) -> None:
        key, cv2 = self.keys[-1], self.cv2
        index = np.flatnonzero(key.alive)
        if not len(index) or self.last is None:
            return
        how = {"winSize": (21, 21), "maxLevel": 3}
        old = key.now[index].reshape(-1, 1, 2)
        new, found, _ = cv2.calcOpticalFlowPyrLK(self.last, grey, old, None, **how)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(grey, self.last, new, None, **how)
        ok = (found & found_back).ravel().astype(bool) & (np.linalg.norm(back - old, axis=-1).ravel() < _BACK_PX)
        fine, found, _ = cv2.calcOpticalFlowPyrLK(
            key.grey,
            grey,
            key.p[index].reshape(-1, 1, 2),
            new.copy(),
            winSize=(15, 15),
            maxLevel=1,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        near = found.ravel().astype(bool) & (np.linalg.norm(fine - new, axis=-1).ravel() < _CORRECTION_PX)
        at = np.where(near[:, None], fine[:, 0], new[:, 0])
        column, row = np.floor(np.nan_to_num(at, nan=-1.0)).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
        ok &= inside
        ok[ok] = mask[row[ok], column[ok]] > 0
        key.alive[index[~ok]] = False
        key.now[index[ok]] = at[ok]
        self.frames.append(np.full(ok.sum(), t, np.int32))
        self.features.append((key.first + index[ok]).astype(np.int32))
        self.places.append(at[ok].astype(np.float32))

    def _worn_out(self, t: int) -> bool:
        key = self.keys[-1]
        alive = int(key.alive.sum())
        if alive < max(_LEFT * len(key.p), self.config.min_features):
            return True
        moved = float(np.median(np.linalg.norm((key.now - key.p)[key.alive], axis=-1)))
        width = key.grey.shape[1]
        return moved > _MOVED * width or (t - key.frame >= _LONGEST and moved > 3 * self.config.still_px)

    def _begin(self, t: int, grey: np.ndarray, mask: np.ndarray) -> None:
        """The frame becomes a keyframe; one that just began and has nothing to follow begins anew."""
        before = self.keys[-1] if self.keys else None
        taken = np.zeros((0, 2), np.float32)
        if before is not None and self.frames and len(self.frames[-1]) and self.frames[-1][0] == t:
            taken = before.now[before.alive]
        new = self._corners(grey, mask, taken)
        first = 0 if before is None else before.first + len(before.p)
        point = np.arange(self.points, self.points + len(new))
        if len(taken) and before is not None:
            point = np.concatenate([before.point[before.alive], point])
        self.points += len(new)
        p = np.concatenate([taken, new]).astype(np.float32)
        spread, sure = self._spread(grey, p), self._sure(grey, p)
        key = _Key(len(self.keys), t, grey, first, p, point, spread, sure, p.copy(), np.ones(len(p), dtype=bool))
        found, descriptors = self.orb.detectAndCompute(grey, mask)
        if descriptors is not None:
            key.descriptors = descriptors
            key.p_described = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
        earlier = [other for other in self.keys if other.descriptors is not None and len(other.descriptors) >= _MATCHES]
        step = max(1, len(earlier) // _VIEWS)
        for other in [*earlier[:-1:step], *earlier[-1:]]:
            self._match(other, key)
        if self.keys:
            self.keys[-1].grey = np.zeros((0, 0), np.uint8)  # its features are followed no more
        self.keys.append(key)

    def _strength(self, grey: np.ndarray) -> np.ndarray:
        smooth = self.cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32) / 255
        return self.cv2.cornerMinEigenVal(smooth, 7, ksize=3)

    def _sure(self, grey: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Features (n) on texture that is not faint."""
        best = self.cv2.dilate(self._strength(grey), np.ones((3, 3), np.uint8))
        column, row = np.clip(p.round().astype(int), 0, [grey.shape[1] - 1, grey.shape[0] - 1]).T
        return best[row, column] > self.config.min_corner

    def _spread(self, grey: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Covariance (n 3) of the places of features: what does not depend on the texture, and what does."""
        if not len(p):
            return np.zeros((0, 3), np.float32)
        smooth = self.cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32) / 255
        found = self.cv2.cornerEigenValsAndVecs(smooth, 15, ksize=3)
        column, row = np.clip(p.round().astype(int), 0, [grey.shape[1] - 1, grey.shape[0] - 1]).T
        found = found[row, column]
        # what a view's change does to a patch goes with its strongest gradients: along an edge places slide
        size = np.maximum(found[:, :2], 1e-7)
        variance = (_FLOOR_PX**2 * size.max(axis=1, keepdims=True) + _GREY) / size
        (xa, ya), (xb, yb) = found[:, 2:4].T, found[:, 4:6].T
        a, b = variance.T
        return np.stack([a * xa * xa + b * xb * xb, a * xa * ya + b * xb * yb, a * ya * ya + b * yb * yb], axis=1)

    def _corners(self, grey: np.ndarray, mask: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Corners (n 2) that are not `taken` yet, spread over the picture."""
        cv2, (rows, columns) = self.cv2, CELLS
        usable = np.where((self._strength(grey) > self.config.faint_corner) & (mask > 0), 255, 0).astype(np.uint8)
        edge = 8
        usable[:edge], usable[-edge:], usable[:, :edge], usable[:, -edge:] = 0, 0, 0, 0
        for place in taken.round().astype(int):
            cv2.circle(usable, tuple(place.tolist()), 7, 0, -1)
        most, out = min(max(2, self.config.features // (rows * columns)), _PER_CELL), []
        height, width = grey.shape
        cells = (taken / [width, height] * [columns, rows]).astype(int)
        there = np.bincount(cells[:, 1] * columns + cells[:, 0], minlength=rows * columns)
        for r in range(rows):
            for c in range(columns):
                part = (
                    slice(r * height // rows, (r + 1) * height // rows),
                    slice(c * width // columns, (c + 1) * width // columns),
                )
                wanted = most - there[r * columns + c]
                if wanted <= 0 or not usable[part].any():
                    continue
                found = cv2.goodFeaturesToTrack(grey[part], int(wanted), 0.05, 7, mask=usable[part])
                if found is not None:
                    out.append(found[:, 0] + [part[1].start, part[0].start])
        return np.concatenate(out).astype(np.float32) if out else np.zeros((0, 2), np.float32)

    def _match(self, a: _Key, b: _Key) -> None:
        if a.descriptors is None or b.descriptors is None or len(b.descriptors) < _MATCHES:
            return
        there = self.matcher.knnMatch(b.descriptors, a.descriptors, k=2)
        good = [m[0] for m in there if len(m) == 2 and m[0].distance < 0.75 * m[1].distance and m[0].distance < 50]
        back = {m.queryIdx: m.trainIdx for m in self.matcher.match(a.descriptors, b.descriptors)}
        good = [m for m in good if back.get(m.trainIdx) == m.queryIdx]
        if len(good) >= _MATCHES:
            p_a = a.p_described[[m.trainIdx for m in good]]
            p_b = b.p_described[[m.queryIdx for m in good]]
            self.links.append((a.row, b.row, p_a, p_b))

    def result(self, clip: Clip, time_ns: np.ndarray, info: VideoInfo, indices: np.ndarray) -> Background:
        def joined(parts: list[np.ndarray], shape: tuple[int, ...], kind: type) -> np.ndarray:
            return np.concatenate(parts).astype(kind) if parts else np.zeros(shape, kind)

        pixel = 1.0 / self.scale

        def full(p: np.ndarray) -> np.ndarray:  # OpenCV counts from a pixel's middle, everybody else from its edge
            return (p + np.float32(0.5)) * np.float32(pixel)

        pairs = [np.stack([a, b], axis=1) for _, _, a, b in self.links]
        return Background(
            clip_id=clip.clip_id,
            time_ns=time_ns,
            width_px=info.width_px,
            height_px=info.height_px,
            pixel=pixel,
            key_frame=np.array([key.frame for key in self.keys], np.int32),
            home=joined([np.full(len(key.p), key.row) for key in self.keys], (0,), np.int32),
            p_home=full(joined([key.p for key in self.keys], (0, 2), np.float32)),
            frame=joined(self.frames, (0,), np.int32),
            feature=joined(self.features, (0,), np.int32),
            p_image=full(joined(self.places, (0, 2), np.float32)),
            link=joined([np.tile([a, b], (len(p), 1)) for a, b, p, _ in self.links], (0, 2), np.int32),
            p_link=full(joined(pairs, (0, 2, 2), np.float32)),
            index=indices.astype(np.int32),
            frame_count=info.frame_count,
            rotation_deg=info.rotation_deg,
            point=joined([key.point for key in self.keys], (0,), np.int32),
            sure=joined([key.sure for key in self.keys], (0,), bool),
            spread=joined([key.spread for key in self.keys], (0, 3), np.float32),
        )
