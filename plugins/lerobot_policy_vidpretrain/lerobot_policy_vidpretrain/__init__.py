"""Policies exported by vidpretrain, as policies of LeRobot: importing this registers the type `vidpretrain`."""

from .configuration_vidpretrain import VidpretrainConfig
from .modeling_vidpretrain import VidpretrainPolicy
from .processor_vidpretrain import make_vidpretrain_pre_post_processors

__all__ = ["VidpretrainConfig", "VidpretrainPolicy", "make_vidpretrain_pre_post_processors"]
