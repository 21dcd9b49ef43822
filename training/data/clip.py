# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One recording of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.skeleton import N_JOINTS


@dataclass
class Clip:
    """One recording of one person as `body20` positions.

    Attributes:
        name: unique; names the file or the entry it came from.
        group: what was recorded together (a person, a session); splits never cut through one on purpose.
        action: motion class.
        rate_hz: nominal rate.
        stamps_s: (frames,) float64 seconds, ascending.
        positions: (frames, 20, 3) float32 metres, right-handed, z up, 0 where masked.
        mask: (frames, 20) bool, true where observed.
        licence: terms of the data.
        source: who recorded it.
    """

    name: str
    group: str
    action: str
    rate_hz: float
    stamps_s: np.ndarray
    positions: np.ndarray
    mask: np.ndarray
    licence: str
    source: str

    def __post_init__(self) -> None:
        n = len(self.positions)
        if self.positions.shape != (n, N_JOINTS, 3) or self.mask.shape != (n, N_JOINTS):
            raise ValueError(
                f"{self.name}: expected positions (n, {N_JOINTS}, 3) and mask (n, {N_JOINTS}), "
                f"got {self.positions.shape} and {self.mask.shape}"
            )
        if self.stamps_s.shape != (n,) or (n > 1 and not np.all(np.diff(self.stamps_s) > 0)):
            raise ValueError(f"{self.name}: expected {n} ascending stamps")
        if not np.isfinite(self.positions).all():
            raise ValueError(f"{self.name}: positions hold NaN or Inf; mask such joints and write 0")

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last frame."""
        return float(self.stamps_s[-1] - self.stamps_s[0]) if len(self.stamps_s) else 0.0


def z_up(positions: np.ndarray) -> np.ndarray:
    """(x, y up, z) -> (z, x, y): z up, and right-handed stays right-handed."""
    return np.stack([positions[..., 2], positions[..., 0], positions[..., 1]], -1)


def make_clip(
    name: str,
    group: str,
    action: str,
    rate_hz: float,
    positions: np.ndarray,
    licence: str,
    source: str,
    mask: np.ndarray | None = None,
    stamps_s: np.ndarray | None = None,
) -> Clip:
    """A clip from positions (frames, 20, 3), z up; what is not finite is masked as well."""
    positions = np.array(positions, dtype=np.float32)
    seen = np.isfinite(positions).all(-1)
    if mask is not None:
        seen &= mask
    positions[~seen] = 0.0
    stamps = np.arange(len(positions)) / rate_hz if stamps_s is None else np.asarray(stamps_s, dtype=np.float64)
    return Clip(name, group, action, float(rate_hz), stamps, positions, seen, licence, source)
