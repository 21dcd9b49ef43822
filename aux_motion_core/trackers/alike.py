# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bodies of two cameras that move alike but apart: most likely one body, and a transform that is wrong.

Two people do not move their hands and feet alike for seconds; one body that two cameras see does, up to the rotation
and translation by which the two calibrations differ. It would be two people for everybody who asks, one of them where
nobody is, so it is named.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.space.rigid import fit_rigid
from aux_motion_core.types import SkeletonFrame

#: Sights of a body are kept for so long, one in so many seconds.
_WINDOW_NS, _EACH_NS = 4 * NS, NS // 10
#: Bodies of two cameras are compared so often.
_CHECK_NS = NS
#: So long a time in common tells something, and so many joints of each time.
_COMMON_NS, _JOINTS = 3 * NS, 6
#: Nearer than this they are one body for the fusion; metres.
_APART_M = 0.3
#: The body's parts move at least so much about their mean, standard deviation, metres; standing people are all alike.
_MOVES_M = 0.25
#: Joints stay so near to those of the other body after the best rotation and translation, root mean square, metres.
_ALIKE_M = 0.1
#: For so long it is named after it was seen last.
_SAID_NS = 10 * NS
_Key = tuple[int, str]
_Sight = tuple[int, np.ndarray, np.ndarray]  # stamp, places (20, 3), which were seen (20,)


class Alike:
    """Compares the bodies of several inputs, all in the fixed frame.

    Args:
        names: of the inputs, for the line.

    Attributes:
        names: of the inputs.
        ever: the newest line there was; empty: there was none.
    """

    def __init__(self, names: list[str]) -> None:
        self.names, self.ever = names, ""
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._sights: dict[_Key, deque[_Sight]] = {}
        self._checked_ns = self._newest_ns = 0
        self._line, self._said_ns = "", 0

    def observe(self, source: int, frame: SkeletonFrame) -> None:
        """Take a frame of an input; looks for pairs about once a second.

        Args:
            source: index of the input.
            frame: in the fixed frame, under the tracker's own ids.
        """
        stamp_ns = frame.stamp_ns
        if stamp_ns < self._newest_ns - _WINDOW_NS:
            self.reset()  # the clock was set back
        self._newest_ns = max(self._newest_ns, stamp_ns)
        status = np.asarray(frame.status)
        real = (status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED)
        seen = real & np.isfinite(frame.positions).all(-1)
        for row, person_id in enumerate(frame.person_ids):
            kept = self._sights.setdefault((source, person_id), deque())
            if not kept or stamp_ns - kept[-1][0] >= _EACH_NS:
                kept.append((stamp_ns, np.where(seen[row][:, None], frame.positions[row], 0.0), seen[row]))
        if self._newest_ns - self._checked_ns >= _CHECK_NS:
            self._checked_ns = self._newest_ns
            self._check()

    def trouble(self) -> str:
        """Who moves like whom, in one line with the remedy; empty: nobody."""
        return self._line if self._line and self._newest_ns - self._said_ns <= _SAID_NS else ""

    def _check(self) -> None:
        for key, kept in list(self._sights.items()):
            while kept and self._newest_ns - kept[0][0] > _WINDOW_NS:
                kept.popleft()
            if not kept:
                del self._sights[key]
        keys = sorted(self._sights)
        for i, one in enumerate(keys):
            for other in keys[i + 1 :]:
                if one[0] == other[0] or (apart_m := self._alike(self._sights[one], self._sights[other])) is None:
                    continue
                self._said_ns = self._newest_ns
                self._line = self.ever = (
                    f"person {one[1]} of {self.names[one[0]]} and {other[1]} of {self.names[other[0]]} move alike, "
                    f"{apart_m:.1f} m apart: one body, and the transform of a camera is wrong? Measure it with "
                    "aux-motion calibrate-cameras"
                )

    @staticmethod
    def _alike(one: deque[_Sight], other: deque[_Sight]) -> float | None:
        """How far apart two bodies are that move alike, metres; None: they do not, or nobody can tell."""
        if len(one) < 2 or len(other) < 2:
            return None
        times_ns = np.array([s[0] for s in other])
        a, b, told_ns = [], [], []
        for stamp_ns, place, seen in one:
            k = int(np.searchsorted(times_ns, stamp_ns))
            if not 0 < k < len(other) or times_ns[k] - times_ns[k - 1] > 3 * _EACH_NS:
                continue
            (before_ns, p, seen_p), (after_ns, q, seen_q) = other[k - 1], other[k]
            both = seen & seen_p & seen_q
            if both.sum() < _JOINTS:
                continue
            share = (stamp_ns - before_ns) / (after_ns - before_ns)
            a.append(place[both])
            b.append(p[both] + share * (q[both] - p[both]))
            told_ns.append(stamp_ns)
        if not told_ns or told_ns[-1] - told_ns[0] < _COMMON_NS:
            return None
        x, y = np.concatenate(a), np.concatenate(b)
        apart_m = float(np.linalg.norm(x - y, axis=-1).mean())
        moved_m = float(np.sqrt(np.array([np.median(p, axis=0) for p in a]).var(0).sum()))
        if apart_m < _APART_M or moved_m < _MOVES_M:
            return None
        _, _, away = fit_rigid(x, y)
        return apart_m if float(np.sqrt(np.mean(away**2))) <= _ALIKE_M else None
