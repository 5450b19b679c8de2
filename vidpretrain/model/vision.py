"""Image tokens: of the policy's own stem, of an image model of transformers, or of that model's kept features.

Letters: B pictures (rows times views), N tokens, D width of the policy, F width of the image model.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from vidpretrain.errors import ConfigError
from vidpretrain.model.blocks import ConvStem, pixels
from vidpretrain.model.config import ModelConfig
from vidpretrain.model.hub import missing_model, transformers_for

_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_UNUSED = ("mask_token", "pooler", "head.")  # weights behind or beside the tokens: they would get no gradient


def stem_of(sizes: ModelConfig, backbone: dict[str, Any] | None) -> nn.Module:
    """What turns pictures (B P P 3), or features (B N F), into tokens (B N D)."""
    width = int(sizes.width or 0)
    if sizes.vision == "backbone":
        return BackboneStem(backbone or backbone_settings(sizes), int(sizes.image_px or 0), width, sizes.backbone_train)
    if sizes.vision == "features":
        return FeatureStem(sizes.feature_tokens, sizes.feature_width, width)
    flat = sizes.flat_tokens if sizes.vision == "flat" else None
    return ConvStem(sizes.stem or (), int(sizes.image_px or 0), width, flat)


def backbone_settings(sizes: ModelConfig) -> dict[str, Any]:
    """What a checkpoint keeps of its image model beside the weights: its configuration and how it likes its pixels.

    Raises:
        MissingAsset, MissingExtra: the model is not here. ConfigError: it is no image model, or the pictures' side is
            not a multiple of its patches.
    """
    name = str(sizes.backbone)
    transformers = transformers_for(name)
    try:
        config = transformers.AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise missing_model("image model", "model.backbone", name, error) from None
    config = getattr(config, "vision_config", config)  # of a model with two towers the pictures' one
    patch = getattr(config, "patch_size", None)
    if not hasattr(config, "num_channels") or not isinstance(patch, int):
        raise ConfigError(
            "the backbone is no image model with patches",
            asked=f"model.backbone={name}",
            found=config.model_type,
            valid="a DINOv2, SigLIP, CLIP or ViT model",
        )
    if int(sizes.image_px or 0) % patch:
        side = patch * max(1, round(int(sizes.image_px or 0) / patch))
        raise ConfigError(
            f"the backbone looks at patches of {patch} px",
            asked=f"model.image_px={sizes.image_px}",
            valid=f"a multiple, model.image_px={side}",
        )
    try:
        found, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:
        found = {}
    mean, std = found.get("image_mean") or _IMAGENET["mean"], found.get("image_std") or _IMAGENET["std"]
    return {"config": config.to_dict(), "mean": list(mean), "std": list(std)}


def load_backbone(stem: nn.Module, name: str) -> None:
    """Fill the image model inside a `BackboneStem` with the weights of the folder or Hub model `name`.

    Raises:
        MissingAsset: it is not here, or it has weights of another model.
    """
    assert isinstance(stem, BackboneStem)
    transformers = transformers_for(name)
    try:
        found, info = transformers.AutoModel.from_pretrained(
            name, config=copy.deepcopy(stem.backbone.config), output_loading_info=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise missing_model("image model", "model.backbone", name, error) from None
    missing = [key for key in info["missing_keys"] if not any(part in key for part in _UNUSED)]
    if missing:
        raise missing_model("image model", "model.backbone", name, ValueError(f"no weights for {sorted(missing)[:3]}"))
    stem.backbone.load_state_dict(found.state_dict())


class BackboneStem(nn.Module):
    """Every token of an image model's last layer, mapped to the policy's width.

    `train_layers` of its last layers learn: 0 none (then it also drops nothing out), -1 the whole model.
    """

    def __init__(self, settings: dict[str, Any], image_px: int, width: int, train_layers: int) -> None:
        super().__init__()
        transformers = transformers_for("the image model")
        asked = dict(settings["config"])
        config = transformers.AutoConfig.for_model(asked.pop("model_type"), **asked)
        self.backbone = transformers.AutoModel.from_config(config)
        self.project = nn.Linear(config.hidden_size, width)
        self.image_px, self.train_layers = image_px, train_layers
        self.mean, self.std = tuple(settings["mean"]), tuple(settings["std"])
        self._interpolates = image_px != getattr(config, "image_size", image_px)
        self._freeze()

    def _freeze(self) -> None:
        """The last layers and the norm behind them learn, or everything that leads to the tokens, or nothing."""
        depth = int(self.backbone.config.num_hidden_layers)
        layers = next(m for m in self.backbone.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)
        inside = {id(p) for layer in layers for p in layer.parameters()}
        chosen = {id(p) for layer in layers[max(0, depth - self.train_layers) :] for p in layer.parameters()}
        for name, parameter in self.backbone.named_parameters():
            behind = id(parameter) not in inside and "layernorm" in name.replace("layer_norm", "layernorm")
            learns = self.train_layers == -1 or (self.train_layers > 0 and (id(parameter) in chosen or behind))
            parameter.requires_grad_(learns and not any(part in name for part in _UNUSED))

    def train(self, mode: bool = True) -> BackboneStem:
        """Like any module's; an image model that does not learn stays as it is when it answers."""
        super().train(mode)
        if self.train_layers == 0:
            self.backbone.eval()
        return self

    def features(self, images_BHWC: Tensor) -> Tensor:
        """(B N F), the tokens as the image model gives them, from uint8 pictures of any size."""
        x = pixels(images_BHWC, self.image_px, self.project.weight.dtype).add(1.0).div(2.0)
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (self.mean, self.std))
        options = {"interpolate_pos_encoding": True} if self._takes_interpolation() else {}
        return self.backbone((x - mean) / std, **options).last_hidden_state

    def _takes_interpolation(self) -> bool:
        import inspect

        return self._interpolates and "interpolate_pos_encoding" in inspect.signature(self.backbone.forward).parameters

    def forward(self, images_BHWC: Tensor) -> Tensor:
        return self.project(self.features(images_BHWC))


class FeatureStem(nn.Module):
    """Tokens (B N D) of kept features (B N F) of an image model."""

    def __init__(self, tokens: int, features: int, width: int) -> None:
        super().__init__()
        self.tokens, self.features = tokens, features
        self.project = nn.Linear(features, width)

    def forward(self, features_BNF: Tensor) -> Tensor:
        return self.project(features_BNF.to(self.project.weight.dtype))
