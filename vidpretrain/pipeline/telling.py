"""What is done in a motion as it goes into a data set: from the store, with a captioner's words where it has any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vidpretrain import timebase, video
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.clips import Segment
from vidpretrain.pipeline.store import Store
from vidpretrain.segments import Captioner, SegmentConfig, load_captioner, segment, with_captions
from vidpretrain.types import Activity, HumanMotion


@dataclass
class Telling:
    """Activities of segments; the captioner is loaded when the first stretch needs it, its words are kept."""

    config: SegmentConfig
    store: Store | None = None
    _captioner: Captioner | None = field(default=None, init=False)

    def activity(self, item: Segment, human: HumanMotion, info: video.VideoInfo) -> Activity:
        """The activity of a segment, with words for every stretch if a captioner is configured.

        Raises:
            MissingAsset, MissingExtra: the captioner is not on this machine.
        """
        found = segment(human, self.config) if item.activity_path is None else serialize.load(item.activity_path)
        if self.config.captioner is None or all(s.idle or s.instruction for s in found.stretches):
            return found
        key = ""
        if self.store is not None and item.activity_path is not None:
            asked = (self.config.captioner, self.config.captioner_frames, self.config.captioner_tokens)
            key = self.store.key(
                "captions", item.activity_path.stem, asked, self.config.captioner_prompt, rooms=("segments",)
            )
            if (kept := self.store.get("captions", key)) is not None:
                return kept
        self._captioner = self._captioner or load_captioner(self.config)
        assert self._captioner is not None
        found = with_captions(found, lambda times: _pictures(info, times), self._captioner, self.config)
        if key and self.store is not None:
            self.store.put("captions", key, found)
        return found


def _pictures(info: video.VideoInfo, times_ns: list[int]) -> Sequence[np.ndarray]:
    index = timebase.nearest_index(info.time_ns, np.array(times_ns, dtype=np.int64))
    rows, back = np.unique(index, return_inverse=True)
    with video.open_video(info) as reader:
        frames = list(reader.read(rows))
    return [frames[k] for k in back]
