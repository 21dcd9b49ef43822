# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints of training: what is in one, written whole or not at all, read with one clear error each."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from aux_motion_core.inference import artefact
from training.config import TrainConfig
from training.data.files import write_atomically
from training.data.terms import DataTerms
from training.model import AuxMotionModel, ModelConfig

CHECKPOINT_VERSION = 1
#: What a checkpoint must hold to begin from its weights, and what else to go on from it.
_BEGIN, _RESUME = ("config", "average", "step"), ("model", "optimiser", "history", "minutes")


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not the one that is needed."""


def save_atomically(state: dict, path: Path) -> None:
    """A checkpoint by `write_atomically`."""
    whole = io.BytesIO()  # torch hides what the disk says
    torch.save(state, whole)
    write_atomically(path, lambda f: f.write(whole.getbuffer()))


def load_checkpoint(path: Path, config: TrainConfig | None, device: torch.device) -> dict:
    """The state that a run goes on from; None for `config` takes any settings, to begin from its weights.

    Raises:
        CheckpointError: it is no checkpoint, of another version, or of a run with other settings.
    """
    again = "start again with --no-resume, or give another --out" if config else "name another checkpoint"
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as e:  # a damaged file raises whatever its bytes make of the reader
        reason = e.strerror if isinstance(e, OSError) and e.strerror else type(e).__name__
        raise CheckpointError(f"{path}: expected a checkpoint, got {reason}; {again}") from None
    version = state.get("version") if isinstance(state, dict) else None
    if version != CHECKPOINT_VERSION:
        raise CheckpointError(f"{path}: expected checkpoint version {CHECKPOINT_VERSION}, got {version}; {again}")
    lacking = [k for k in (*_BEGIN, *(_RESUME if config else ())) if k not in state]
    if lacking:
        raise CheckpointError(f"{path}: expected a whole checkpoint, {lacking[0]} is missing; {again}")
    try:
        settings = TrainConfig.model_validate(state["config"])
    except ValidationError as e:
        where = ".".join(map(str, e.errors()[0]["loc"])) or "all of them"
        raise CheckpointError(f"{path}: its settings are of another version ({where}); {again}") from None
    if config is None:
        return state
    now, was = (c.model_dump(mode="json") for c in (config, settings))
    other = [k for k in now if k not in ("steps", "validate_every", "loaders") and now[k] != was[k]]
    if other:
        raise CheckpointError(f"{path}: expected a run with the same settings, got other {', '.join(other)}; {again}")
    return state


def fitting(part: torch.nn.Module | torch.optim.Optimizer, state: dict, path: Path) -> None:
    """Load a part of a checkpoint into a model or an optimiser.

    Raises:
        CheckpointError: it does not fit; names the checkpoint.
    """
    try:
        part.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CheckpointError(
            f"{path}: expected weights of the model that its settings describe, got others "
            f"({reason.strip(' :')}): train again with --no-resume, or name another checkpoint"
        ) from None


def load_model(checkpoint: Path) -> tuple[AuxMotionModel, TrainConfig, dict]:
    """The averaged weights of a checkpoint; its config; its validation history and data (`DataTerms`).

    Raises:
        CheckpointError: it is no checkpoint, or of another version.
    """
    state = load_checkpoint(checkpoint, None, torch.device("cpu"))
    config = TrainConfig.model_validate(state["config"])
    model = AuxMotionModel(config.model)
    fitting(model, state["average"], checkpoint)
    run = {"steps_before": 0, "minutes_before": 0.0}
    run |= {k: state[k] for k in ("step", "history", "minutes", "device", *run) if k in state}
    run["data"] = DataTerms.of_checkpoint(state)
    return model.eval(), config, run


def load_weights(folder: Path) -> tuple[AuxMotionModel, artefact.Artefact]:
    """The model of an artefact, to train further.

    Raises:
        artefact.ArtefactError: the artefact is damaged, or holds no weights, or other ones.
    """
    loaded = artefact.load(folder)
    file, sizes = folder / "weights.safetensors", loaded.training.get("model_config")
    if not file.is_file() or not isinstance(sizes, dict):
        raise artefact.ArtefactError(
            f"{folder}: expected weights.safetensors and training.model_config in model.json to train further, found "
            "none: export the model's checkpoint again with python -m training.export"
        )
    try:
        model = AuxMotionModel(ModelConfig(**sizes))
        model.load_state_dict(load_file(file))
    except Exception as error:  # whatever damaged or other weights make of the readers
        reason = str(error).strip().splitlines()[0]
        raise artefact.ArtefactError(f"{file}: does not fit model.json ({reason}): export the model again") from None
    return model, loaded


def as_checkpoint(folder: Path) -> dict[str, Any]:
    """What `training.train.load_checkpoint` would give for the run that the artefact comes from; to go on from.

    Raises:
        artefact.ArtefactError: as `load_weights`.
    """
    model, loaded = load_weights(folder)
    was = loaded.training
    config = TrainConfig(
        name=loaded.name, seed=was["seed"], steps=was["steps"], batch=was["batch"], model=model.config
    )  # fmt: skip
    return {
        "version": CHECKPOINT_VERSION,
        "config": config.model_dump(mode="json"),
        "average": model.state_dict(),
        "step": was["steps"],
        "steps_before": was.get("steps_before", 0),
        "minutes": was["minutes"],
        "minutes_before": 0.0,
        "history": [{k: v for k, v in loaded.metrics.items() if k not in ("split", "unit")}],
        "device": was["device"],
        "data": DataTerms.of_artefact(was).model_dump(),
    }
