# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What of an input's frame may be believed, and who is reported without a place that can be used.

Works on the tracker's own positions, before any transform: sizes do not change with it, and a pose that a dead tracker
repeats is repeated to the bit only there.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from functools import lru_cache

import numpy as np

from aux_motion_core.arrays import every, some
from aux_motion_core.constants import NS
from aux_motion_core.skeleton import MISSING, N_JOINTS, TRACKER_PREDICTED
from aux_motion_core.trackers.body_size import implausible, remark
from aux_motion_core.types import SkeletonFrame, ViewReason

#: No joint is this far away; metres.
FARTHEST_M = 1e4
#: Two skeletons under one id nearer than this are one body that is told twice: mean distance of joints, metres.
_ONE_BODY_M = 0.12
#: So many heights of bodies of no size that bodies have are remembered.
_HEIGHTS = 200
#: Poses of a body that are remembered: a tracker that is stuck may repeat several in turn, as buffers are used in turn.
_CYCLE = 4
#: For so long a trouble is named after it was seen last.
_SAID_NS = 5 * NS


@lru_cache(maxsize=64)
def _all_there(people: int) -> np.ndarray:
    """(people, 20) True, not to be written to."""
    there = np.ones((people, N_JOINTS), bool)
    there.setflags(write=False)
    return there


class Sieve:
    """Of one input.

    Args:
        min_confidence: a joint of less is missing.
        frozen_after_s: bodies that repeat the same few poses to the bit for so long are not seen any more; 0: never.

    Attributes:
        counters: what was left out.
    """

    def __init__(self, min_confidence: float = 0.0, frozen_after_s: float = 0.0) -> None:
        self.min_confidence, self.frozen_after_s = min_confidence, frozen_after_s
        self.counters: Counter[str] = Counter()
        self._bodies = 0
        self._heights_m: deque[float] = deque(maxlen=_HEIGHTS)
        self.reset()

    def reset(self) -> None:
        """Forget earlier frames; the counters go on."""
        # of the last frame with people, then of who was in earlier ones: their latest poses, the place of the next one
        # among them, when the latest new one came, and when they were seen last
        self._ids: tuple[str, ...] = ()
        self._absent: tuple[str, ...] = ()
        self._rows = np.empty(0, np.intp)
        self._poses = np.empty((0, _CYCLE, N_JOINTS, 3))
        self._turn = np.empty(0, np.intp)
        self._new_ns = np.empty(0, np.int64)
        self._seen_ns = np.empty(0, np.int64)
        self._said: dict[str, int] = {}
        self._newest_ns = 0

    def take(self, frame: SkeletonFrame) -> SkeletonFrame:
        """The frame with what may be believed; the others are in `unplaced` and `view_reasons`.

        Args:
            frame: as the adapter made it; not changed.
        """
        self._newest_ns = frame.stamp_ns
        if not frame.person_ids:
            return frame
        status, positions = frame.status, np.asarray(frame.positions)
        reasons, unplaced = frame.view_reasons, list(frame.unplaced)
        if self.min_confidence > 0.0:
            unsure = (status != MISSING) & (frame.confidence < self.min_confidence)
            if unsure.any():
                self.counters["unsure_joints"] += int(unsure.sum())
                status = np.where(unsure, np.uint8(MISSING), status)
        near = np.abs(positions) < FARTHEST_M  # False for NaN
        whole = every(near) and every(status)
        there = _all_there(len(status)) if whole else near.all(-1) & (status != MISSING)
        frozen = self._frozen(frame, positions, there, whole)
        if some(frozen):
            self._note("frozen_bodies", int(frozen.sum()))
            reasons |= ViewReason.INPUT_FROZEN
            guessed = frozen[:, None] & (status != MISSING)
            status = np.where(guessed, np.uint8(TRACKER_PREDICTED), status)
        usable = there & (status != TRACKER_PREDICTED)
        wrong, height_m = implausible(positions, there, whole)
        any_wrong = some(wrong)
        self._bodies += len(frame.person_ids)
        if any_wrong:
            self._heights_m.extend(height_m[wrong & np.isfinite(height_m)].tolist())
            self._note("implausible_bodies", int(wrong.sum()), remark(float(height_m[wrong][0])))
            reasons |= ViewReason.PERSON_IMPLAUSIBLE
        ids = frame.person_ids
        nowhere = wrong
        if any_wrong or not every(usable):
            nowhere = wrong | ~usable.any(1)
            unplaced += [ids[i] for i in np.flatnonzero(nowhere)]
        if len(set(ids)) < len(ids):
            unplaced += self._hidden_by_id(ids, positions, usable & ~nowhere[:, None])
        if any_wrong:
            keep = ~wrong
            return dataclasses.replace(
                frame,
                person_ids=tuple(i for i, k in zip(ids, keep.tolist(), strict=True) if k),
                positions=positions[keep],
                status=status[keep],
                confidence=frame.confidence[keep],
                covariance=None if frame.covariance is None else frame.covariance[keep],
                unplaced=tuple(unplaced),
                view_reasons=reasons,
            )
        if status is frame.status and len(unplaced) == len(frame.unplaced):
            return frame
        return dataclasses.replace(frame, status=status, unplaced=tuple(unplaced), view_reasons=reasons)

    def _frozen(self, frame: SkeletonFrame, positions: np.ndarray, there: np.ndarray, whole: bool) -> np.ndarray:
        """(people,) bool: bodies that have repeated poses to the bit for too long."""
        ids, stamp_ns, n = frame.person_ids, frame.stamp_ns, len(frame.person_ids)
        if self.frozen_after_s <= 0.0:
            return np.zeros(n, bool)
        if ids != self._ids:
            self._follow(ids, stamp_ns)
        now = positions if whole else np.where(there[..., None], positions, np.nan)
        new_ns = self._new_ns[:n]
        rows = self._rows
        equal = self._poses[:n, :, :, 0] == now[:, None, :, 0]
        if np.count_nonzero(equal):  # seldom
            again = self._again(now, equal)
            rows = rows[~again | (new_ns > stamp_ns)]  # later ones: time went back
        if not whole:
            rows = rows[there[rows].any(1)]  # without a joint nothing is said
        turn = self._turn[rows]
        self._poses[rows, turn] = now[rows]
        self._turn[rows] = (turn + 1) % _CYCLE
        new_ns[rows] = stamp_ns
        self._seen_ns[:n] = stamp_ns
        result: np.ndarray = there.any(1) & (stamp_ns - new_ns >= int(self.frozen_after_s * NS))
        return result

    def _again(self, now: np.ndarray, equal: np.ndarray) -> np.ndarray:
        """(people,) bool: who is in a pose that is remembered, in all joints that both have, which are most.

        Args:
            now: (people, 20, 3) metres, NaN where missing.
            equal: (people, poses, 20) bool: where the first coordinate is.
        """
        again = np.zeros(len(now), bool)
        for row in np.flatnonzero(equal.any((1, 2))):
            poses = self._poses[row]
            both = ~np.isnan(poses[:, :, 0] + now[row, :, 0])
            same = (poses == now[row]).all(2)
            most = 2 * both.sum(1) >= np.count_nonzero(~np.isnan(now[row, :, 0]))
            again[row] = (most & (same | ~both).all(1)).any()
        return again

    def _follow(self, ids: tuple[str, ...], stamp_ns: int) -> None:
        """Keep what is known of these people, and of who was seen a moment ago: in some frames they may be missing."""
        known = dict(zip(self._ids + self._absent, range(len(self._seen_ns)), strict=True))
        recent = np.abs(stamp_ns - self._seen_ns) < int(self.frozen_after_s * NS)
        here = set(ids)
        absent = tuple(i for i, row in known.items() if i not in here and recent[row])
        before = np.array([known.get(i, -1) for i in ids + absent], np.intp)
        old = before >= 0
        poses = np.full((len(before), _CYCLE, N_JOINTS, 3), np.nan)
        turn, new_ns, seen_ns = np.zeros(len(before), np.intp), np.full(len(before), stamp_ns), np.zeros_like(before)
        for array, last in (
            (poses, self._poses),
            (turn, self._turn),
            (new_ns, self._new_ns),
            (seen_ns, self._seen_ns),
        ):
            array[old] = last[before[old]]
        self._ids, self._absent, self._rows = ids, absent, np.arange(len(ids))
        self._poses, self._turn, self._new_ns, self._seen_ns = poses, turn, new_ns, seen_ns

    @staticmethod
    def _hidden_by_id(ids: tuple[str, ...], positions: np.ndarray, usable: np.ndarray) -> list[str]:
        """Names for those whose id somebody else has too, elsewhere: one of them is dropped."""
        first: dict[str, int] = {}
        hidden = []
        for row, person_id in enumerate(ids):
            if not usable[row].any():
                continue
            other = first.setdefault(person_id, row)
            if other == row:
                continue
            both = usable[row] & usable[other]
            apart = np.linalg.norm(positions[row][both] - positions[other][both], axis=-1)
            if not both.any() or apart.mean() > _ONE_BODY_M:
                hidden.append(f"{person_id}#{row}")
        return hidden

    def _note(self, name: str, count: int, line: str = "") -> None:
        self.counters[name] += count
        self._said[name] = self._newest_ns
        if line:
            self._line = line

    def unusable(self) -> str:
        """Why most bodies so far could not be used, in one line with what to do; empty: they could."""
        wrong, frozen = self.counters["implausible_bodies"], self.counters["frozen_bodies"]
        if 2 * wrong > self._bodies:
            height_m = float(np.median(self._heights_m)) if self._heights_m else float("nan")
            return f"{wrong} of {self._bodies} skeletons cannot be used: {remark(height_m)}"
        if 2 * frozen > self._bodies:
            return f"{frozen} of {self._bodies} skeletons cannot be used: {self._stuck()}"
        return ""

    def _stuck(self) -> str:
        return (
            f"bodies repeat themselves to the bit for {self.frozen_after_s:g} s: the tracker is stuck; restart it "
            "(a simulator, whose bodies are truly still: set frozen_after_s to 0)"
        )

    def trouble(self) -> str:
        """What is wrong with the bodies now, in one line with the remedy; empty: nothing is."""
        for name, line in (
            ("implausible_bodies", getattr(self, "_line", "")),
            ("frozen_bodies", self._stuck()),
        ):
            said_ns = self._said.get(name)
            if said_ns is not None and 0 <= self._newest_ns - said_ns < _SAID_NS:
                return line
        return ""
