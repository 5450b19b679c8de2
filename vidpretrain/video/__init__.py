"""Video files: what is in them, their frames by index and time, their shots, and H.264 out.

Door: `VideoConfig`, `find_sources`, `find_intrinsics`, `read_sidecar`, `given_orientation`, `probe`, `open_video`,
`split`, `frame_range`, `H264Writer`.
Decoders are imported when the first file is opened.
"""

from vidpretrain.video.config import VideoConfig
from vidpretrain.video.info import VideoInfo
from vidpretrain.video.orientation import Orientation, given_orientation
from vidpretrain.video.probing import probe
from vidpretrain.video.reader import VideoReader, open_video
from vidpretrain.video.shots import Shots, find_shots, frame_range, split
from vidpretrain.video.sources import Intrinsics, find_intrinsics, find_sources, read_sidecar, source_id
from vidpretrain.video.writer import H264Writer

__all__ = [
    "VideoConfig",
    "VideoInfo",
    "VideoReader",
    "Intrinsics",
    "Orientation",
    "Shots",
    "H264Writer",
    "find_sources",
    "find_intrinsics",
    "find_shots",
    "frame_range",
    "given_orientation",
    "open_video",
    "read_sidecar",
    "probe",
    "source_id",
    "split",
]
