# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Stamps that cannot be right: zero, in the future, of another clock, standing still, drifting; each has a name.

What is compared is a frame's stamp with the time at which it was received. A tracker on another machine, or one that
stamps with its device's clock, shows here and nowhere else: its people would be forgotten as too old or be carried on
from the wrong time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.types import SkeletonFrame

#: Beyond this a time a little later does not fit into a message.
LAST_STAMP_NS = (2**31 - 86400) * NS
#: Farther from the time of receipt than this is another clock, not latency; seconds.
OTHER_CLOCK_S = 10.0
#: Clocks kept together by NTP agree better than this; seconds.
FUTURE_S = 0.05
#: So many messages in a row with one stamp: it stands still.
FROZEN_MESSAGES = 10
#: A step of the tracker's clock against ours, seconds.
JUMP_S = 0.5
#: Farther ahead than the least delay allows is wrong, seconds; and so many messages must have told that delay.
AHEAD_S, _TOLD = 0.15, 10
#: So many in a row that are ahead: its clock was set.
_BELIEVED = 3
#: The least delay of each block is free of queues; so long are the blocks, and so many are kept (ten minutes).
_BLOCK_NS, _BLOCKS = 5 * NS, 120
_MIN_BLOCKS = 6
#: Both at least, to be called drift: in all, and a second. Quartz is within 1e-4.
DRIFT_S, DRIFT_RATE = 0.02, 2e-5
#: For so many messages a trouble is named after it was seen last.
_RECENT_NS = 5 * NS


class StampError(ValueError):
    """A stamp that is no time since 1970, or does not leave room for predictions; in one line.

    Args:
        stamp_ns: nanoseconds.
    """

    def __init__(self, stamp_ns: int) -> None:
        super().__init__(f"stamp {stamp_ns / NS:.0f} s: expected seconds since 1970, check its unit")


class StampClock:
    """Chooses each frame's stamp and watches the tracker's clock.

    Args:
        source: "header": the frame's own stamp; "receive": when it was received, for trackers whose stamps cannot be
            used.
    """

    def __init__(self, source: str = "header") -> None:
        if source not in ("header", "receive"):
            raise ValueError(f"stamp_source is {source!r}: expected header or receive")
        self.source = source
        #: Frames by trouble: stamp_zero, stamp_future, stamp_other_clock, stamp_frozen, stamp_ahead, stamp_clock_jump,
        #: stamp_drift.
        self.counters: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget what was measured; the counters go on."""
        self._last_ns: int | None = None
        self._same = 0
        self._blocks: deque[tuple[float, float]] = deque(maxlen=_BLOCKS)  # (received, least delay) seconds
        self._block = 0  # messages of the present block
        self._block_least = float("inf")
        self._block_end_ns: int | None = None
        self._ahead = 0
        self._origin_ns = 0
        self._said: dict[str, tuple[int, str]] = {}
        self._newest_received_ns = 0
        #: Seconds a second by which the tracker's clock is slow (positive) or fast; None: not known yet.
        self.drift_rate: float | None = None

    def take(self, frame: SkeletonFrame, received_ns: int) -> SkeletonFrame:
        """The frame with the stamp to use.

        Args:
            frame: with the tracker's stamp.
            received_ns: when it was received, on the clock that predictions are made by.

        Returns:
            With `source` "header" the frame as it is, but where single stamps run ahead of all others: such a frame
            would stay the newest until the others have caught up with it, so it gets the stamp that the least delay
            tells.
        """
        stamp_ns = frame.stamp_ns
        if frame.person_ids:
            stamp_ns = self._watch(stamp_ns, received_ns)
        if self.source == "receive":
            stamp_ns = received_ns
        return frame if stamp_ns == frame.stamp_ns else dataclasses.replace(frame, stamp_ns=stamp_ns)

    def _watch(self, stamp_ns: int, received_ns: int) -> int:
        """Note what is wrong with a stamp; the stamp to use is returned."""
        if received_ns < self._newest_received_ns - NS:  # our own clock went back (a bag plays again)
            self.reset()
        self._newest_received_ns = max(self._newest_received_ns, received_ns)
        if stamp_ns == 0:
            self._note("stamp_zero", "stamps are zero: the tracker does not stamp")
            return stamp_ns
        delay_s = (received_ns - stamp_ns) * 1e-9
        self._same = self._same + 1 if stamp_ns == self._last_ns else 0
        self._last_ns = stamp_ns
        if self._same >= FROZEN_MESSAGES:
            self._note("stamp_frozen", f"stamps stand still at {stamp_ns * 1e-9:.3f} s")
        if abs(delay_s) > OTHER_CLOCK_S:
            side = "behind" if delay_s > 0 else "ahead of"
            self._note(
                "stamp_other_clock",
                f"stamps are {abs(delay_s):.1f} s {side} this node's clock: synchronise the clocks, "
                "or set use_sim_time when a bag is played with its clock",
            )
        elif delay_s < -FUTURE_S:
            self._note(
                "stamp_future",
                f"stamps are {-delay_s:.3f} s in the future: synchronise the tracker's clock with this one",
            )
        least_s = self._least_s()
        ahead = -OTHER_CLOCK_S <= delay_s < least_s - AHEAD_S
        self._ahead = self._ahead + 1 if ahead else 0
        if 0 < self._ahead < _BELIEVED:
            self._note("stamp_ahead", f"single stamps are {least_s - delay_s:.3f} s ahead of the others: not believed")
            return received_ns - round(least_s * NS)
        self._measure(delay_s, received_ns)
        return stamp_ns

    def _least_s(self) -> float:
        """The least delay of the last seconds; -inf while too few messages tell it."""
        if self._blocks:
            return min(self._block_least, self._blocks[-1][1])
        return self._block_least if self._block >= _TOLD else -float("inf")

    def _measure(self, delay_s: float, received_ns: int) -> None:
        if self._block_end_ns is None:
            self._origin_ns, self._block_end_ns = received_ns, received_ns + _BLOCK_NS
        if received_ns >= self._block_end_ns:
            least = self._block_least
            if self._blocks and abs(least - self._blocks[-1][1]) > JUMP_S:
                step = least - self._blocks[-1][1]
                self._note(
                    "stamp_clock_jump",
                    f"the tracker's clock was set {'back' if step > 0 else 'forward'} by {abs(step):.3f} s",
                )
                self._blocks.clear()
                self.drift_rate = None
            self._blocks.append(((self._block_end_ns - self._origin_ns) * 1e-9, least))
            self._block, self._block_least = 0, float("inf")
            self._block_end_ns = received_ns + _BLOCK_NS
            self._fit()
        self._block += 1
        self._block_least = min(self._block_least, delay_s)

    def _fit(self) -> None:
        if len(self._blocks) < _MIN_BLOCKS:
            return
        t, delay = np.array(self._blocks).T
        slope, offset = np.polyfit(t - t[0], delay, 1)
        rest = float(np.std(delay - offset - slope * (t - t[0])))
        self.drift_rate = float(slope)
        moved = abs(slope) * (t[-1] - t[0])
        if moved > max(DRIFT_S, 4.0 * rest) and abs(slope) > DRIFT_RATE:
            self._note(
                "stamp_drift",
                f"the tracker's clock runs {'slow' if slope > 0 else 'fast'} by {1e3 * abs(slope):.3f} ms a second "
                f"(now {delay[-1]:.3f} s): synchronise it",
            )

    def _note(self, name: str, line: str) -> None:
        self.counters[name] += 1
        self._said[name] = (self._newest_received_ns, line)

    def trouble(self) -> str:
        """What is wrong with the stamps now, in one line with the remedy; empty when nothing is."""
        if self.source == "receive":
            return ""
        for name in (
            "stamp_zero",
            "stamp_frozen",
            "stamp_other_clock",
            "stamp_clock_jump",
            "stamp_ahead",
            "stamp_future",
            "stamp_drift",
        ):
            when_ns, line = self._said.get(name, (None, ""))
            # drift is measured once a block
            if when_ns is not None and self._newest_received_ns - when_ns < _RECENT_NS * (
                2 if name == "stamp_drift" else 1
            ):
                return f"{line}; or set stamp_source to receive"
        return ""
