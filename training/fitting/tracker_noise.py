# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What trackers add to people who stand: measured, and as simulated by `training.data.corrupt`.

    python -m training.fitting.tracker_noise --data ../shared/data --json training/tracker_noise.json \\
        --picture docs/images/tracker_noise.png

Windows of 1.0 s in which no part of the lower body ends more than 5 cm from where it began: there every motion of hips,
knees and ankles is the tracker's, or the sway of standing. It is split into the sway that all of them share and what is
each joint's own. Both are described as an Ornstein-Uhlenbeck process with white noise, through the tracker's own
exponential filter, c(lag), whose three numbers are those whose windows, with their mean taken out as the measured ones
have it, give the nearest autocorrelation of position and of velocity. Scales are log-normal over windows.

Nothing else than these statistics is taken from recordings that are for validation only.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.history.resample import resample
from aux_motion_core.skeleton import INDEX, JOINTS, PARENTS
from training.data import load_split, unpack
from training.data.kinect import load_laban_csv
from training.data.tracker_noise import AXES, covariance

DT_S, STEPS, STRIDE, STILL_M = 0.04, 25, 12, 0.05
#: Joints that stay where somebody stands.
LOWER = [INDEX[n] for n in ("pelvis", *(f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle")))]
LAGS = (1, 2, 3, 5, 8, 12)
_JUMP_MPS = 5.0
_TAU_S = (0.04, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.8, 1.6)
_KEEP = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
_WHITE = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)


def trackers(data: Path) -> dict[str, list]:
    """The recordings of each tracker."""
    laban = sorted((unpack(data) / "tracker_samples").rglob("*.csv"))
    v2 = []
    for path in laban:
        try:
            v2.append(load_laban_csv(path, path.stem))
        except ValueError:  # the samples hold other formats, too
            continue
    return {
        "kinect_v1": load_split(data, "real_tracker"),
        "kinect_v2": v2 + load_split(data, "rehab"),
        "nuitrack": load_split(data, "nuitrack"),
    }


def _signature(c: np.ndarray) -> np.ndarray:
    """Autocorrelation of position and velocity at `LAGS` (those of velocity up to 3), of windows without their mean."""
    n = len(c)
    centre = np.eye(n) - 1.0 / n
    c = centre @ c @ centre.T
    step = np.diff(np.eye(n), axis=0)
    v = step @ c @ step.T
    lag = lambda m, k: np.diagonal(m, k).mean() / np.diagonal(m).mean()  # noqa: E731
    return np.array([*(lag(c, k) for k in LAGS), *(lag(v, k) for k in (1, 2, 3))])


_MODELS = {p: _signature(covariance(*p, STEPS, DT_S)) for p in itertools.product(_TAU_S, _KEEP, _WHITE)}


def fit_process(windows: np.ndarray) -> dict:
    """The numbers of `covariance` nearest to windows (N, STEPS), and both signatures.

    Every window counts alike: each is first divided by its own scale.
    """
    e = windows - windows.mean(1, keepdims=True)
    e = e / np.maximum(e.std(1, keepdims=True), 1e-6)
    got = _signature(e.T @ e / len(e))
    best = min(_MODELS, key=lambda p: float(np.square(_MODELS[p] - got).sum()))
    r = lambda x: [round(float(v), 3) for v in x]  # noqa: E731
    return {"tau_s": best[0], "keep": best[1], "white": best[2], "measured": r(got), "fitted": r(_MODELS[best])}


def log_normal(scale: np.ndarray) -> dict:
    """Median in metres and sigma of the logarithm, of what is not zero."""
    log = np.log(scale[scale > 1e-5])
    middle = float(np.exp(np.median(log)))
    # by the quantiles above the middle: what matters is how bad it gets
    sigma = float((np.quantile(log, 0.9) - np.median(log)) / 1.2816)
    return {"median_m": round(middle, 5), "log_sigma": round(sigma, 3)}


def cut_still(clips: list) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, STEPS, joints, 3) of people whose lower body stays, along `AXES`, and masks (N, STEPS, joints)."""
    out, masks = [], []
    for c in clips:
        n = int(c.duration_s / DT_S + 1e-6) + 1
        if n < STEPS:
            continue
        x, m = resample(c.stamps_s, c.positions, c.mask, c.stamps_s[0] + (n - 1) * DT_S, DT_S, n, 0.12)
        for a in range(0, n - STEPS + 1, STRIDE):
            w, seen = x[a : a + STEPS], m[a : a + STEPS]
            if not seen[:, LOWER].all():
                continue
            if np.linalg.norm(w[-8:, LOWER].mean(0) - w[:8, LOWER].mean(0), axis=-1).max() > STILL_M:
                continue
            ray = w[:, LOWER, :2].mean((0, 1))
            ray = ray / np.linalg.norm(ray)  # the camera is the origin
            turned = np.stack([w[..., :2] @ ray, w[..., :2] @ np.array([-ray[1], ray[0]]), w[..., 2]], -1)
            out.append(turned)
            masks.append(seen)
    return np.array(out), np.array(masks)


def definitions(data: Path) -> dict[str, float]:
    """By what share the median length of the bone to each joint's parent differs from source to source: what trackers
    and suits take for a head, a spine, a hand is not the same."""
    sources: dict[str, list] = {}
    for split in ("train", "work_train", "real_tracker", "rehab", "nuitrack", "handover"):
        for c in load_split(data, split):
            sources.setdefault(c.source, []).append(c)
    out = {}
    for j, p in enumerate(PARENTS):
        medians = []
        for clips in sources.values():
            both = [c.mask[:, j] & c.mask[:, p] for c in clips]
            length = [np.linalg.norm(c.positions[b, j] - c.positions[b, p], axis=-1) for c, b in zip(clips, both)]
            length = np.concatenate(length)
            if p >= 0 and len(length):
                medians.append(np.median(length))
        if len(medians) > 1:
            out[JOINTS[j]] = round(float(np.std(medians) / np.mean(medians)), 3)
    return out


def faults(clips: list) -> dict:
    """Shares of joint-frames that are missing (of joints that the clip has), and of steps faster than 5 m/s."""
    missing = jumps = of = steps = 0
    for c in clips:
        has = c.mask.any(0)
        missing += int((~c.mask[:, has]).sum())
        of += c.mask[:, has].size
        both = c.mask[1:] & c.mask[:-1]
        speed = np.linalg.norm(np.diff(c.positions, axis=0), axis=-1) / np.diff(c.stamps_s)[:, None]
        jumps += int((both & (speed > _JUMP_MPS)).sum())
        steps += int(both.sum())
    return {"missing_share": round(missing / of, 5), "jump_share": round(jumps / max(steps, 1), 5)}


def bones(w: np.ndarray, m: np.ndarray) -> float:
    """Median over bones of the share by which a bone's length, a mean over 1 s, differs from window to window."""
    out = []
    for j, p in enumerate(PARENTS):
        if p < 0:
            continue
        ok = m[:, :, j].all(1) & m[:, :, p].all(1)
        if ok.sum() > 20:
            length = np.linalg.norm(w[ok][:, :, j] - w[ok][:, :, p], axis=-1)
            within = (length.max(1) - length.min(1)) / length.mean(1)
            out.append(np.median(within))
    return round(float(np.median(out)), 4)


def measure(clips: list) -> dict:
    """All of one tracker."""
    w, m = cut_still(clips)
    common = w[:, :, LOWER].mean(2)
    own = w - common[:, :, None]
    own = own - own.mean(1, keepdims=True)
    # an arm moves: only windows in which this joint ends where it began count for it
    stays = m.all(1) & (np.linalg.norm(own[:, -8:].mean(1) - own[:, :8].mean(1), axis=-1) < 0.03)
    sway = common - common.mean(1, keepdims=True)
    scale = sway.std(1)  # (N, 3)
    trunk = own[:, :, LOWER]
    own_scale = np.sqrt(np.square(trunk).mean((1, 2)))  # (N, 3)
    middle = np.median(own_scale, 0)
    joint = {
        JOINTS[j]: round(float(np.median(own[stays[:, j], :, j].std(1).mean(-1)) / middle.mean()), 2)
        for j in range(len(JOINTS))
        if stays[:, j].sum() > 20
    }
    pairs = [(j, p) for j, p in enumerate(PARENTS) if p >= 0 and (stays[:, j] & stays[:, p]).sum() > 20]
    shared = []
    for j, p in pairs:
        a, b = (own[stays[:, j] & stays[:, p]][:, :, k] for k in (j, p))
        a, b = (x / np.maximum(x.std(1, keepdims=True), 1e-6) for x in (a, b))
        shared.append(float((a * b).mean()))
    return {
        "windows": len(w),
        "sway": {a: {**log_normal(scale[:, k]), **fit_process(sway[:, :, k])} for k, a in enumerate(AXES)},
        "own": {
            a: {
                **log_normal(own_scale[:, k]),
                **fit_process(np.moveaxis(trunk[..., k], 2, 1).reshape(-1, STEPS)),
            }
            for k, a in enumerate(AXES)
        },
        "own_over_sway_log_correlation": round(
            float(np.corrcoef(np.log(scale.mean(1) + 1e-5), np.log(own_scale.mean(1) + 1e-5))[0, 1]), 2
        ),
        "joint_over_lower_body": joint,
        "correlation_with_parent": round(float(np.mean(shared)), 2),
        "bone_range_in_a_second": bones(w, m),
        "distance_m": round(float(np.median(np.linalg.norm(w[:, :, LOWER, :2].mean((1, 2)), axis=-1))), 2),
        **faults(clips),
    }


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("training/tracker_noise.json"),
    picture: Annotated[Path | None, typer.Option(help="PNG: measured and simulated noise over each other")] = None,
) -> None:
    """Measure, write the parameters, and draw them over what the corruption makes of them."""
    try:
        found = {n: measure(c) for n, c in tqdm(trackers(data).items(), desc="trackers")}
        report = {
            "schema_version": 1,
            "command": "python -m training.fitting.tracker_noise",
            "lags_s": [round(k * DT_S, 2) for k in LAGS],
            "signature": "autocorrelation of position at lags_s, then of velocity at 0.04, 0.08, 0.12 s",
            "trackers": found,
            "definitions": definitions(data),
        }
        json_path.write_text(json.dumps(report, indent=1) + "\n")
        if picture:
            from training.fitting.tracker_noise_picture import draw

            draw(report, {n: cut_still(c) for n, c in trackers(data).items()}, LOWER, picture)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.fitting.tracker_noise: {e}") from None
    print(f"written: {json_path}")


if __name__ == "__main__":
    typer.run(main)
