# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Errors of predictions with what was known when they were made: what calibration and its evidence are counted from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from aux_motion_core.bounds.calibration import WINDOW_S
from aux_motion_core.bounds.radii import Known, equivalent_scale, known, reach_cap
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import denormalise, normalise
from aux_motion_core.history.resample import resample
from aux_motion_core.skeleton import JOINTS, JointStatus, derive_joints
from training.data.corrupt import COCO17, LIMBS, UPPER, newest_gone, random_joint_frames, structured_mask
from training.data.tracker_noise import redefine
from training.data.windows import Windows, cut

Infer = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
#: Bodies other than the recordings': smaller, larger, and with joints where another tracker puts them, by as much as
#: training has it (`training.data.sampler`).
BODIES = ("size_0.87", "size_1.13", "definition", "redefined")
#: A tracker's jitter on each joint and frame, in millimetres; truth is without it. For the test only.
NOISES = ("noise_10mm", "noise_30mm")
_DEFINITION_M = 0.025


_SIDES = ("left", "right")
#: Six joints of a tracker of arms at a table; and what is seen of somebody behind a shelf.
ARMS = np.isin(JOINTS, [f"{s}_{j}" for s in _SIDES for j in ("shoulder", "elbow", "wrist")])
LOWER = np.isin(JOINTS, ["pelvis", *(f"{s}_{j}" for s in _SIDES for j in ("hip", "knee", "ankle", "foot"))])


def _share(share: float):
    def take(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return ~random_joint_frames(rng, shape, np.full(shape[0], share))

    return take


def _set(joints: np.ndarray):
    return lambda rng, shape: np.broadcast_to(joints, shape)


def _limbs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    gone = np.stack(list(LIMBS.values()))[rng.integers(len(LIMBS), size=shape[0])]
    return np.broadcast_to(~gone[:, None], shape)


def _slow_input(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Every third to fifth frame only, the newest among them."""
    every = rng.integers(3, 6, shape[0])[:, None]
    step = np.arange(shape[1])[None]
    return np.broadcast_to(((shape[1] - 1 - step) % every == 0)[..., None], shape)


def _late(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The person came in some steps ago."""
    first = rng.integers(1, shape[1] - 5, shape[0])[:, None]
    return np.broadcast_to((np.arange(shape[1])[None] >= first)[..., None], shape)


def _long_gone(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Some joints were seen last four steps ago or more."""
    n, steps, joints = shape
    lost = np.where(rng.random((n, joints)) < 0.4, rng.integers(4, steps, (n, joints)), 0)
    return np.arange(steps)[None, :, None] < steps - lost[:, None]


#: name -> which joint-frames of a 25 Hz stream come in; then short gaps are interpolated as in the node.
CONDITIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "complete": lambda rng, shape: np.ones(shape, bool),
    "missing_10pct": _share(0.1),
    "missing_20pct": _share(0.2),
    "missing_30pct": _share(0.3),
    "missing_40pct": _share(0.4),
    "missing_50pct": _share(0.5),
    "coco17": _set(COCO17),
    "upper_body": _set(UPPER),
    "arms": _set(ARMS),
    "lower_body": _set(LOWER),
    "limb_lost": _limbs,
    "long_gone": _long_gone,
    "newest_gone": newest_gone,
    "occluded": structured_mask,
    "input_5_to_8hz": _slow_input,
    "just_arrived": _late,
}
#: Those that the table is made from; what lies between is for the test.
CALIBRATED_ON = (
    "complete",
    "missing_20pct",
    "missing_50pct",
    "coco17",
    "upper_body",
    "arms",
    "lower_body",
    "limb_lost",
    "long_gone",
    "newest_gone",
    "occluded",
    "input_5_to_8hz",
    "just_arrived",
)
#: Those whose missing share lies between 0 and 50 %.
MISSING = ("complete", *(f"missing_{p}0pct" for p in range(1, 6)))


@dataclass
class Scores:
    """M windows of clips under conditions. S steps, J joints.

    Attributes:
        error_m: (M, S, J) distance of the prediction, NaN where the truth was not seen.
        scale_m: (M, S, J) the model's scale, or None.
        cap_m: (M, S, J) what physics allows.
        age: (M, J), share (M,), speed_mps (M,), drift_mps (M,): what was known, see `bounds.Known`.
        clip: (M,) index of the clip.
        window: (M,) number of the piece of 1.4 s that the window starts in, over all clips: what is counted.
        condition: (M,) index into the conditions asked for.
    """

    error_m: np.ndarray
    scale_m: np.ndarray | None
    cap_m: np.ndarray
    age: np.ndarray
    share: np.ndarray
    speed_mps: np.ndarray
    clip: np.ndarray
    window: np.ndarray
    condition: np.ndarray
    drift_mps: np.ndarray | None = None

    def known(self) -> Known:
        """As the run time has it, without positions."""
        none = np.zeros(0)
        return Known(none, none, none, self.age, self.share, self.speed_mps, none, self.drift_mps)

    def take(self, rows: np.ndarray) -> Scores:
        """Some of the rows."""
        return Scores(*(None if (x := getattr(self, f.name)) is None else x[rows] for f in fields(self)))


def join(parts: list[Scores]) -> Scores:
    """One after the other."""
    columns = ([getattr(p, f.name) for p in parts] for f in fields(Scores))
    return Scores(*(None if c[0] is None else np.concatenate(c) for c in columns))


def corrupt(w: Windows, seen: np.ndarray, dt_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of which only `seen` came in, as the node cuts them: gaps up to `max_gap_s` interpolated.

    Returns:
        Windows, what is in them, and how often each joint was observed (N, J).
    """
    mask = w.past_mask & seen
    status = np.where(mask, JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)
    past, status = derive_joints(np.where(mask[..., None], w.past, 0.0), status)
    mask = status != JointStatus.MISSING
    times = mask.sum(1)
    steps = mask.shape[1]
    stamps_s = dt_s * np.arange(1 - steps, 1)
    gap_s = PredictorConfig().max_gap_s
    for i in np.flatnonzero(~mask.all((1, 2))):
        past[i], mask[i] = resample(stamps_s, past[i], mask[i], 0.0, dt_s, steps, gap_s)
    return past, mask, times


def predictable(mask: np.ndarray, dt_s: float) -> np.ndarray:
    """(N,) whether the node would predict: something newest and enough history (else it gives the reach set)."""
    rows = mask.any(2)
    first = np.argmax(rows, 1)
    span = mask.shape[1] - 1 - first
    c = PredictorConfig()
    return rows[:, -1] & (span >= round(c.min_history_s / dt_s)) & (rows.sum(1) >= 2)


def collect(
    clips: list,
    infer_of: Callable[[object], Infer],
    history: int,
    future: int,
    dt_s: float,
    conditions: tuple[str, ...],
    stride_s: float = 0.44,
    bodies: tuple[str, ...] = (),
    top_mps: np.ndarray | None = None,
    histories: list | None = None,
    max_gap_s: float = 0.12,
) -> tuple[Scores, list[str]]:
    """Predict windows of clips under conditions.

    Args:
        clips: to predict.
        infer_of: clip -> the backend's `infer` for it, one that did not see its recording group.
        history: steps.
        future: steps.
        dt_s: seconds from step to step.
        conditions: names of `CONDITIONS`.
        stride_s: between windows.
        bodies: of `BODIES` and `NOISES`: the complete windows again, of such a body, or with such noise.
        top_mps: (J,) for the cap.
        max_gap_s: longer gaps of the recording stay missing.
        histories: takes (values, mask) of every block, for other uses.

    Returns:
        Scores, and the names of all conditions, the bodies among them.
    """
    names = [*conditions, *bodies]
    steps_s = dt_s * np.arange(1, future + 1)
    parts: list[Scores] = []
    first_window = 0
    for k, clip in enumerate(clips):
        w = cut(clip, history, future, dt_s, stride_s, max_gap_s)
        if w is None:
            continue
        infer = infer_of(clip)
        stride = max(1, round(stride_s / dt_s))
        # `cut` drops windows without a joint in the newest step: count those that are left
        slot = first_window + (np.arange(len(w.past)) * stride * dt_s + 1e-6) // WINDOW_S
        first_window = int(slot[-1]) + 1
        for c, name in enumerate(names):
            rng = np.random.default_rng([k, c])
            seen = CONDITIONS["complete" if name in bodies else name](rng, w.past_mask.shape)
            past, mask, times = corrupt(w, seen, dt_s)
            truth = w.future
            if name.startswith("size_"):
                past, truth = (float(name.split("_")[1]) * x for x in (past, truth))
            elif name == "definition":
                shift = rng.normal(0.0, _DEFINITION_M, (len(past), 1, past.shape[2], 3))
                past, truth = past + shift, truth + shift
            elif name == "redefined":
                seen_all = np.concatenate([mask, w.future_mask], 1)
                both = redefine(rng, np.concatenate([past, truth], 1), seen_all)
                past, truth = both[:, :history], both[:, history:]
            elif name.startswith("noise_"):
                past = past + rng.normal(0.0, 1e-3 * float(name.removeprefix("noise_").removesuffix("mm")), past.shape)
            good = predictable(mask, dt_s)
            if not good.any():
                continue
            past, mask, truth, true_mask = past[good], mask[good], truth[good], w.future_mask[good]
            values, heading = normalise(past, mask)
            answers = [infer(values[i : i + 256], mask[i : i + 256]) for i in range(0, len(values), 256)]
            mean = denormalise(np.concatenate([a[0] for a in answers]), heading)
            scale = None
            if answers[0][2] is not None:
                scale = equivalent_scale(np.concatenate([a[2] for a in answers])).astype(np.float32)
            error = np.where(true_mask, np.linalg.norm(mean - truth, axis=-1), np.nan).astype(np.float32)
            what = known(past, mask, dt_s, times=times[good])
            cap = reach_cap(mean, what, steps_s, *(() if top_mps is None else (top_mps,))).astype(np.float32)
            n = len(error)
            parts.append(
                Scores(
                    error,
                    scale,
                    cap,
                    what.age,
                    what.share,
                    what.speed_mps,
                    np.full(n, k),
                    slot[good].astype(np.int64),
                    np.full(n, c),
                    what.drift_mps,
                )
            )
            if histories is not None:
                histories.append((values, mask))
    if not parts:
        least_s = (history + future - 1) * dt_s
        raise ValueError(f"no clip is longer than a window of {least_s:.2f} s: give longer recordings")
    return join(parts), names
