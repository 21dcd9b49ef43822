# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether input is like what the radii were calibrated on: features of a history, and one score of them.

Features are cheap functions of what was observed: how long bones are, how much their length and the joints shake, how
fast joints move, and how unusual the directions of the bones are (Mahalanobis distance, as in Lee et al., "A simple
unified framework for detecting out-of-distribution samples", NeurIPS 2018, on poses instead of network features). The
score is the largest of them, each over its own high quantile on the calibration's windows; its threshold is a quantile
as well, so the rate of false alarms on input of that kind is known. What it cannot see is motion that is unlike, with
poses and speeds that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aux_motion_core.arrays import every, lengths
from aux_motion_core.bounds.calibration import Familiar, conformal_quantile
from aux_motion_core.skeleton import JOINTS, PARENTS

_CHILD = slice(1, None)  # all joints but the root, which is the first
_PARENT = np.array(PARENTS[_CHILD])
FEATURES = ("size", "bone", "bone_change", "shaking", "speed", "pose")
#: Trackers and suits put spine, neck, head and hands in different places (`definitions` in
#: training/data/tracker_noise.json:
#: the share by which these bones differ between sources, the others by 0.1): these bones count as much less.
_DEFINITION = {"spine": 0.47, "neck": 0.21, "head": 0.54, "left_hand": 0.34, "right_hand": 0.34}
_DIFFERS = np.array([_DEFINITION.get(JOINTS[j], 0.1) for j in range(1, len(JOINTS))])
_COUNTS = 0.1 / _DIFFERS
#: What differs by more than so many times that is no definition: it counts in full.
_NO_DEFINITION = 3.0
#: Fewer bones say nothing about size or pose.
_MIN_BONES = 3
_HIGH = 0.99


def bones(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bones (..., 19, 3) from parent to child, and which have both ends observed (..., 19)."""
    bone = values[..., _CHILD, :] - values.take(_PARENT, -2)
    return bone, mask[..., _CHILD] & mask.take(_PARENT, -1)


def _mean(x: np.ndarray, of: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Mean over `axis` of those that count."""
    return (x * of).sum(axis) / np.maximum(of.sum(axis), 1)


@dataclass(frozen=True)
class Usual:
    """Bones as the calibration's histories have them.

    Attributes:
        bone_m: (19,) lengths.
        bone_mean: (19, 3) directions.
        bone_precision: (19, 3, 3) of the directions.
    """

    bone_m: np.ndarray
    bone_mean: np.ndarray
    bone_precision: np.ndarray

    @cached_property
    def share(self) -> np.ndarray:
        """(19,) how much each bone weighs where all are seen: as it is long, short ones are mostly noise."""
        share: np.ndarray = self.bone_m / self.bone_m.sum()
        return share


def features(values: np.ndarray, mask: np.ndarray, dt_s: float, usual: Usual, whole: bool | None = None) -> np.ndarray:
    """Features of each history, in the order of `FEATURES`.

    Args:
        values: (N, T, J, 3) metres, in the normalised frame.
        mask: (N, T, J) bool.
        dt_s: seconds from step to step.
        usual: what bones are like.
        whole: all joints are observed in all steps; None: look.

    Returns:
        (N, 6) float64; 0 where the history does not tell.
    """
    whole = every(mask) if whole is None else whole
    if whole and mask.shape[1] > 2:
        return _of_whole(values, dt_s, usual)
    return _of_parts(values, mask, dt_s, usual)


def _of_whole(values: np.ndarray, dt_s: float, usual: Usual) -> np.ndarray:
    """As `features`, where nothing is missing: all lengths at once."""
    n, steps, joints, _ = values.shape
    count = joints - 1
    bones_end = steps * count
    first_end = bones_end + (steps - 1) * joints
    vectors = np.empty((n, first_end + (steps - 2) * joints, 3), values.dtype)
    bone = vectors[:, :bones_end].reshape(n, steps, count, 3)
    first = vectors[:, bones_end:first_end].reshape(n, steps - 1, joints, 3)
    second = vectors[:, first_end:].reshape(n, steps - 2, joints, 3)
    np.subtract(values[:, :, _CHILD], values.take(_PARENT, 2), out=bone)
    np.subtract(values[:, 1:], values[:, :-1], out=first)
    np.subtract(first[:, 1:], first[:, :-1], out=second)
    long = lengths(vectors)
    length = long[:, :bones_end].reshape(n, steps, count)
    unit = bone[:, -1] / np.maximum(length[:, -1], 1e-6)[..., None] - usual.bone_mean

    mean_length = length.sum(1) / steps
    ratio = np.log(np.maximum(mean_length, 1e-3) / usual.bone_m)
    length -= mean_length[:, None]
    found = np.empty((n, len(FEATURES)))
    size = ratio @ usual.share
    found[:, 0] = np.abs(size)
    found[:, 1] = _bone_off(ratio - size[:, None], usual.bone_m)
    found[:, 2] = np.sqrt(np.square(length, out=length).sum(1) / steps).sum(1) / count
    found[:, 3] = long[:, first_end:].sum(1) / ((steps - 2) * joints)
    speed = long[:, bones_end:first_end].reshape(n, steps - 1, joints).sum(1)
    found[:, 4] = speed.max(1) / ((steps - 1) * dt_s)
    found[:, 5] = np.sqrt(((unit[:, :, None] @ usual.bone_precision)[:, :, 0] * unit).sum((1, 2)) / count)
    return found


def _bone_off(off: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) the bone that is farthest from its size beside the body's, (N, 19) in logarithms."""
    off = np.abs(off)
    off *= np.where(off > _NO_DEFINITION * _DIFFERS, 1.0, _COUNTS)
    worst: np.ndarray = (off * weight).max(1)
    return worst


def _of_parts(values: np.ndarray, mask: np.ndarray, dt_s: float, usual: Usual) -> np.ndarray:
    """As `features`, where joints are missing."""
    bone, have = bones(values, mask)
    length = lengths(bone)
    mean_length = _mean(length, have, (1,))
    n = have.sum(1)
    there = n > 0
    ratio = np.log(np.maximum(np.where(there, mean_length, 1.0), 1e-3) / np.where(there, usual.bone_m, 1.0))
    # each bone weighs as it is long: short ones are mostly noise
    weight = there * usual.bone_m
    size = (ratio * weight).sum(1) / np.maximum(weight.sum(1), 1e-9)
    enough = there.sum(1) >= _MIN_BONES
    odd = _bone_off(ratio - size[:, None], weight) * enough
    length -= mean_length[:, None]
    spread = np.sqrt(_mean(np.square(length, out=length), have, (1,)))
    change = _mean(spread, n > 1, (1,)) * enough

    first = values[:, 1:] - values[:, :-1]
    pair = mask[:, 1:] & mask[:, :-1]
    both = pair[:, 1:] & pair[:, :-1]
    speed = _mean(lengths(first), pair, (1,)).max(1) / dt_s
    shaking = _mean(lengths(first[:, 1:] - first[:, :-1]), both, (1, 2))

    # directions in the newest steps that have the bone
    newest = have.shape[1] - 1 - np.argmax(have[:, ::-1], axis=1)
    last = np.take_along_axis(bone, newest[:, None, :, None], 1)[:, 0]
    unit = last / np.maximum(lengths(last), 1e-6)[..., None] - usual.bone_mean
    away = np.einsum("nbc,nbc->nb", (unit[:, :, None] @ usual.bone_precision)[:, :, 0], unit)
    pose = np.sqrt(_mean(away, there, (1,))) * enough
    return np.stack([np.abs(size) * enough, odd, change, shaking, speed, pose], 1)


def score(found: np.ndarray, familiar: Familiar) -> np.ndarray:
    """(N,) how unlike the calibration's histories are; above `familiar.threshold` is out of distribution."""
    return ((found - np.asarray(familiar.centre)) / np.asarray(familiar.spread)).max(1)


def fit(
    values: np.ndarray, mask: np.ndarray, usual: np.ndarray, dt_s: float, weights: np.ndarray, n: int, rate: float
) -> Familiar:
    """Learn what is usual.

    Args:
        values: (M, T, J, 3) normalised histories, with all that they may suffer.
        mask: (M, T, J) bool.
        usual: (M,) bool: those of real size and without noise, for bones and poses.
        dt_s: seconds from step to step.
        weights: (M,) of each; copies of one window share a weight of 1.
        n: windows that do not overlap.
        rate: of false alarms.

    Raises:
        ValueError: n is too small for the rate.
    """
    bone, have = bones(values[usual], mask[usual])
    length = np.linalg.norm(bone, axis=-1)
    bone_m = np.array([np.median(length[..., b][have[..., b]]) for b in range(len(_PARENT))])
    last, seen = bone[:, -1], have[:, -1]
    unit = last / np.maximum(np.linalg.norm(last, axis=-1, keepdims=True), 1e-6)
    mean = np.stack([unit[seen[:, b], b].mean(0) for b in range(len(_PARENT))])
    # directions of stiff bones hardly vary: no less than a tracker's noise, 0.1
    precision = np.stack(
        [np.linalg.inv(np.cov(unit[seen[:, b], b].T) + 0.1**2 * np.eye(3)) for b in range(len(_PARENT))]
    )
    found = features(values, mask, dt_s, Usual(bone_m, mean, precision))
    centre = conformal_quantile(found, 0.5, weights, n)
    spread = np.maximum(conformal_quantile(found, _HIGH, weights, max(n, 99)) - centre, 1e-6)
    scores = ((found - centre) / spread).max(1)
    threshold = float(conformal_quantile(scores, 1.0 - rate, weights, n))
    if not np.isfinite(threshold):
        least = f"expected at least {1 / rate:.0f}"
        raise ValueError(f"{n} windows are too few for a rate of false alarms of {rate:g}: {least}")
    return Familiar(
        features=list(FEATURES),
        centre=[round(float(x), 5) for x in centre],
        spread=[round(float(x), 5) for x in spread],
        threshold=round(threshold, 4),
        false_alarm_rate=rate,
        bone_m=[round(float(x), 4) for x in bone_m],
        bone_mean=[[round(float(x), 4) for x in r] for r in mean],
        bone_precision=[[[round(float(x), 3) for x in r] for r in m] for m in precision],
    )


class Unfamiliar:
    """`score` ready to be asked.

    Args:
        familiar: what is usual.
        dt_s: seconds from step to step.
    """

    def __init__(self, familiar: Familiar, dt_s: float) -> None:
        self._familiar, self._dt_s = familiar, dt_s
        self._usual = Usual(*map(np.asarray, (familiar.bone_m, familiar.bone_mean, familiar.bone_precision)))
        self._centre, self._spread = np.asarray(familiar.centre), np.asarray(familiar.spread) * familiar.threshold

    def __call__(self, values: np.ndarray, mask: np.ndarray, whole: bool | None = None) -> np.ndarray:
        """(N,) score of normalised histories over the threshold: above 1 is out of distribution; see `features`."""
        found = features(values, mask, self._dt_s, self._usual, whole)
        result: np.ndarray = ((found - self._centre) / self._spread).max(1)
        return result
