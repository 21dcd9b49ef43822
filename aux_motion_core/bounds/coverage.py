# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How often bounds held, how large they are, and how both weigh together. Plain numbers in, plain numbers out."""

from __future__ import annotations

import numpy as np

#: Approach speed of ISO 13855 for the body, the comparator of volumes.
ISO_SPEED_MPS = 1.6


def inside(error_m: np.ndarray, radius_m: np.ndarray) -> np.ndarray:
    """1.0 where the error is within the radius, 0.0 where not, NaN where the truth was not seen. Any shape."""
    return np.where(np.isnan(error_m), np.nan, (error_m <= radius_m).astype(np.float64))


def body_inside(error_m: np.ndarray, radius_m: np.ndarray) -> np.ndarray:
    """(...,) of (..., steps, joints): 1.0 where all that was seen of a body at all steps is within the radii."""
    seen = ~np.isnan(error_m)
    out = (seen & ~(error_m <= radius_m)).any((-2, -1))
    return np.where(seen.any((-2, -1)), 1.0 - out, np.nan)


def volume_ratio(radius_m: np.ndarray, steps_s: np.ndarray, speed_mps: float = ISO_SPEED_MPS) -> np.ndarray:
    """Volume of each sphere over that of the reach set of a fixed speed, (..., steps, joints)."""
    return (radius_m / (speed_mps * np.asarray(steps_s)[:, None])) ** 3


def winkler_m(error_m: np.ndarray, radius_m: np.ndarray, level: float) -> np.ndarray:
    """Interval score of a radius in metres, smaller is better: the radius, and 1 / (1 - level) of what sticks out.

    Winkler, "A decision-theoretic approach to interval estimation", JASA 67 (1972), for one bound instead of two.
    """
    return radius_m + np.maximum(error_m - radius_m, 0.0) / (1.0 - level)


def clip_means(values: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Mean of each clip that has any, (clips,).

    Args:
        values: (M, ...), NaN does not count.
        clip: (M,) which clip.
    """
    flat = values.reshape(len(values), -1)
    have = ~np.isnan(flat)
    names, at = np.unique(clip, return_inverse=True)
    total = np.bincount(at, np.where(have, flat, 0.0).sum(1), len(names))
    count = np.bincount(at, have.sum(1), len(names))
    return total[count > 0] / count[count > 0]


def interval(means: np.ndarray, rounds: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of clips; NaN of none."""
    if not len(means):
        return float("nan"), float("nan")
    pick = np.random.default_rng(seed).integers(len(means), size=(rounds, len(means)))
    low, high = np.percentile(means[pick].mean(1), [2.5, 97.5])
    return float(low), float(high)


def share(values: np.ndarray, clip: np.ndarray, level: float) -> dict[str, float | bool | int | None]:
    """Coverage as a mean over clips with its bootstrap interval, and whether the nominal level lies in that.

    Args:
        values: (M, ...) of `inside` or `body_inside`.
        clip: (M,) which clip.
        level: nominal.

    Returns:
        `overall`, `low`, `high`, `nominal_inside`, all None where nothing was seen; `clips`.
    """
    means = clip_means(values, clip)
    if not len(means):
        return {"overall": None, "low": None, "high": None, "nominal_inside": None, "clips": 0}
    low, high = interval(means)
    return {
        "overall": round(float(means.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "nominal_inside": bool(low - 1e-9 <= level <= high + 1e-9),
        "clips": len(means),
    }
