"""Actions in time: grasp and release, contact as a guess, borders between actions, idle parts, and words for them.

Door: `SegmentConfig`, `segment(motion, config, said) -> Activity`, `parts(activity, config)`,
`narration_of(video, table)`, `load_captioner(config)`, `with_captions(...)`.
"""

from vidpretrain.segments.captioners import CAPTIONERS, Captioner, load_captioner, with_captions
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.segments.divide import Part, parts, segment
from vidpretrain.segments.narration import Said, narration_of

__all__ = [
    "CAPTIONERS",
    "Captioner",
    "Part",
    "Said",
    "SegmentConfig",
    "load_captioner",
    "narration_of",
    "parts",
    "segment",
    "with_captions",
]
