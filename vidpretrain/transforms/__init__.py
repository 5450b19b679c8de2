"""Sample transforms between a data set's absolute values and what a network sees, each with its inverse. NumPy only.

    absolute chunk --relative_chunk--> relative chunk --Normalizer--> network's chunk     (Paired.forward)
    absolute chunk <--absolute_chunk-- relative chunk <--Normalizer-- network's chunk     (Paired.inverse)

State stays absolute. A checkpoint carries the `Paired` it was trained with, so that inference needs no data set.
"""

from vidpretrain.transforms.chunks import POSES, absolute_chunk, relative_chunk
from vidpretrain.transforms.normalizer import Normalizer
from vidpretrain.transforms.paired import Paired, spec_from_dict, spec_to_dict
from vidpretrain.transforms.view import source_pixels, turn_poses, view_turn

__all__ = [
    "POSES",
    "relative_chunk",
    "absolute_chunk",
    "Normalizer",
    "Paired",
    "spec_to_dict",
    "spec_from_dict",
    "view_turn",
    "turn_poses",
    "source_pixels",
]
