"""VidPolicy: a small vision-to-action transformer in the shape of a transformers model.

Letters: B batch, H horizon, S slots, D width, P pictures' pixels, K flow draws per row, T states of history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from vidpretrain import config as configs
from vidpretrain.errors import CheckpointError, nearest
from vidpretrain.model import flow
from vidpretrain.model.blocks import ConvStem, DecoderBlock, EmbodimentLinear, TrunkBlock, time_embedding
from vidpretrain.model.config import ModelConfig
from vidpretrain.model.slots import SlotLayout
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
        **kwargs: Any,
    ) -> None:
        self.model = model or configs.plain(ModelConfig())
        self.embodiments = embodiments or []
        self.horizon = horizon
        self.sources = sources or []
        self.code_version = code_version
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
    """Image, state, history, field-of-view and embodiment tokens, a shared trunk, a flow-matching chunk decoder."""

    config_class = VidPolicyConfig
    main_input_name = "images"

    def __init__(self, config: VidPolicyConfig) -> None:
        super().__init__(config)
        sizes, slots = config.model_config(), config.layout().width
        embodiments, width = len(config.embodiments), int(sizes.width or 0)
        heads, dropout = int(sizes.heads or 1), float(sizes.dropout or 0.0)
        flat = sizes.flat_tokens if sizes.vision == "flat" else None
        self.stem = ConvStem(sizes.stem or (), int(sizes.image_px or 0), width, flat)
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
        self.action_in = EmbodimentLinear(embodiments, slots, width)
        self.action_position = nn.Parameter(torch.empty(config.horizon, width))
        self.time_mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, dropout) for _ in range(int(sizes.decoder_layers or 0)))
        self.decoder_norm = nn.LayerNorm(width)
        self.action_out = EmbodimentLinear(embodiments, width, slots)
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
    ) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the trunk's tokens for each decoder layer; see `forward` for the arguments."""
        state_token = self._state(self.state_in, state[:, None], state_known[:, None], embodiment, self.state_unknown)
        past = self._state(self.history_in, history, history_known, embodiment, self.history_unknown)
        angle, given = torch.nan_to_num(fov), torch.isfinite(fov).to(fov.dtype)
        camera = self.fov_token(torch.stack([angle, angle.square(), given], dim=-1))
        tokens = [
            self.embodiment_token[embodiment][:, None],
            camera[:, None],
            state_token,
            past + self.history_position,
            self.stem(images),
        ]
        if self.text_in is not None:
            tokens.append(self._told(text, images)[:, None])
        x = torch.cat(tokens, dim=1)
        for block in self.trunk:
            x = block(x)
        x = self.trunk_norm(x)
        return [cast(DecoderBlock, block).cross.memory(x) for block in self.decoder]

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

    def velocity(
        self, memory: list[tuple[Tensor, Tensor]], x: Tensor, time: Tensor, slot_mask: Tensor, embodiment: Tensor
    ) -> Tensor:
        """Velocity of the flow (B H S) at x (B H S) and time (B); slots outside the mask neither enter nor leave."""
        width = self.action_position.shape[-1]
        token = self.action_in(x * slot_mask[:, None], embodiment) + self.action_position
        token = token + self.time_mlp(time_embedding(time, width))[:, None]
        for block, keys_values in zip(self.decoder, memory, strict=True):
            token = block(token, keys_values)
        skip, scale = flow.precondition(time)
        network = self.action_out(self.decoder_norm(token), embodiment)
        return (skip[:, None, None] * x + scale[:, None, None] * network) * slot_mask[:, None]

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
    ) -> VidPolicyOutput:
        """Weighted mean squared error of the flow's velocity, about 1 for a network that knows nothing.

        Computed here, where accelerate's wrappers see it. Each row's sum is divided by the size of its chunk, not by
        the weights of the batch: so the mean over processes is the loss of the whole batch, and a row of which little
        is known counts little.

        Args:
            images: (B P P 3) uint8.
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
        """
        memory = self.encode(images, state, state_known, history, history_known, embodiment, fov, text)
        draws = time.shape[1]
        memory, mask, who = _for_draws(memory, slot_mask, embodiment, draws)
        x, target = flow.interpolate(action[:, None], noise, time)
        predicted = self.velocity(memory, x.flatten(0, 1), time.flatten(), mask, who)
        weights = weight.repeat_interleave(draws, 0)
        scale = flow.precondition(time.flatten())[1][:, None, None]
        error = ((predicted.float() - target.flatten(0, 1).float()) / scale).square() * weights
        slot_error, slot_weight = error.sum((0, 1)), weights.sum((0, 1))
        labels = slot_mask.sum(-1) * (action.shape[1] * draws)  # of a row if all its labels counted fully
        loss = (error.unflatten(0, (-1, draws)).sum((1, 2, 3)) / labels).mean()
        if teacher is not None:
            apart = ((predicted.float() - teacher.flatten(0, 1).float()) / scale).square() * mask[:, None]
            apart = (apart.unflatten(0, (-1, draws)).sum((1, 2, 3)) / labels).mean()
            loss = (1 - teacher_share) * loss + teacher_share * apart
        return VidPolicyOutput(loss=loss, slot_error=slot_error.detach(), slot_weight=slot_weight.detach())

    @torch.no_grad()
    def velocities(self, batch: dict[str, Tensor]) -> Tensor:
        """Velocities (B K H S) at the noise and times of a training batch: what a student is given as `teacher`."""
        told = {name: batch[name] for name in ("text",) if name in batch}
        seen = ("images", "state", "state_known", "history", "history_known", "embodiment", "fov")
        memory = self.encode(**{name: batch[name] for name in seen}, **told)
        draws = batch["time"].shape[1]
        memory, mask, who = _for_draws(memory, batch["slot_mask"], batch["embodiment"], draws)
        x, _ = flow.interpolate(batch["action"][:, None], batch["noise"], batch["time"])
        return self.velocity(memory, x.flatten(0, 1), batch["time"].flatten(), mask, who).unflatten(0, (-1, draws))

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
    ) -> Tensor:
        """Normalised relative chunks (B K H S) from noise (B K H S): pictures are encoded once for all draws."""
        memory = self.encode(images, state, state_known, history, history_known, embodiment, fov, text)
        draws = noise.shape[1]
        memory, mask, who = _for_draws(memory, slot_mask, embodiment, draws)
        flat = flow.euler(lambda x, time: self.velocity(memory, x, time, mask, who), noise.flatten(0, 1), steps)
        return flat.unflatten(0, (-1, draws))


def _for_draws(
    memory: list[tuple[Tensor, Tensor]], slot_mask: Tensor, embodiment: Tensor, draws: int
) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Encoding, slots and embodiment of every row, once for each of its draws: B becomes B K."""
    memory = [(key.repeat_interleave(draws, 0), value.repeat_interleave(draws, 0)) for key, value in memory]
    return memory, slot_mask.repeat_interleave(draws, 0), embodiment.repeat_interleave(draws, 0)
