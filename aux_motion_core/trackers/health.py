# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What an input is good for now, independent of who is known and of all other inputs.

An input is evidence, also that nobody is there, only while its messages can be used, their stamps advance and are
neither old nor ahead, and everybody whom it reports has a place. Times here are of a clock that does not stop (steady
live, the log's in a bag).
"""

from __future__ import annotations

from collections import deque

from aux_motion_core.constants import NS
from aux_motion_core.types import InputEvidence, SkeletonFrame, ViewReason

#: A stamp so far from where the one before leads is wild, nanoseconds; and so many of them in a row are a jump.
WILD_NS, _JUMP = NS, 3
#: So many wild stamps within this are no accident: somebody else may be sending.
_WILD_MANY, _WILD_WITHIN_NS = 3, 2 * NS
#: Key of the count of messages in a row that had a body of no size that bodies have, under whatever ids.
_ANY_SIZE = "\0size"
_IMPLAUSIBLE, _FROZEN = int(ViewReason.PERSON_IMPLAUSIBLE), int(ViewReason.INPUT_FROZEN)


class Stamps:
    """Tells single wild stamps, which cost one message each, from a jump that lasts."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget earlier stamps."""
        self._newest: tuple[int, int] | None = None  # stamp, received
        self._other: tuple[int, int] = (0, 0)
        self._count = 0

    def believed(self, stamp_ns: int, received_ns: int) -> bool:
        """Whether a message of that stamp is to be used.

        Args:
            stamp_ns: to be used.
            received_ns: when it was received.
        """
        if self._newest is None or self._follows(self._newest, stamp_ns, received_ns):
            newest = stamp_ns if self._newest is None else max(stamp_ns, self._newest[0])
            self._newest, self._count = (newest, received_ns), 0
            return True
        self._count = self._count + 1 if self._count and self._follows(self._other, stamp_ns, received_ns) else 1
        self._other = stamp_ns, received_ns
        if self._count < _JUMP:
            return False
        self._newest, self._count = self._other, 0
        return True

    @staticmethod
    def _follows(before: tuple[int, int], stamp_ns: int, received_ns: int) -> bool:
        step_ns = stamp_ns - before[0]
        # after a silence the stamp is as much later as the time that passed, or, from a queue, less
        return -WILD_NS <= step_ns <= WILD_NS + max(received_ns - before[1], 0)


class _Report:
    """Somebody who is reported without a place: how often, and when last."""

    __slots__ = ("count", "last_ns")

    def __init__(self) -> None:
        self.count, self.last_ns = 0, 0


class InputHealth:
    """Health of one input."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: nothing was heard yet."""
        self.heard_ns = self.stamp_ns = 0
        self._rejected_until_ns = 0
        self._wild: deque[int] = deque(maxlen=_WILD_MANY)
        self._unplaced: dict[str, _Report] = {}  # no place at all
        self._odd: dict[str, _Report] = {}  # no size that bodies have
        self._frozen_ns = 0

    def wild(self, here_ns: int) -> None:
        """A message came whose stamp was not believed."""
        self._wild.append(here_ns)

    def reported(self, frame: SkeletonFrame, here_ns: int) -> None:
        """A frame came with these people, placed and not.

        Args:
            frame: from the sieve.
            here_ns: the present.
        """
        odd = bool(int(frame.view_reasons) & _IMPLAUSIBLE)
        if int(frame.view_reasons) & _FROZEN:
            self._frozen_ns = here_ns
        if not odd:
            self._odd.pop(_ANY_SIZE, None)  # in a row
        if not frame.unplaced:
            if self._unplaced or self._odd:
                self._placed(frame, ())
            return
        where = self._odd if odd else self._unplaced
        for name in (*frame.unplaced, *((_ANY_SIZE,) if odd else ())):
            one = where.setdefault(name, _Report())
            one.count, one.last_ns = one.count + 1, here_ns
        self._placed(frame, frame.unplaced)

    def _placed(self, frame: SkeletonFrame, but: tuple[str, ...]) -> None:
        for person_id in frame.person_ids:
            if person_id not in but:
                self._unplaced.pop(person_id, None)
                self._odd.pop(person_id, None)

    def used(self, stamp_ns: int, here_ns: int) -> None:
        """Something came that can be used, of that capture time; only a stamp that advances is news."""
        if stamp_ns > self.stamp_ns or stamp_ns < self.stamp_ns - WILD_NS:
            self.stamp_ns, self.heard_ns = stamp_ns, here_ns

    def rejected(self, here_ns: int, for_s: float) -> None:
        """Something came that cannot be used: for so long somebody whom it showed may be there."""
        self._rejected_until_ns = max(self._rejected_until_ns, here_ns + int(for_s * NS))

    def evidence(
        self, now_ns: int, here_ns: int, within_s: float, hold_s: float, confirm_frames: int = 1
    ) -> InputEvidence:
        """What this input is good for now.

        Args:
            now_ns: the present, on the clock of the stamps.
            here_ns: the present.
            within_s: it must be heard so often, and its newest stamp be no further from now; for so long, too, a body
                of an impossible size counts that was not told `confirm_frames` times.
            hold_s: for so long after somebody was reported without a place, he may be there.
            confirm_frames: see `within_s`.
        """
        reasons = ViewReason.NONE
        within_ns, hold_ns = int(within_s * NS), int(hold_s * NS)
        if not self.heard_ns or here_ns - self.heard_ns > within_ns:
            reasons |= ViewReason.INPUT_SILENT
        elif abs(now_ns - self.stamp_ns) > within_ns:
            reasons |= ViewReason.INPUT_STAMPS
        if len(self._wild) == _WILD_MANY and here_ns - self._wild[0] <= _WILD_WITHIN_NS:
            reasons |= ViewReason.INPUT_STAMPS
        if here_ns < self._rejected_until_ns:
            reasons |= ViewReason.INPUT_REJECTED
        if self._frozen_ns and here_ns - self._frozen_ns <= hold_ns and self._unplaced:
            reasons |= ViewReason.INPUT_FROZEN
        unplaced = 0
        if self._unplaced:
            self._unplaced = {n: r for n, r in self._unplaced.items() if here_ns - r.last_ns <= hold_ns}
            unplaced = len(self._unplaced)
        if self._odd:
            self._odd = {
                n: r
                for n, r in self._odd.items()
                if here_ns - r.last_ns <= (hold_ns if r.count >= confirm_frames else within_ns)
            }
            if self._odd:
                reasons |= ViewReason.PERSON_IMPLAUSIBLE
                unplaced += len(self._odd.keys() - {_ANY_SIZE}) or 1
        return InputEvidence(self.stamp_ns if self.heard_ns else 0, reasons, unplaced)

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Who is reported without a place, or of no size that bodies have."""
        return tuple(n for n in (*self._unplaced, *self._odd) if n != _ANY_SIZE)
