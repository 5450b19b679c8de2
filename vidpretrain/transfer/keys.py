"""What tells a cell from all others: what is finished is not run again, what is stale is not taken for it."""

from __future__ import annotations

from vidpretrain import config as configs
from vidpretrain.model.config import ModelConfig
from vidpretrain.training.config import TrainConfig
from vidpretrain.transfer.cells import Cell
from vidpretrain.transfer.config import TransferConfig

_VERSION = 1  # of what a cell is; a new number runs every cell anew
_CHOICES = (  # of cells, and what is in the key as it holds for the cell
    *("demos", "scratch_demos", "sets", "arms", "flip", "flip_demos", "recipes", "recipe_demos"),
    *("rates", "steps_of", "tune"),
)
_UNUSED = {  # parts of the configuration that an arm has nothing of
    "scratch": ("people", "bridges", "pretrain", "keep", "people_share"),
    "zero": ("finetune", "keep", "people_share"),
}
# Keys that the first lines were run with. A younger one is in the key where it is not at its default, which has to be
# what was done before it existed; where it is not, a new _VERSION is due.
_FIRST_MODEL = (
    "preset image_px stem width trunk_layers decoder_layers heads dropout history flow_steps vision flat_tokens text "
    "text_width"
)
_FIRST_TRAINING = (
    "steps batch_size draws lr min_lr trunk_lr_scale warmup schedule weight_decay betas clip_norm ema seed shift_px "
    "shift_state colour_jitter state_mask history_mask history_noise fov_mask horizon representation clip max_weight "
    "mixture speeds labels episodes episodes_of val_episodes val_every init adapters init_adapter_from init_parts "
    "init_normalizer frozen distil interpolate mixed_precision log_every save_every keep_checkpoints resume "
    "tensorboard"
)


def cell_key(config: TransferConfig, cell: Cell) -> str:
    """Sixteen hex digits of everything that a cell's line depends on but the code.

    What an arm does not use is not in it: another pretraining leaves the cells from scratch as they are.
    """
    made_of = configs.plain(config)
    made_of |= {"finetune": configs.plain(cell.training(config)), "keep": configs.plain(cell.keeping(config))}
    for name in (*_CHOICES, *_UNUSED.get(cell.arm, ())):
        made_of.pop(name)
    film = made_of.pop("film") | {"workers": None}
    if made_of.pop("level") == 2 and cell.arm != "scratch":  # others have the keys from before there was a level 2
        made_of["people"] = film
    model, training = configs.plain(ModelConfig()), configs.plain(TrainConfig())
    for name, first, usual in (
        ("model", _FIRST_MODEL, model),
        ("pretrain", _FIRST_TRAINING, training),
        ("finetune", _FIRST_TRAINING, training),
    ):
        if name in made_of:
            made_of[name] = {k: v for k, v in made_of[name].items() if k in first.split() or v != usual[k]}
    for name in ("slots", "workers"):
        made_of["play"].pop(name)
    said = {name: value for name, value in configs.plain(cell).items() if name != "recipe" or value}
    return configs.digest(_VERSION, said, made_of)
