# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How the cells of the study of the auxiliary tasks are judged: conditions, errors, gradients."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from aux_motion_core.history.normalise import into_frame, normalise
from training.config import TrainConfig
from training.data.corrupt import COCO17, LIMBS, CorruptionConfig, paper_noise, random_joint_frames
from training.data.windows import Windows, cut
from training.losses import losses
from training.model import AuxMotionModel
from training.studies.auxiliary_tasks_design import HORIZONS_S


def conditions(w: Windows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the model gets to see: {condition: (past, observed)}, the same for all cells."""
    rng = np.random.default_rng(0)
    shape, n = w.past_mask.shape, len(w.past)
    full = lambda ratio: np.full(n, ratio)  # noqa: E731
    cases = {"clean": (w.past, w.past_mask)}
    for percent in range(10, 80, 10):
        gone = random_joint_frames(rng, shape, full(percent / 100))
        cases[f"missing {percent} %"] = (w.past, w.past_mask & ~gone)
    four = np.argsort(rng.random((n, shape[2])), 1)[:, None] < 4
    cases["four joints missing"] = (w.past, w.past_mask & ~four)
    cases["leg missing"] = (w.past, w.past_mask & ~LIMBS["left_leg"])
    cases["arm missing"] = (w.past, w.past_mask & ~LIMBS["right_arm"])
    frames = rng.random(shape[:2]) < 0.4
    frames[:, -1] = False  # the newest exists by definition
    cases["40 % of frames missing"] = (w.past, w.past_mask & ~frames[..., None])
    cases["COCO-17 joints"] = (w.past, w.past_mask & COCO17)
    for percent, mm in itertools.product((20, 50, 80), (20, 50, 100)):
        c = CorruptionConfig(
            noisy_low=percent / 100, noisy_high=percent / 100, sigma_low_m=mm / 1000, sigma_high_m=mm / 1000
        )
        cases[f"noise {mm} mm on {percent} %"] = (paper_noise(rng, w.past, c), w.past_mask)
    return cases


def interpolate(values: np.ndarray, mask: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The gaps of values (N, T, J, 3) filled linearly; at the ends held; joints never seen stand at `rest` (J, 3)."""
    steps = np.arange(mask.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(mask, steps, -1), 1)
    after = np.minimum.accumulate(np.where(mask, steps, len(steps))[:, ::-1], 1)[:, ::-1]
    b = np.where(before < 0, after, before).clip(0, len(steps) - 1)
    a = np.where(after == len(steps), before, after).clip(0, len(steps) - 1)
    f = ((steps - b) / np.maximum(a - b, 1))[..., None]
    at = lambda k: np.take_along_axis(values, k[..., None], 1)  # noqa: E731
    return np.where(mask.any(1)[:, None, :, None], at(b) * (1 - f) + at(a) * f, rest)


class Judge:
    """The windows of some clips, and the errors of a model on them, each clip's windows averaged first."""

    def __init__(self, clips: list, config: TrainConfig, stride_s: float) -> None:
        c = config.model
        cuts = [(k, cut(k, c.history_steps, c.future_steps, c.dt_s, stride_s)) for k in clips]
        cuts = [(k, w) for k, w in cuts if w is not None]
        self.names = [k.name for k, _ in cuts]
        self.of = np.repeat(np.arange(len(cuts)), [len(w.past) for _, w in cuts])
        parts = ("past", "past_mask", "future", "future_mask")
        self.w = Windows(*(np.concatenate([getattr(w, p) for _, w in cuts]) for p in parts))
        self.steps = [round(h / c.dt_s) - 1 for h in HORIZONS_S]
        self.cases = conditions(self.w)

    def mean(self, error: np.ndarray, counts: np.ndarray) -> list[list[float | None]]:
        """Mean in mm of (N, columns, joints) over what counts, by clip and column; None where nothing does."""
        error, counts = np.broadcast_arrays(error, counts)
        total, n = (np.zeros((len(self.names), error.shape[1])) for _ in range(2))
        np.add.at(total, self.of, (error * counts).sum(-1))
        np.add.at(n, self.of, counts.sum(-1))
        return [[round(1000 * t / k, 2) if k else None for t, k in zip(*row)] for row in zip(total, n)]

    def mean_past(self, error: np.ndarray, counts: np.ndarray) -> list[list[float | None]]:
        """The same of (N, history, joints), all in one column."""
        return self.mean(error.reshape(len(error), 1, -1), counts.reshape(len(error), 1, -1))

    @torch.no_grad()
    def run(self, model: AuxMotionModel, past: np.ndarray, mask: np.ndarray, fill: bool) -> dict[str, np.ndarray]:
        """The model's answers in the normalised frame, with the truth in it."""
        values, heading = normalise(past, mask)
        if fill:
            values, mask = interpolate(values, mask, np.array(model.config.rest_pose)), np.ones_like(mask)
        chunks = []
        for k in range(0, len(values), 128):
            x, m = (torch.as_tensor(a[k : k + 128], dtype=torch.float32) for a in (values, mask))
            out = model.forward_all(x, m)  # in training mode: all layers' heads answer; it has no dropout
            chunks.append([out["future"][:, :, self.steps].transpose(0, 1), out["recovered"], out["denoised"]])
        future, recovered, denoised = (torch.cat(c).numpy() for c in zip(*chunks))
        truth = into_frame(self.w.future[:, self.steps], heading)
        then = into_frame(self.w.past, heading)
        if fill:  # what was filled in is the recovery
            recovered = values
        distance = lambda a, b: np.linalg.norm(a - b, axis=-1)  # noqa: E731
        return {
            "future": distance(future[:, -1], truth),
            "layers": np.stack([distance(future[:, k], truth) for k in range(future.shape[1])]),
            "recovered": distance(recovered, then),
            "denoised": distance(denoised, then),
            "input": distance(values, then),
        }

    def judge(self, model: AuxMotionModel, fill: bool = False) -> dict:
        """Errors in mm: {condition: {what: by clip}}.

        Of the future and by horizon: of all joints, those that the newest step shows (`seen`), and the others. Of the
        past: `recovered` in its gaps; where there is noise, `denoised`, and the `input` itself.

        Args:
            fill: interpolate the gaps first and show the model the result as observed.
        """
        model.train()
        some = self.w.future_mask[:, self.steps]
        out = {}
        for name, (past, mask) in self.cases.items():
            gaps = self.w.past_mask & ~mask
            if fill and not gaps.any():
                continue
            e = self.run(model, past, mask, fill)
            seen = mask[:, -1][:, None]
            row = {
                "all": self.mean(e["future"], some),
                "seen": self.mean(e["future"], some & seen),
                "unseen": self.mean(e["future"], some & ~seen),
            }
            if gaps.any():
                row["recovered"] = self.mean_past(e["recovered"], gaps)
            if name.startswith("noise"):
                row["denoised"], row["input"] = (self.mean_past(e[k], mask) for k in ("denoised", "input"))
            if name == "clean":
                row["layers"] = [self.mean(x, some) for x in e["layers"]]
            out[name] = row
        return out


def gradient_cosines(model: AuxMotionModel, batches: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Mean cosine between the gradients of the tasks' losses on all that the tasks share.

    `predict~mask` is between the whole tasks, `predict~recovery` between prediction and the recovery of the past alone.
    """
    shared = [p for n, p in model.named_parameters() if not n.startswith(("recover_head", "denoise_head"))]

    def gradients(arm: str, batch: dict) -> dict[str, torch.Tensor]:
        loss = losses(model, batch, arm)
        made = {}
        for name in ("predict", "mask", "denoise"):
            g = torch.autograd.grad(loss[name], shared, retain_graph=True, allow_unused=True)
            made[name] = torch.cat([(torch.zeros_like(p) if x is None else x).ravel() for x, p in zip(g, shared)])
        return made

    rows = []
    for batch in batches:
        whole, past = gradients("both", batch), gradients("past_only", batch)
        pairs = {
            "predict~mask": (whole["predict"], whole["mask"]),
            "predict~denoise": (whole["predict"], whole["denoise"]),
            "mask~denoise": (whole["mask"], whole["denoise"]),
            "predict~recovery": (past["predict"], past["mask"]),
            "predict~cleaning": (past["predict"], past["denoise"]),
        }
        rows.append({k: torch.cosine_similarity(a, b, 0).item() for k, (a, b) in pairs.items()})
    return {k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]}
