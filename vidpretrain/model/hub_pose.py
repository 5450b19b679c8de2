"""The pose estimator `transformers`: a top-down pose model of the Hub (ViTPose and its kind) for the body's points.

People, hands and time are MediaPipe's business as in the default estimator; the Hub's model looks at every person's
box, and its 2-D points take the place of the body's where it is sure of them.
It stands here and not in the pose room because
that room is free of torch; `pose.ESTIMATORS` names it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vidpretrain.errors import ConfigError
from vidpretrain.model.hub import missing_model, transformers_for
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.layouts import body_pairs
from vidpretrain.pose.mediapipe_tasks import Look, MediaPipe
from vidpretrain.pose.observations import BodySighting

_SURE = 0.3
_BOX = 1.25  # times the box around the points


class HubPose(MediaPipe):
    """MediaPipe's hands and people, with 2-D body points of `config.transformers_model`."""

    def __init__(self) -> None:
        self._loaded: tuple[str, HubModel] | None = None

    def improve(self, look: Look, frame: np.ndarray, config: PoseConfig) -> Look:
        """The look with its people's 2-D points as the Hub's model sees them.

        Raises:
            MissingAsset: the model is neither on this machine nor can it be downloaded.
            ConfigError: it is no model of this kind.
        """
        if self._loaded is None or self._loaded[0] != config.transformers_model:
            self._loaded = (config.transformers_model, HubModel(config.transformers_model))
        people = self._loaded[1].points(frame, list(look.people))
        return dataclasses.replace(look, people=tuple(people))


class HubModel:
    """A pose model with its processor; `name` is of the Hub or a folder."""

    def __init__(self, name: str) -> None:
        transformers = transformers_for(name)
        try:
            config = transformers.AutoConfig.from_pretrained(name)
            kind = getattr(transformers, (config.architectures or ["?"])[0], None)
            if kind is None or not hasattr(kind, "from_pretrained") or "Pose" not in kind.__name__:
                raise ConfigError("not a pose model", asked=name, found=config.architectures, valid="a ViTPose model")
            self._processor: Any = transformers.AutoProcessor.from_pretrained(name)
            self._net = kind.from_pretrained(name).eval()
        except (OSError, ValueError) as error:
            raise missing_model("pose model", "pose.transformers_model", name, error) from None
        self._experts = getattr(config.backbone_config, "num_experts", 1) > 1
        pairs = body_pairs(len(config.id2label or ()))
        if pairs is None:
            raise ConfigError(
                "keypoints of an unknown order",
                asked=name,
                found=f"{len(config.id2label or ())} keypoints",
                valid="17 or 133",
            )
        self._theirs, self._ours = (list(side) for side in zip(*pairs, strict=True))

    def points(self, frame: np.ndarray, people: list[BodySighting]) -> list[BodySighting]:
        """People whose 2-D points are replaced where the model is sure (score as visibility)."""
        import torch

        if not people:
            return people
        boxes = [[_box(body) for body in people]]
        inputs = self._processor(frame, boxes=boxes, return_tensors="pt")
        if self._experts:  # of a ViTPose+: 0 is COCO
            inputs["dataset_index"] = torch.zeros(len(people), dtype=torch.int64)
        with torch.inference_mode():
            out = self._net(**inputs)
        found = self._processor.post_process_pose_estimation(out, boxes=boxes)[0]
        return [self._replaced(body, poses) for body, poses in zip(people, found, strict=True)]

    def _replaced(self, body: BodySighting, pose: dict[str, Any]) -> BodySighting:
        points = np.asarray(pose["keypoints"], dtype=float)[self._theirs]
        score = np.clip(np.asarray(pose["scores"], dtype=float).reshape(-1)[self._theirs], 0.0, 1.0)
        sure = score > _SURE
        ours = np.array(self._ours)[sure]
        image, visibility = body.p_image.copy(), body.visibility.copy()
        image[ours], visibility[ours] = points[sure], score[sure]
        return BodySighting(p_image=image, p_relative=body.p_relative, visibility=visibility)


def _box(body: BodySighting) -> list[float]:
    """x, y, width and height around the points that are seen, widened."""
    seen = body.p_image[body.visibility > 0.3] if (body.visibility > 0.3).sum() >= 2 else body.p_image
    low, high = seen.min(0), seen.max(0)
    size = np.maximum(high - low, 8.0)
    centre = 0.5 * (low + high)
    return [*(centre - 0.5 * _BOX * size).tolist(), *(_BOX * size).tolist()]
