# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The losses of prediction and of the auxiliary tasks."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist

from training.config import ALL_PARTS, PARTS, Arm
from training.model import AuxMotionModel


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Unsquared L2 over the last axis; the addend keeps the gradient finite at zero."""
    return ((a - b).square().sum(-1) + 1e-10).sqrt()


def losses(
    model: AuxMotionModel, batch: dict[str, torch.Tensor], arm: Arm = "both", horizon_power: float = 0.0
) -> dict[str, torch.Tensor]:
    """Losses of the tasks in metres, from one forward pass over the whole batch.

    Returns:
        `predict`, and `mask` and `denoise` where the arm has them; for the log `recover_past`, `denoise_past`.
    """
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    clean, observed, known = batch["clean"], batch["observed"], batch["known"]
    newer = slice(model.config.old_steps, h)  # of the older steps nothing is recovered
    names = PARTS.get(arm, ALL_PARTS)
    n = len(clean) // len(names)
    part = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(names)}
    recovered, denoised = out["recovered"], out["denoised"]
    if arm == "detached":  # what the heads add to is the trunk's, too: take its gradient out
        filled = model.base_motion(batch["past"], observed)[3]
        recovered, denoised = (x - filled + filled.detach() for x in (recovered, denoised))
    future = distance(out["future"], clean[:, h:])
    if horizon_power:
        share = model.ahead**-horizon_power
        future = future * (share / share.mean())[:, None]
    shown = known[:, h:]
    future = (future.mean(0) * shown).sum((1, 2)) / shown.sum((1, 2)).clamp(min=1.0)  # over layers, steps, joints
    loss = {"predict": future[part["clean"]].mean()}
    if "masked" in part:
        m = part["masked"]
        gap = ((1.0 - observed[m]) * known[m, :h])[:, newer]
        count = gap.sum()
        if dist.is_initialized():  # the mean over the gaps of all processes, so that theirs average to one process's
            dist.all_reduce(count)
            count = count / dist.get_world_size()
        recover = (distance(recovered[m, newer], clean[m, newer]) * gap).sum() / count.clamp(min=1.0)
        loss |= {"mask": recover, "recover_past": recover.detach()}
    if "noised" in part:
        d = part["noised"]
        shown = known[d, newer]
        denoise = (distance(denoised[d, newer], clean[d, newer]) * shown).sum() / shown.sum().clamp(min=1.0)
        loss |= {"denoise": denoise, "denoise_past": denoise.detach()}
    for name, key in (("masked", "mask"), ("noised", "denoise")):
        if key in loss and arm == "augment":
            loss[key] = future[part[name]].mean()
        elif key in loss and arm != "past_only":
            loss[key] = loss[key] + future[part[name]].mean()
    return loss


class Tasks(torch.nn.Module):
    """The model with the losses of its tasks as its forward pass: what is compiled and distributed."""

    def __init__(
        self, model: AuxMotionModel, arm: Arm = "both", bf16_on: str | None = None, horizon_power: float = 0.0
    ) -> None:
        """`bf16_on`: the type of the device whose forward pass is in bfloat16; None: in float32."""
        super().__init__()
        self.model, self.arm, self.bf16_on, self.horizon_power = model, arm, bf16_on, horizon_power
        if bf16_on:  # positions in metres and velocities fitted to them need all their digits
            model.base_motion = torch.autocast(bf16_on, enabled=False)(model.base_motion)
        if arm == "detached":
            for head in (model.recover_head, model.denoise_head):
                head.register_forward_pre_hook(lambda _, tokens: (tokens[0].detach(),))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        with torch.autocast(self.bf16_on or "cpu", torch.bfloat16, enabled=bool(self.bf16_on)):
            return losses(self.model, batch, self.arm, self.horizon_power)


@torch.no_grad()
def blame(model: AuxMotionModel, batch: dict[str, torch.Tensor], names: np.ndarray) -> str:
    """Which recordings give a loss that is no number; `names` (B,) are those that the samples come from."""
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    error = (distance(out["future"], batch["clean"][:, h:]) * batch["known"][:, h:]).mean((0, 2, 3))
    for key in ("recovered", "denoised"):
        error = error + distance(out[key], batch["clean"][:, :h]).mean((1, 2))
    bad = ~torch.isfinite(error).cpu().numpy()
    if bad.all():
        return "of every sample: the weights have diverged, lower learning_rate"
    return f"of samples from {', '.join(sorted(set(names[bad])))}: look for wild values there, or leave it out"
