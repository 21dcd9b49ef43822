# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The one training loop: a loss a step, a step of the optimiser, a moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


def average_decay(limit: float, step: int) -> float:
    """How much of the average stays in one step: little at first, `limit` later."""
    return min(limit, (step + 1) / (step + 10))


@dataclass
class Learner:
    """A model in training.

    Attributes:
        model: what is trained.
        average: the moving average of its weights, the same architecture.
        optimiser: of the model's parameters.
        clip_norm: the largest norm of a gradient; larger ones are scaled down to it.
    """

    model: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    clip_norm: float = 1.0

    def update(self, loss: torch.Tensor, rate: float, decay: float) -> None:
        """One step along the gradient of `loss` with learning rate `rate`; `decay` of the average stays."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)


def run(
    learner: Learner,
    steps: Iterable[int],
    loss_of: Callable[[int], tuple[torch.Tensor, Any]],
    rate_of: Callable[[int], float],
    decay_of: Callable[[int], float],
    explain: Callable[[int, Any], str],
) -> Iterator[tuple[int, float, Any]]:
    """Train through `steps`; yields (step, loss, what `loss_of` gave beside it) after each.

    Args:
        loss_of: step -> the loss to descend, and whatever the caller wants back.
        rate_of: step -> learning rate.
        decay_of: step -> how much of the average stays.
        explain: (step, what `loss_of` gave) -> why the loss is not finite and what to do, for the message.

    Raises:
        FloatingPointError: a loss is NaN or Inf; that step has changed no weight.
    """
    for step in steps:
        loss, beside = loss_of(step)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}{explain(step, beside)}")
        learner.update(loss, rate_of(step), decay_of(step))
        yield step, float(loss.detach()), beside
