# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Begin a network with those weights of another one that fit."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from training.model import AuxMotionModel


@torch.no_grad()
def begin_with(model: AuxMotionModel, weights: Path) -> float:
    """Take weights over where they mean the same; what is new stays as it was drawn, or does nothing at first.

    Of another network's two patches and two future slots the patches' and the first slot's places are taken; a
    prediction head with more coefficients begins with none of the higher ones.

    Args:
        weights: safetensors, of an artefact or a fold.

    Returns:
        The share of this network's weights that were taken over.

    Raises:
        ValueError: nothing fits, so that it is another kind of file.
        OSError: it cannot be read.
    """
    try:
        theirs = load_file(weights)
    except OSError:
        raise
    except Exception as e:  # a damaged file raises whatever its bytes make of the reader
        raise ValueError(f"{weights}: expected weights as safetensors, got {type(e).__name__}") from None
    taken = total = 0
    for name, mine in model.named_parameters():
        if name.startswith("blend."):
            continue
        total += mine.numel()
        other = theirs.get(name)
        if other is None:
            continue
        if other.shape == mine.shape:
            mine.copy_(other)
        elif name == "time_embedding" and len(mine) < len(other):
            mine.copy_(other[: len(mine)])  # the patches', then the first future slots'
        elif name.startswith("predict_heads.") and ".linear." in name and len(mine) > len(other):
            mine.zero_()
            mine[: len(other) - 2].copy_(other[:-2])  # the last two are the gates
            mine[-2:].copy_(other[-2:])
        else:
            continue
        taken += other.numel()
    if not taken:
        raise ValueError(f"{weights}: expected weights of a network of this kind, none fits")
    return min(1.0, taken / max(total, 1))
