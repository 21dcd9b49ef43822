# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a stream of people is like: what was learnt from one is worth nothing for another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.skeleton import JOINTS, N_JOINTS

#: A loaded file is of another stream when people come at another rate by this factor; asked after so many seconds.
_RATE_FACTOR, ASK_S = 1.5, 3.0
#: So is one whose people show a joint often that they hardly showed then.
_OFTEN, _SELDOM = 0.5, 0.05


@dataclass
class LearningStream:
    """What a stream is like.

    Attributes:
        period_s: mean time between two observations of a person; 0: not known.
        joints: (J,) largest share of the time over which each joint was seen.
        watched_s: so long was looked.
    """

    period_s: float = 0.0
    joints: np.ndarray = field(default_factory=lambda: np.zeros(N_JOINTS))
    watched_s: float = 0.0
    _seen: np.ndarray = field(default_factory=lambda: np.zeros(N_JOINTS))

    @property
    def rate_hz(self) -> float:
        """Observations of a person a second; 0: not known."""
        return 1.0 / self.period_s if self.period_s > 0.0 else 0.0

    def add(self, passed_s: float, seen: np.ndarray) -> None:
        """People were seen so long after they were seen before, these joints (J,) of them, 0..1."""
        self.watched_s += passed_s
        new = max(1.0 - np.exp(-passed_s / ASK_S), passed_s / self.watched_s)  # a plain mean at first
        self.period_s += new * (passed_s - self.period_s)
        self._seen += new * (seen - self._seen)
        if self.watched_s >= 0.5 * ASK_S:
            np.maximum(self.joints, self._seen, out=self.joints)

    def unlike(self, other: LearningStream) -> str:
        """Why another stream is not this one; empty where it may be."""
        if self.period_s > 0.0 and not 1.0 / _RATE_FACTOR < other.period_s / self.period_s < _RATE_FACTOR:
            return f"{self.rate_hz:.0f} Hz then, {other.rate_hz:.0f} Hz now"
        more = (other.joints > _OFTEN) & (self.joints < _SELDOM)
        if more.any():
            return f"{', '.join(JOINTS[j] for j in np.flatnonzero(more)[:3])} not seen then"
        return ""
