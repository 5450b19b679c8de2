"""VidPolicy: a small vision-to-action transformer in the shape of a transformers model.

Letters: B batch, H horizon, S slots, D width, P pictures' pixels, K flow draws per row, T states of history, V views
(cameras and their past frames; `ModelConfig.views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from vidpretrain import config as configs
from vidpretrain.errors import CheckpointError, nearest
from vidpretrain.model.alignment import alignment
from vidpretrain.model.blocks import ConvStem, DecoderBlock, EmbodimentLinear, TrunkBlock
from vidpretrain.model.config import ModelConfig
from vidpretrain.model.head_types import Labels
from vidpretrain.model.heads import head_of
from vidpretrain.model.slots import SlotLayout
from vidpretrain.model.vision import backbone_settings, stem_of
from vidpretrain.transforms import Paired


class VidPolicyConfig(PretrainedConfig):
    """All that inference needs beside the weights: sizes, each embodiment's layout and normaliser, data sources."""

    model_type = "vidpolicy"

    def __init__(
        self,
        model: dict[str, Any] | None = None,
        embodiments: list[dict[str, Any]] | None = None,
        horizon: int = 16,
        sources: list[dict[str, Any]] | None = None,
        code_version: str = "",
        backbone: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.model = model or configs.plain(ModelConfig())
        self.embodiments = embodiments or []
        self.horizon = horizon
        self.sources = sources or []
        self.code_version = code_version
        self.backbone = backbone
        super().__init__(**kwargs)

    @classmethod
    def make(
        cls, model: ModelConfig, paired: list[Paired], sources: list[dict[str, Any]] | None = None, version: str = ""
    ) -> VidPolicyConfig:
        """The configuration of a policy for these embodiments; they must agree on the horizon.

        Raises:
            CheckpointError: horizons differ, or a group's width does.
        """
        horizons = {one.spec.embodiment: one.spec.horizon for one in paired}
        if len(set(horizons.values())) != 1:
            raise CheckpointError("embodiments differ in horizon", found=horizons, valid="one horizon for all")
        SlotLayout.of([one.spec for one in paired])
        return cls(
            model=configs.plain(model),
            embodiments=[one.to_dict() for one in paired],
            horizon=next(iter(horizons.values())),
            sources=sources,
            code_version=version,
            backbone=backbone_settings(model) if model.vision == "backbone" else None,
        )

    def model_config(self) -> ModelConfig:
        """Sizes as the plain dataclass."""
        return configs.build(ModelConfig, self.model, "model.")

    def paired(self) -> dict[str, Paired]:
        """Layout and normaliser of each embodiment, by name, in the order of their ids."""
        every = [Paired.from_dict(one) for one in self.embodiments]
        return {one.spec.embodiment: one for one in every}

    def layout(self) -> SlotLayout:
        """Slots over all embodiments."""
        return SlotLayout.of([one.spec for one in self.paired().values()])

    def embodiment_id(self, name: str) -> int:
        """Row of the adapters of an embodiment.

        Raises:
            CheckpointError: the checkpoint was not trained for it.
        """
        names = [one["spec"]["embodiment"] for one in self.embodiments]
        if name not in names:
            raise CheckpointError(
                f"this checkpoint is for another robot{nearest(name, names)}",
                asked=name,
                found=", ".join(names),
                next_command="vidpretrain finetune CONFIG checkpoint=CHECKPOINT  # makes adapters for a new robot",
            )
        return names.index(name)


@dataclass
class VidPolicyOutput(ModelOutput):
    """Scalar loss, and per slot the weighted squared error and its weight (summed, not divided)."""

    loss: Tensor | None = None
    slot_error: Tensor | None = None
    slot_weight: Tensor | None = None


class VidPolicy(PreTrainedModel):
    """Image, state, history, view and embodiment tokens, a shared trunk, a chunk decoder with an action head."""

    config_class = VidPolicyConfig
    main_input_name = "images"

    def __init__(self, config: VidPolicyConfig) -> None:
        super().__init__(config)
        sizes, slots = config.model_config(), config.layout().width
        embodiments, width = len(config.embodiments), int(sizes.width or 0)
        heads, dropout = int(sizes.heads or 1), float(sizes.dropout or 0.0)
        self.action_head = head_of(sizes)
        layers = self.action_head.layers(embodiments, slots, width)
        self.stem = stem_of(sizes, config.backbone)
        views = len(sizes.views)
        self.view_position = nn.Parameter(torch.empty(views, width)) if views > 1 else None
        self.view_unknown = nn.Parameter(torch.empty(width)) if views > 1 else None
        self.text_in = nn.Linear(sizes.text_width, width) if sizes.text else None
        self.embodiment_token = nn.Parameter(torch.empty(embodiments, width))
        self.fov_token = nn.Linear(3, width)
        self.state_in = EmbodimentLinear(embodiments, 2 * slots, width)
        self.state_unknown = nn.Parameter(torch.empty(width))
        self.history_in = EmbodimentLinear(embodiments, 2 * slots, width)
        self.history_position = nn.Parameter(torch.empty(len(sizes.history), width))
        self.history_unknown = nn.Parameter(torch.empty(width))
        self.trunk = nn.ModuleList(TrunkBlock(width, heads, dropout) for _ in range(int(sizes.trunk_layers or 0)))
        self.trunk_norm = nn.LayerNorm(width)
        last = layers.pop("action_out")
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.action_position = nn.Parameter(torch.empty(config.horizon, width))
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, dropout) for _ in range(int(sizes.decoder_layers or 0)))
        self.decoder_norm = nn.LayerNorm(width)
        self.action_out = cast(EmbodimentLinear, last)
        self.post_init()

    def get_input_embeddings(self) -> None:  # type: ignore[override]
        """None: there is no table of words. Asked by accelerate when weights are sharded."""

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, EmbodimentLinear):
            nn.init.trunc_normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            nn.init.zeros_(module.bias)
        elif isinstance(module, ConvStem):
            nn.init.normal_(module.position, std=0.02)
        elif isinstance(module, VidPolicy):
            for parameter in module.parameters(recurse=False):
                nn.init.normal_(parameter, std=0.02)
            nn.init.normal_(module.action_position, std=0.2)
            nn.init.zeros_(module.action_out.weight)

    def encode(
        self,
        images: Tensor,
        state: Tensor,
        state_known: Tensor,
        history: Tensor,
        history_known: Tensor,
        embodiment: Tensor,
        fov: Tensor,
        text: Tensor | None = None,
        images_known: Tensor | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the trunk's tokens for each decoder layer; see `forward` for the arguments."""
        return self.memory(
            self.trunk_tokens(images, state, state_known, history, history_known, embodiment, fov, text, images_known)
        )

    def memory(self, x_BND: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the trunk's tokens for each decoder layer."""
        return [cast(DecoderBlock, block).cross.memory(x_BND) for block in self.decoder]

    def trunk_tokens(
        self,
        images: Tensor,
        state: Tensor,
        state_known: Tensor,
        history: Tensor,
        history_known: Tensor,
        embodiment: Tensor,
        fov: Tensor,
        text: Tensor | None = None,
        images_known: Tensor | None = None,
    ) -> Tensor:
        """The trunk's tokens (B N D); see `forward` for the arguments."""
        state_token = self._state(self.state_in, state[:, None], state_known[:, None], embodiment, self.state_unknown)
        past = self._state(self.history_in, history, history_known, embodiment, self.history_unknown)
        angle, given = torch.nan_to_num(fov), torch.isfinite(fov).to(fov.dtype)
        camera = self.fov_token(torch.stack([angle, angle.square(), given], dim=-1))
        tokens = [
            self.embodiment_token[embodiment][:, None],
            camera[:, None],
            state_token,
            past + self.history_position,
            self._seen(images, images_known),
        ]
        if self.text_in is not None:
            tokens.append(self._told(text, images)[:, None])
        x = torch.cat(tokens, dim=1)
        for block in self.trunk:
            x = block(x)
        return self.trunk_norm(x)

    def _seen(self, images: Tensor, known: Tensor | None) -> Tensor:
        """Tokens (B N D) of all views; every token of a view that is not known is the learned `view_unknown`."""
        if self.view_position is None:
            return self.stem(images)
        tokens = self.stem(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        if known is not None and self.view_unknown is not None:
            tokens = torch.where(known[..., None, None], tokens, self.view_unknown.to(tokens.dtype))
        return (tokens + self.view_position[:, None]).flatten(1, 2)

    def _told(self, text: Tensor | None, images: Tensor) -> Tensor:
        """The instruction's token (B D); without an instruction that of an empty one."""
        assert self.text_in is not None
        if text is None:
            text = self.text_in.weight.new_zeros((len(images), self.text_in.in_features))
        return self.text_in(text)

    def _state(self, layer: nn.Module, value: Tensor, known: Tensor, embodiment: Tensor, unknown: Tensor) -> Tensor:
        """Tokens (B T D) of states (B T S); a state of which nothing is known becomes the learned `unknown`."""
        token = layer(torch.cat([value * known, known.to(value.dtype)], dim=-1), embodiment)
        return torch.where(known.any(dim=-1, keepdim=True), token, unknown.to(token.dtype))

    def decode(self, memory: Sequence[tuple[Tensor, Tensor]], tokens: Tensor) -> Tensor:
        """What the action tokens (B H D) have become after looking at the memory of `encode`."""
        for block, keys_values in zip(self.decoder, memory, strict=True):
            tokens = block(tokens, keys_values)
        return self.decoder_norm(tokens)

    def forward(
        self,
        images: Tensor,
        state: Tensor,
        state_known: Tensor,
        history: Tensor,
        history_known: Tensor,
        embodiment: Tensor,
        fov: Tensor,
        slot_mask: Tensor,
        action: Tensor,
        weight: Tensor,
        noise: Tensor,
        time: Tensor,
        text: Tensor | None = None,
        teacher: Tensor | None = None,
        teacher_share: float = 0.0,
        images_known: Tensor | None = None,
        people: Tensor | None = None,
        align: float = 0.0,
    ) -> VidPolicyOutput:
        """Weighted mean error of the action head (of the flow's velocity, squared), about 1 for a network that knows
        nothing.

        Computed here, where accelerate's wrappers see it. Each row's sum is divided by the size of its chunk, not by
        the weights of the batch: so the mean over processes is the loss of the whole batch, and a row of which little
        is known counts little.

        Args:
            images: (B P P 3) uint8, or (B V P P 3) where there are several views; with `model.vision` features what
                the backbone made of them, (B N F) or (B V N F).
            state: (B S) normalised state in slots, `state_known` (B S) bool what of it may be used.
            history: (B T S) normalised motion of earlier states relative to `state`, `history_known` likewise.
            embodiment: (B) int64 row of the adapters.
            fov: (B) horizontal field of view in radians, NaN where unknown.
            slot_mask: (B S) float, 1 where the embodiment has the slot.
            action: (B H S) normalised relative chunk; `weight` (B H S) is zero where there is no label.
            noise: (B K H S) standard normal, `time` (B K) in [.001, .999]: K draws share one encoding.
            text: (B F) features of the instructions (`model.text`), where the policy is told what to do.
            teacher: (B K H S) velocities of another policy at the same noise; `teacher_share` of the loss is the
                squared error against them (distillation).
            images_known: (B V) bool, which views there are (None: all); with one view alone it is not read.
            people: (B) bool, rows of people; `align` times the distance between what the trunk makes of them and of the
                others (`alignment`) is added to the loss.
        """
        tokens = self.trunk_tokens(
            images, state, state_known, history, history_known, embodiment, fov, text, images_known
        )
        memory = self.memory(tokens)
        labels = Labels(action=action, noise=noise, time=time, mask=slot_mask, embodiment=embodiment)
        predicted = self.action_head.predict(self, memory, labels)
        error = self.action_head.error(predicted, labels) * weight[:, None]
        draws = error.shape[1]
        size = slot_mask.sum(-1) * (action.shape[1] * draws)  # of a row if all its labels counted fully
        loss = (error.sum((1, 2, 3)) / size).mean()
        if teacher is not None:
            apart = self.action_head.error(predicted, labels, teacher) * slot_mask[:, None, None]
            loss = (1 - teacher_share) * loss + teacher_share * (apart.sum((1, 2, 3)) / size).mean()
        if people is not None:
            loss = loss + align * alignment(tokens.mean(1), people)
        slot_error, slot_weight = error.sum((0, 1, 2)), draws * weight.sum((0, 1))
        return VidPolicyOutput(loss=loss, slot_error=slot_error.detach(), slot_weight=slot_weight.detach())

    @torch.no_grad()
    def velocities(self, batch: dict[str, Tensor]) -> Tensor:
        """What the head says (velocities B K H S of the flow) on a training batch: a student's `teacher`."""
        seen = ("images", "state", "state_known", "history", "history_known", "embodiment", "fov")
        told = {name: batch[name] for name in ("text", "images_known") if name in batch}
        memory = self.encode(**{name: batch[name] for name in seen}, **told)
        names = {"mask": "slot_mask", **{name: name for name in ("action", "noise", "time", "embodiment")}}
        return self.action_head.predict(self, memory, Labels(**{k: batch[name] for k, name in names.items()}))

    @torch.no_grad()
    def sample(
        self,
        images: Tensor,
        state: Tensor,
        state_known: Tensor,
        history: Tensor,
        history_known: Tensor,
        embodiment: Tensor,
        fov: Tensor,
        slot_mask: Tensor,
        noise: Tensor,
        steps: int,
        text: Tensor | None = None,
        images_known: Tensor | None = None,
    ) -> Tensor:
        """Normalised relative chunks (B K H S) from noise (B K H S): pictures are encoded once for all draws."""
        memory = self.encode(images, state, state_known, history, history_known, embodiment, fov, text, images_known)
        return self.action_head.chunk(self, memory, slot_mask, embodiment, noise, steps)
