"""People in video: tracks of both hands and the body, as a network saw them and time made sense of them.

Door: `PoseConfig`, `RejectConfig`, `extract`, `estimator_names`, `find_model`. Networks are imported with the first
clip.
"""

from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.estimators import ESTIMATORS, Estimator, estimator_names, extract, load_estimator
from vidpretrain.pose.models import MODELS, find_model
from vidpretrain.pose.reject_config import RejectConfig

__all__ = [
    "ESTIMATORS",
    "MODELS",
    "Estimator",
    "PoseConfig",
    "RejectConfig",
    "estimator_names",
    "extract",
    "find_model",
    "load_estimator",
]
