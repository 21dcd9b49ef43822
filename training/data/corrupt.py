# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Corruption of observed windows: the paper's masking and noise, and what real trackers do.

All functions take windows (batch, steps, joints, 3) in metres and masks (batch, steps, joints), drawn per sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.resample import resample
from aux_motion_core.skeleton import INDEX, N_JOINTS
from training.data import tracker_noise as measured

_DT_S = 0.04  # the grid of the deployed model; gaps are counted on it


def _joints(*names: str) -> np.ndarray:
    keep = np.zeros(N_JOINTS, bool)
    keep[[INDEX[n] for n in names]] = True
    return keep


_SIDES = ("left", "right")
#: Joints that a COCO-17 tracker gives (pelvis and neck derived; no spine, hands, toes).
COCO17 = _joints(
    "pelvis",
    "neck",
    "head",
    *(f"{s}_{j}" for s in _SIDES for j in "shoulder elbow wrist hip knee ankle".split()),
)
#: A 14-joint tracker without head and pelvis of its own.
FOURTEEN = _joints(
    "pelvis", "neck", *(f"{s}_{j}" for s in _SIDES for j in "shoulder elbow wrist hip knee ankle".split())
)
#: The upper body, as seen across a table.
UPPER = _joints(
    "pelvis",
    "spine",
    "neck",
    "head",
    *(f"{s}_{j}" for s in _SIDES for j in "shoulder elbow wrist hand hip".split()),
)
LIMBS = {
    f"{s}_{name}": _joints(*(f"{s}_{j}" for j in joints.split()))
    for s in _SIDES
    for name, joints in (("arm", "elbow wrist hand"), ("leg", "knee ankle foot"))
}
_SETS = np.stack([COCO17, FOURTEEN, UPPER])
_LIMB_SETS = np.stack(list(LIMBS.values()))
#: Noise of a joint relative to the trunk's: extremities are worse.
_JOINT_NOISE = np.ones(N_JOINTS)
for _name, _factor in (
    ("wrist", 1.4),
    ("hand", 1.8),
    ("ankle", 1.4),
    ("foot", 1.8),
    ("elbow", 1.2),
    ("knee", 1.2),
):
    for _side in _SIDES:
        _JOINT_NOISE[INDEX[f"{_side}_{_name}"]] = _factor


@dataclass
class CorruptionConfig:
    """Ranges of the corruptions. Lengths in metres."""

    mask_low: float = 0.3
    mask_high: float = 0.7
    noisy_low: float = 0.2
    noisy_high: float = 0.6
    sigma_low_m: float = 0.01
    sigma_high_m: float = 0.1
    structured_share: float = 0.5  # of masked samples: what trackers do, not random joint-frames
    tracker_noise_share: float = 0.6  # of noised samples: what trackers do, not the paper's noise
    masked_and_noised_share: float = 0.4  # of masked samples: they carry tracker noise as well
    newest_gone_share: float = 0.0  # of masked samples: every joint lacks its newest frames, few or none
    interpolated_share: float = 0.0  # of masked samples: short gaps arrive interpolated, as from the node's resampling
    noised_and_masked_share: float = 0.4  # of noised samples: they also lack what trackers lack
    measured_share: float = 0.0  # of those with tracker noise: drawn from what was measured of trackers
    lag_share: float = 0.4  # of those with tracker noise: a filter's lag
    short_history_share: float = 0.0  # of all samples: nothing is known before some step


def random_joint_frames(rng: np.random.Generator, shape: tuple[int, int, int], ratio: np.ndarray) -> np.ndarray:
    """True with probability `ratio` (batch,) for each joint-frame."""
    return rng.random(shape) < ratio[:, None, None]


def structured_mask(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Observed mask (batch, steps, joints) as trackers leave it: joint sets, lost limbs, lost frames."""
    n, steps, joints = shape
    observed = np.ones(shape, bool)
    pick = rng.random((n, 4))
    sets = _SETS[rng.integers(len(_SETS), size=n)]
    observed &= np.where(pick[:, :1] < 0.5, sets, True)[:, None]
    # a limb is gone from, or until, some step, or altogether
    limb = ~_LIMB_SETS[rng.integers(len(_LIMB_SETS), size=n)]
    step = np.arange(steps)[None]
    edge = rng.integers(0, steps + 1, size=n)[:, None]
    span = np.where(rng.random((n, 1)) < 0.7, step >= edge, step < edge)
    span |= rng.random((n, 1)) < 0.4
    gone = (pick[:, 1] < 0.5)[:, None] & span
    observed &= ~gone[..., None] | limb[:, None]
    # whole frames: a low or uneven input rate, a late start; the newest frame exists by definition
    frames = rng.random((n, steps)) < rng.uniform(0.1, 0.6, (n, 1))
    late = step < rng.integers(0, steps - 1, size=n)[:, None]
    frames = np.where(rng.random((n, 1)) < 0.5, frames, late) & (pick[:, 2] < 0.5)[:, None]
    frames[:, -1] = False
    return observed & ~frames[..., None]


def newest_gone(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Observed mask (batch, steps, joints): each joint was last seen none to some frames ago, on its own."""
    n, steps, joints = shape
    lost = rng.geometric(rng.uniform(0.3, 0.9, (n, 1)), (n, joints)) - 1
    return np.arange(steps)[None, :, None] < steps - np.minimum(lost, steps - 1)[:, None]


def interpolate(windows: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows and masks after the node's resampling: gaps up to its `max_gap_s` are filled."""
    steps, gap_s = windows.shape[1], PredictorConfig().max_gap_s
    stamps_s = _DT_S * np.arange(1 - steps, 1)
    cuts = [resample(stamps_s, w, m, 0.0, _DT_S, steps, gap_s) for w, m in zip(windows, observed)]
    return np.stack([w for w, _ in cuts]), np.stack([m for _, m in cuts])


def tracker_noise(rng: np.random.Generator, windows: np.ndarray, config: CorruptionConfig | None = None) -> np.ndarray:
    """Observed windows as a depth or webcam tracker would give them.

    Noise as measured of trackers (`training.data.tracker_noise`), or depth jitter that grows with distance (common
    to the
    body, and per joint); smoothing lag, bone lengths that drift, single outliers.
    """
    c = config or CorruptionConfig()
    n, steps, joints, _ = windows.shape
    w = windows.astype(np.float64)
    # bone lengths: the body's size drifts along the window, about the root
    phase = rng.uniform(0, 2 * np.pi, (n, 1, joints, 1))
    drift = np.sin(phase + np.linspace(0, 1, steps)[None, :, None, None] * rng.uniform(0, 6, (n, 1, 1, 1)))
    w = w[:, :, :1] + (w - w[:, :, :1]) * (1.0 + rng.uniform(0.0, 0.05, (n, 1, 1, 1)) * drift)
    # isotropic jitter, worse at the extremities, correlated in time (trackers filter)
    sigma = np.exp(rng.uniform(np.log(0.001), np.log(0.03), (n, 1, 1, 1)))
    jitter = rng.normal(size=(n, steps, joints, 3)) * sigma * _JOINT_NOISE[:, None]
    # along the viewing ray: grows with the square of the distance
    distance = rng.uniform(1.0, 5.0, (n, 1, 1, 1))
    ray = rng.normal(size=(n, 1, 1, 3)) * np.array([1.0, 1.0, 0.25])
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    depth = 0.002 * distance**2 * (rng.normal(size=(n, steps, 1, 1)) * 0.7 + rng.normal(size=(n, steps, joints, 1)))
    jitter = jitter + ray * depth * (rng.random((n, 1, 1, 1)) < 0.5)
    keep = rng.uniform(0.0, 0.8, (n, 1, 1)) * (rng.random((n, 1, 1)) < 0.5)
    for k in range(1, steps):
        jitter[:, k] = keep * jitter[:, k - 1] + np.sqrt(1.0 - keep**2) * jitter[:, k]
    if c.measured_share:
        as_measured = np.flatnonzero(rng.random(n) < c.measured_share)
        jitter[as_measured] = measured.draw(rng, len(as_measured), steps)
    # a smoothing filter lags behind the motion
    lag = rng.uniform(0.0, 0.7, (n, 1, 1)) * (rng.random((n, 1, 1)) < c.lag_share)
    for k in range(1, steps):
        w[:, k] = lag * w[:, k - 1] + (1.0 - lag) * w[:, k]
    outlier = rng.random((n, steps, joints, 1)) < 0.01 * (rng.random((n, 1, 1, 1)) < 0.3)
    return w + jitter + outlier * rng.normal(size=w.shape) * 0.2


def paper_noise(rng: np.random.Generator, windows: np.ndarray, config: CorruptionConfig) -> np.ndarray:
    """Gaussian noise on a share of the joint-frames (AuxFormer's denoising task)."""
    n = len(windows)
    hit = random_joint_frames(rng, windows.shape[:3], rng.uniform(config.noisy_low, config.noisy_high, n))
    sigma = rng.uniform(config.sigma_low_m, config.sigma_high_m, n)[:, None, None, None]
    return windows + hit[..., None] * rng.normal(size=windows.shape) * sigma


def corrupt_masked(rng: np.random.Generator, windows: np.ndarray, c: CorruptionConfig) -> tuple[np.ndarray, np.ndarray]:
    """The masking task's input: windows and their observed mask; some also carry tracker noise."""
    n = len(windows)
    shape = windows.shape[:3]
    ratio = rng.uniform(c.mask_low, c.mask_high, n)
    structured = (rng.random(n) < c.structured_share)[:, None, None]
    observed = np.where(structured, structured_mask(rng, shape), ~random_joint_frames(rng, shape, ratio))
    if c.newest_gone_share:
        late = (rng.random(n) < c.newest_gone_share)[:, None, None]
        observed &= newest_gone(rng, shape) | ~late
    empty = ~observed.any((1, 2))
    observed[empty, -1] = True
    noisy = (rng.random(n) < c.masked_and_noised_share)[:, None, None, None]
    masked = np.where(noisy, tracker_noise(rng, windows, c), windows)
    if c.interpolated_share:
        filled = np.flatnonzero(rng.random(n) < c.interpolated_share)
        masked[filled], observed[filled] = interpolate(masked[filled], observed[filled])
    return masked, observed


def corrupt_noised(rng: np.random.Generator, windows: np.ndarray, c: CorruptionConfig) -> tuple[np.ndarray, np.ndarray]:
    """The denoising task's input: noise on observed joints; some also lack what trackers lack."""
    n = len(windows)
    tracker = (rng.random(n) < c.tracker_noise_share)[:, None, None, None]
    noised = np.where(tracker, tracker_noise(rng, windows, c), paper_noise(rng, windows, c))
    partial = (rng.random(n) < c.noised_and_masked_share)[:, None, None]
    return noised, np.where(partial, structured_mask(rng, windows.shape[:3]), True)
