# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One person's observations in order of their stamps."""

from __future__ import annotations

import copy
from enum import Enum
from functools import lru_cache

import numpy as np

from aux_motion_core.arrays import every
from aux_motion_core.history.resample import resample_all, resample_whole
from aux_motion_core.skeleton import MISSING, N_JOINTS, sighted

#: Age of the samples that fill up rows with fewer of them.
_LONG_AGO_NS = -(10**17)


class Added(Enum):
    """What became of an observation."""

    NEWEST = "newest"
    REORDERED = "reordered"  # older than the newest, put in its place
    MERGED = "merged"  # a second observation of one stamp: it fills what the first lacks
    TOO_OLD = "too_old"  # before everything that is kept
    RESET = "reset"  # its stamp jumped back: the history started anew with it


class Track:
    """The newest observations of one person, in buffers made once.

    Args:
        capacity: observations kept at least; twice as many are held.
    """

    def __init__(self, capacity: int = 160) -> None:
        self._capacity = capacity
        self._stamps = np.zeros(2 * capacity, np.int64)
        self._positions = np.zeros((2 * capacity, N_JOINTS, 3))
        self._status = np.zeros((2 * capacity, N_JOINTS), np.uint8)
        self._n = 0
        self._whole = 0  # of the newest observations, how many in a row saw all joints
        self.version = 0  # changes with every accepted observation
        #: (20,) int64: the stamp at which each joint was last seen (a tracker's own guess is no sight); 0: never.
        self.seen_ns = np.zeros(N_JOINTS, np.int64)

    def __len__(self) -> int:
        return self._n

    @property
    def stamps_ns(self) -> np.ndarray:
        """(n,) int64, increasing."""
        return self._stamps[: self._n]

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest observation."""
        return int(self._stamps[self._n - 1])

    @property
    def newest_positions(self) -> np.ndarray:
        """(20, 3) metres of the newest observation."""
        return self._positions[self._n - 1]

    @property
    def newest_status(self) -> np.ndarray:
        """(20,) `JointStatus` of the newest observation."""
        return self._status[self._n - 1]

    def add(self, stamp_ns: int, positions: np.ndarray, status: np.ndarray, reset_jump_ns: int) -> Added:
        """Put an observation in its place.

        Args:
            stamp_ns: time of capture.
            positions: (20, 3) metres, finite.
            status: (20,) `JointStatus`.
            reset_jump_ns: a stamp older than the newest by more than this starts the history anew.
        """
        self.version += 1
        jumped_back = self._n > 0 and stamp_ns < self.newest_ns - reset_jump_ns
        if jumped_back:
            self._n, self.seen_ns[:] = 0, 0
        seen = sighted(status)
        np.maximum(self.seen_ns, stamp_ns, out=self.seen_ns, where=seen)
        if jumped_back or self._n == 0 or stamp_ns > self.newest_ns:
            self._append(stamp_ns, positions, status)
            self._whole = self._whole + 1 if every(seen) and not jumped_back else 0
            return Added.RESET if jumped_back else Added.NEWEST
        at = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if self._stamps[at] == stamp_ns:
            fill = (self._status[at] == MISSING) & (status != MISSING)
            self._positions[at][fill] = positions[fill]
            self._status[at][fill] = status[fill]
            return Added.MERGED
        if at == 0 and self._n >= self._capacity:
            return Added.TOO_OLD
        self._whole = 0
        self._append(self.newest_ns, self.newest_positions, self.newest_status)
        at = int(np.searchsorted(self.stamps_ns, stamp_ns))
        for buffer in (self._stamps, self._positions, self._status):
            buffer[at + 1 : self._n] = buffer[at : self._n - 1].copy()
        self._stamps[at], self._positions[at], self._status[at] = stamp_ns, positions, status
        return Added.REORDERED

    def forget(self, joints: np.ndarray) -> None:
        """Of these joints (20,) bool nothing is known any more."""
        self._status[: self._n, joints] = MISSING
        self.seen_ns[joints] = 0
        self._whole = 0
        self.version += 1

    def _append(self, stamp_ns: int, positions: np.ndarray, status: np.ndarray) -> None:
        if self._n == len(self._stamps):
            positions, status = positions.copy(), status.copy()  # they may be rows that move now
            for buffer in (self._stamps, self._positions, self._status):
                buffer[: self._capacity] = buffer[self._n - self._capacity : self._n].copy()
            self._n = self._capacity
        self._stamps[self._n], self._positions[self._n], self._status[self._n] = stamp_ns, positions, status
        self._n += 1

    def window(self, dt_s: float, steps: int, max_gap_s: float) -> tuple[np.ndarray, np.ndarray]:
        """The newest observations on the model's grid, which ends at the newest stamp.

        Returns:
            (steps, 20, 3) metres, zero where missing, and (steps, 20) bool.
        """
        values, mask, _, _ = windows([self], dt_s, steps, max_gap_s)
        return values[0], mask[0]

    def saw_all(self, part: slice) -> bool:
        """Whether all joints were seen in all observations of a part that ends with the newest one."""
        return part.stop - part.start <= self._whole

    def newest_part(self, since_ns: int) -> Track:
        """The samples from so long before the newest on, as a track that later observations do not change."""
        part, same = self.part(since_ns), copy.copy(self)
        same._stamps, same._positions, same._status = (
            buffer[part].copy() for buffer in (self._stamps, self._positions, self._status)
        )
        same._n, same.seen_ns = part.stop - part.start, self.seen_ns.copy()
        return same

    def part(self, since_ns: int) -> slice:
        """Where the samples from so long before the newest on are."""
        return slice(int(self.stamps_ns.searchsorted(self.newest_ns - since_ns)), self._n)


def needed_ns(dt_s: float, steps: int, max_gap_s: float) -> int:
    """How long before the newest observation those that `windows` looks at begin."""
    # one sample before the window, and the gap to it, take part in the interpolation
    return int(1e9 * ((steps - 1) * dt_s + max_gap_s))


def windows(
    tracks: list[Track], dt_s: float, steps: int, max_gap_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """`Track.window` of all these people in one go.

    Args:
        tracks: N, none of them empty.
        dt_s: grid spacing.
        steps: grid length.
        max_gap_s: see `resample`.

    Returns:
        (N, steps, 20, 3) metres, zero where missing, and (N, steps, 20) bool; (N, 20) how often each joint was
        observed in the window: a guess is no observation; and whether nothing is missing or guessed.
    """
    parts = [t.part(needed_ns(dt_s, steps, max_gap_s)) for t in tracks]
    if len(tracks) == 1:  # nothing to put side by side
        track, part = tracks[0], parts[0]
        ages_ns = (track._stamps[part] - track.newest_ns)[None]
        positions, status = track._positions[part][None], track._status[part][None]
    else:
        ages_ns, positions, status = _side_by_side(tracks, parts)
    within = ages_ns >= -int((steps - 0.5) * dt_s * 1e9)
    if all(t.saw_all(p) for t, p in zip(tracks, parts, strict=True)):
        values, ok = resample_whole(ages_ns * 1e-9, positions, dt_s, steps, max_gap_s)
        times = within.sum(1)[:, None].repeat(N_JOINTS, 1)
        if every(ok):
            return values, _nothing_missing(ok.shape), times, True
        return values, np.repeat(ok[..., None], N_JOINTS, 2), times, False
    values, mask = resample_all(ages_ns * 1e-9, positions, status != MISSING, dt_s, steps, max_gap_s)
    sights = sighted(status)
    sights &= within[..., None]
    return values, mask, sights.sum(1), False


@lru_cache(maxsize=64)
def _nothing_missing(shape: tuple[int, int]) -> np.ndarray:
    """(N, steps, 20) True, not to be written to."""
    mask = np.ones((*shape, N_JOINTS), bool)
    mask.setflags(write=False)
    return mask


def _side_by_side(tracks: list[Track], parts: list[slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ages (N, n) before each track's newest stamp, positions and status of these parts; shorter ones end alike."""
    n = max(p.stop - p.start for p in parts)
    ages_ns = np.full((len(tracks), n), _LONG_AGO_NS)
    positions = np.zeros((len(tracks), n, N_JOINTS, 3))
    status = np.zeros((len(tracks), n, N_JOINTS), np.uint8)
    for i, (track, part) in enumerate(zip(tracks, parts, strict=True)):
        at = slice(n - (part.stop - part.start), n)
        stamps = track._stamps[part]
        np.subtract(stamps, stamps[-1], out=ages_ns[i, at])
        positions[i, at] = track._positions[part]
        status[i, at] = track._status[part]
    return ages_ns, positions, status
