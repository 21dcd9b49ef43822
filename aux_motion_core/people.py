# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Who is known: one track a person, under the id that the tracker uses now.

The way of a frame: `believable_rows` (which joints and rows can be used) -> `history.continuity` (which body each row
is) -> `People` (a place for each body) -> the person's track.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from aux_motion_core.arrays import some
from aux_motion_core.config import PredictorConfig, region
from aux_motion_core.constants import NS
from aux_motion_core.history.bodies import APART_M, DOUBTFUL_M, MIN_COMMON, ONE_BODY_M, Taken
from aux_motion_core.history.continuity import Continuity
from aux_motion_core.history.outliers import Outliers
from aux_motion_core.history.rows import Rows, believable_rows, count, in_region, sigma_m, stands
from aux_motion_core.history.track import Added, Track
from aux_motion_core.skeleton import MISSING
from aux_motion_core.types import Reason, Shipped, SkeletonFrame, TrackState, ViewReason

#: Unseen for no longer than this, who is farther away than they get is faster than people too (`history.outliers`).
_SURE_NS = NS // 20
#: Between two inputs' frames there is no more.
_TURNS_NS = NS // 10


class Result(NamedTuple):
    """What the newest observation of a person gave; it holds until the track changes.

    Attributes:
        mean: (steps, J, 3) metres in the fixed frame, maybe not finite (then `NON_FINITE_OUTPUT` is set).
        recovered: (J, 3) metres, finite.
        reasons: of the window and the backend's answer, not of what time does to them.
        state: likewise.
        scale: (steps, J, 3) metres, or None.
        radius: (steps, J) metres: calibrated where there is no UNCALIBRATED, else the reach bound.
        body: (steps, J) metres, or None.
        reach_mps: growth of the reach bound.
        shipped: without what was learnt on line; None where nothing of it entered.
    """

    mean: np.ndarray
    recovered: np.ndarray
    reasons: Reason
    state: TrackState
    scale: np.ndarray | None
    radius: np.ndarray
    body: np.ndarray | None
    reach_mps: float
    shipped: Shipped | None = None


@dataclass
class Followed:
    """What goes with a body from frame to frame beside its track.

    Attributes:
        result: of the newest inference; None before the first.
        row: of the self-check; -1: none.
    """

    result: Result | None = None
    row: int = -1


@dataclass
class Person:
    """One body that is followed.

    Attributes:
        track: the observations.
        jumped_ns: stamp at which the history started anew because stamps jumped back; likewise `relinked_ns` (the
            tracker gave the body another id) and `duplicated_ns` (its id came twice).
        plausible: frames that brought its newest observation; from `confirm_frames` on it is believed.
        believed: it was, whatever `confirm_frames` is set to since.
        sigma_m: (20,) error that the tracker states of each joint of the newest observation, one sigma, metres; None:
            it states none.
        upside_down_since_ns: first stamp of those, without a break, at which the head was below the feet.
        done_version: of the track when `result` was made; -1: it never was.
        followed: its `result` and `row`.
    """

    track: Track = field(default_factory=Track)
    jumped_ns: int | None = None
    relinked_ns: int | None = None
    duplicated_ns: int | None = None
    upside_down_since_ns: int | None = None
    plausible: int = 0
    believed: bool = False
    sigma_m: np.ndarray | None = None
    done_version: int = -1
    followed: Followed = field(default_factory=Followed)

    @property
    def result(self) -> Result | None:
        """See `Followed`."""
        return self.followed.result

    @result.setter
    def result(self, result: Result | None) -> None:
        self.followed.result = result

    @property
    def row(self) -> int:
        """See `Followed`."""
        return self.followed.row

    @row.setter
    def row(self, row: int) -> None:
        self.followed.row = row

    def now(self, since_ns: int = 0) -> Person:
        """As it is now, whatever is observed later; `followed` stays common to both.

        Args:
            since_ns: how much of the track before its newest observation is kept.
        """
        return replace(self, track=self.track.newest_part(since_ns))


class Seen(NamedTuple):
    """People of whom a frame brought the newest observation.

    Attributes:
        people: N of them.
        positions: (N, 20, 3) metres, finite.
        status: (N, 20) `JointStatus`.
    """

    people: list[Person]
    positions: np.ndarray
    status: np.ndarray


class People:
    """All who are known, and whether somebody is overlooked.

    Args:
        config: limits; another one may be set at any time.
        counters: what happened is added to these.

    Attributes:
        known: person by id, in the order in which they came.
        moves: of the last frame: id -> id under which that person went until then.
        left_behind: of the last frame: who was taken to be lost where a body may have been another's, and whose results
            until then that person has.
        overlooked_until_ns: until then somebody who was seen may be there and is not among the people: there was no
            place, or the stamps could not be used. None: nobody.
        lost_until_ns: who was lost and is not among the people (somebody else has the id, or the clock went back), by
            id, and until when they may be there.
    """

    def __init__(self, config: PredictorConfig, counters: Counter[str]) -> None:
        self.config, self.counters = config, counters
        self.known: dict[str, Person] = {}
        self.moves: dict[str, str] = {}
        self.left_behind: list[tuple[Followed, Followed]] = []
        self.overlooked_until_ns: int | None = None
        self.lost_until_ns: dict[str, int] = {}
        self.continuity = Continuity()
        self._glimpsed: dict[str, Person] = {}  # newcomers who were seen too seldom
        self._restarted: frozenset[str] = frozenset()  # of the last frame: who was believed and starts anew

    def reset(self) -> None:
        """Forget all people; the counters go on."""
        self.known.clear()
        self.overlooked_until_ns = None
        self.lost_until_ns.clear()
        self._glimpsed.clear()
        self.continuity.reset()

    def outliers(self, person_id: str) -> Outliers | None:
        """The joints of that person whose bound must hold two places; None when there are none."""
        return self.continuity.outliers(person_id)

    def add(self, frame: SkeletonFrame, stamp_ns: int) -> Seen | None:
        """Put a frame into the tracks; never raises for what the frame contains.

        Args:
            frame: in the fixed frame.
            stamp_ns: time of capture.

        Returns:
            Whose newest observation it brought; None: nobody's.
        """
        self.moves, self.left_behind, self._restarted = {}, [], frozenset()
        self.counters["frames"] += 1
        self._forget_newcomers(stamp_ns, frame.person_ids)
        if not frame.person_ids:
            return None
        rows = believable_rows(frame, self.counters)
        if self.config.region_of_interest:
            rows = self._inside(rows, stamp_ns)
        if not rows.ids:
            return None
        taken = self.continuity.take(stamp_ns, rows.ids, rows.positions, rows.status, self.known, self.config)
        for name, n in taken.counters.items():
            count(self.counters, name, n)
        self._follow(taken, stamp_ns)
        sigmas = None
        if frame.covariance is not None:
            sigmas = dict(zip(frame.person_ids, sigma_m(frame.covariance), strict=True))
        return self._put(taken, stamp_ns, rows.repeated, sigmas)

    def _forget_newcomers(self, stamp_ns: int, seen: tuple[str, ...]) -> None:
        """Drop who was seen too seldom to be believed, and is not seen any more while frames go on to come."""
        stale_ns = int(self.config.stale_after_s * NS)
        for person_id in self.unconfirmed():
            if person_id not in seen and stamp_ns - self.known[person_id].track.newest_ns >= stale_ns:
                self._glimpsed[person_id] = self.known.pop(person_id)
                self.counters["people_unconfirmed"] += 1
        for person_id in [
            i for i, p in self._glimpsed.items() if not 0 <= stamp_ns - p.track.newest_ns < self._lost_ns
        ]:
            del self._glimpsed[person_id]

    def _inside(self, rows: Rows, stamp_ns: int) -> Rows:
        """Those of whom any joint is in the region; who is seen to be wholly outside is known no more.

        An id that is outside faster than people get there was given to somebody else: who had it is unseen, not gone.
        """
        box = region(self.config.region_of_interest)
        inside = (in_region(rows.positions[..., :2], box) & (rows.status != MISSING)).any(1)
        for row in np.flatnonzero(~inside):
            person = self.known.get(rows.ids[row])
            if person is not None and stamp_ns > person.track.newest_ns:
                hidden = _hidden(person, rows.positions[row], rows.status[row])
                inside[row] = in_region(hidden[:, :2], box).any()
        if inside.all():
            return rows
        self.counters["outside_region"] += int((~inside).sum())
        for row in np.flatnonzero(~inside):
            person_id = rows.ids[row]
            person = self.known.get(person_id)
            if person is None or stamp_ns <= person.track.newest_ns:  # an old frame says nothing of what came after it
                continue
            del self.known[person_id]
            if person.believed and self._elsewhere(person, stamp_ns, rows.positions[row], rows.status[row]):
                self.continuity.rename(person_id, self._stays_lost(person_id + "~", person, "id_reused"))
        ids = [i for i, k in zip(rows.ids, inside.tolist(), strict=True) if k]
        return Rows(ids, rows.positions[inside], rows.status[inside], rows.repeated)

    def _elsewhere(
        self, person: Person, stamp_ns: int, positions: np.ndarray, status: np.ndarray, unknown: bool = True
    ) -> bool:
        """Whether a body (20, 3) under that person's id is too far away, along the floor, to be surely the same one.

        `unknown` is the answer where no joint is seen of both.
        """
        both = (status != MISSING) & (person.track.newest_status != MISSING)
        if not both.any():
            return unknown
        away_m = np.linalg.norm((positions - person.track.newest_positions)[both, :2], axis=-1).mean()
        passed_s = max(stamp_ns - person.track.newest_ns, 0) * 1e-9
        return bool(away_m > APART_M + self.config.reach_speed_mps * passed_s)

    def _on_another(self, person: Person, stamp_ns: int, positions: np.ndarray, status: np.ndarray) -> bool:
        """Whether a body (20, 3) under that person's id is where another input saw somebody else a moment ago."""

        def away_m(other: Person) -> float:
            both = (status != MISSING) & (other.track.newest_status != MISSING)
            apart = np.linalg.norm((positions - other.track.newest_positions)[both], axis=-1)
            return float(apart.mean()) if len(apart) >= MIN_COMMON else np.inf

        if away_m(person) <= DOUBTFUL_M:
            return False
        others = (p for p in self.known.values() if p is not person and p.believed)
        return any(0 < stamp_ns - p.track.newest_ns <= _TURNS_NS and away_m(p) <= ONE_BODY_M for p in others)

    def unconfirmed(self) -> list[str]:
        """Newcomers who are not believed yet."""
        return [i for i, p in self.known.items() if not p.believed and p.plausible < self.config.confirm_frames]

    def view_reasons(self, now_ns: int) -> tuple[ViewReason, int]:
        """Why the view is not complete, as far as people tell.

        Args:
            now_ns: of the prediction.

        Returns:
            The reasons, and how many may be there who are not among the people.
        """
        c, reasons = self.config, ViewReason.NONE
        if self.overlooked_until_ns is not None:
            reasons |= ViewReason.PEOPLE_OVER_LIMIT
        if self.lost_until_ns:  # the hold is never longer, also where the clock went back
            last_ns = now_ns + self._keep_ns
            self.lost_until_ns = {i: min(u, last_ns) for i, u in self.lost_until_ns.items() if now_ns <= u}
        lost_ns = int(c.lost_after_s * NS)
        if self.lost_until_ns or any(now_ns - p.track.newest_ns > lost_ns for p in self.known.values()):
            reasons |= ViewReason.PERSON_LOST
        if self.unconfirmed():
            reasons |= ViewReason.PERSON_UNCONFIRMED
        return reasons, len(self.lost_until_ns)

    def forget(self, now_ns: int) -> None:
        """Drop who was lost longer ago than the hold, and whose stamps are of another clock."""
        keep_ns = self._keep_ns
        ahead_ns = int(self.config.reset_jump_s * NS)  # seen before the clock jumped back
        ages_ns = {i: now_ns - p.track.newest_ns for i, p in self.known.items()}
        for person_id in [i for i, age_ns in ages_ns.items() if not -ahead_ns <= age_ns <= keep_ns]:
            if self.known.pop(person_id).done_version < 0:
                # never predicted: the tracker's clock is not ours
                self.counters["stamp_in_the_future" if ages_ns[person_id] < 0 else "stamp_too_old"] += 1
                self._overlook(now_ns + int(self.config.lost_after_s * NS))
            if ages_ns[person_id] < 0:
                self._lose(person_id, now_ns)
        if self.overlooked_until_ns is not None and now_ns > self.overlooked_until_ns:
            self.overlooked_until_ns = None

    def _follow(self, taken: Taken, stamp_ns: int) -> None:
        """Move histories to the ids that their bodies have now."""
        self.moves = taken.moves
        if taken.moves:
            before = set(self.known)
            moved = {new: self.known.pop(old) for new, old in taken.moves.items() if old in self.known}
            stay: dict[str, Person] = {}
            for new, person in moved.items():
                person.relinked_ns = stamp_ns
                old = taken.moves[new]
                # an id that was known leaves its own body: where nobody has the lost one's, that one stays lost
                nobody = {old, old.rstrip("~")}.isdisjoint(taken.ids)
                if new in taken.doubtful and (new not in before or nobody):
                    stay[old] = left = copy.deepcopy(person)
                    self.left_behind.append((left.followed, person.followed))
            self.known.update(moved)
            for old, person in stay.items():
                self._stays_lost(old, person, "relink_doubtful")
        if taken.restarted and len(self.continuity.bodies.slots) >= self.config.max_people:
            self._overlook(stamp_ns + self._keep_ns)  # who had the id may be unseen, and there is no place for both
        if taken.restarted:
            self._restarted = frozenset(i for i in taken.restarted if i in self.known and self.known[i].believed)
        for person_id in (*taken.merged, *taken.restarted):
            self.known.pop(person_id, None)

    def _stays_lost(self, person_id: str, person: Person, counter: str) -> str:
        """Who went on under another id may be another who came near: the lost one is unseen, not gone.

        Args:
            person_id: that the lost one gets, where it is free.
            person: the lost one.
            counter: of this.

        Returns:
            The id that the lost one has; empty: there was no place.
        """
        if len(self.known) >= self.config.max_people:
            self._overlook(person.track.newest_ns + self._keep_ns)
            return ""
        while person_id in self.known:
            person_id += "~"
        person.row, person.relinked_ns, person.believed = -1, None, True
        self.known[person_id] = person
        self.counters[counter] += 1
        return person_id

    def _put(
        self, taken: Taken, stamp_ns: int, repeated: frozenset[str], sigmas: dict[str, np.ndarray] | None
    ) -> Seen | None:
        newest: dict[int, Person] = {}
        upright = stands(taken.positions, taken.status)
        for row, person_id in enumerate(taken.ids):
            if not some(taken.status[row]):
                continue  # all of it jumped
            self._leave(person_id, stamp_ns, taken.positions[row], taken.status[row])
            person = self._place(person_id, stamp_ns, taken.positions[row], taken.status[row])
            if person is None:
                self.counters["people_over_limit"] += 1
                continue
            if person_id in taken.forgotten:
                person.track.forget(taken.forgotten[person_id])
            if self._observe(person_id, stamp_ns, taken.positions[row], taken.status[row], upright[row]):
                newest[row] = person
                person.sigma_m = None if sigmas is None else sigmas.get(person_id)
            if person_id in taken.duplicated or person_id in repeated:
                person.duplicated_ns = stamp_ns
        if not newest:
            return None
        if len(newest) == len(taken.ids):
            return Seen(list(newest.values()), taken.positions, taken.status)
        at = list(newest)
        return Seen(list(newest.values()), taken.positions[at], taken.status[at])

    def _leave(self, person_id: str, stamp_ns: int, positions: np.ndarray, status: np.ndarray) -> None:
        """Whose id is farther away now than they get meanwhile is unseen still."""
        person = self.known.get(person_id)
        if person is None or not person.believed:
            return
        unseen_ns = stamp_ns - person.track.newest_ns
        if unseen_ns <= _SURE_NS:
            return
        stale = unseen_ns > self.config.stale_after_s * NS
        at = (person, stamp_ns, positions, status)
        if self._elsewhere(*at, unknown=stale) or self._on_another(*at):
            del self.known[person_id]
            self._stays_lost(person_id + "~", person, "id_reused")

    def _place(self, person_id: str, stamp_ns: int, positions: np.ndarray, status: np.ndarray) -> Person | None:
        """The person of that id; a new one takes the place of the longest unseen when all places are taken."""
        person = self.known.get(person_id)
        if person is None:
            if len(self.known) >= self.config.max_people:
                oldest = min(self.known, key=lambda k: self.known[k].track.newest_ns)
                oldest_ns = self.known[oldest].track.newest_ns
                if stamp_ns - oldest_ns < self.config.lost_after_s * NS:
                    self._overlook(stamp_ns + self._keep_ns)
                    return None
                del self.known[oldest]
                self.counters["people_displaced"] += 1
                self._overlook(oldest_ns + self._keep_ns)
            person = self.known[person_id] = Person(believed=person_id in self._restarted)
            before = self._glimpsed.pop(person_id, None)
            if before is not None and not self._elsewhere(before, stamp_ns, positions, status):
                person.plausible = before.plausible  # somebody who is hardly seen, again and again
        return person

    def _observe(self, person_id: str, stamp_ns: int, positions: np.ndarray, status: np.ndarray, stands: int) -> bool:
        """Put an observation into the person's track; whether it is the newest."""
        person = self.known[person_id]
        jump_ns = int(self.config.reset_jump_s * NS)
        track = person.track
        went_back = person.believed and len(track) and stamp_ns < track.newest_ns - jump_ns
        if went_back and self._elsewhere(person, stamp_ns, positions, status):
            self._lose(f"{person_id}~", stamp_ns)  # who had the id before is unseen
        added = track.add(stamp_ns, positions, status, jump_ns)
        if added is not Added.NEWEST:
            self.counters[f"stamp_{added.value}"] += 1
        if added is Added.RESET:
            person.jumped_ns, person.done_version, person.followed = stamp_ns, -1, Followed()
            person.duplicated_ns = person.upside_down_since_ns = person.relinked_ns = None
        if added in (Added.NEWEST, Added.RESET):
            person.plausible += 1
            person.believed |= person.plausible >= self.config.confirm_frames
            if stands < 0:
                self.counters["not_z_up"] += 1
                if person.upside_down_since_ns is None:
                    person.upside_down_since_ns = stamp_ns
            elif stands > 0:
                person.upside_down_since_ns = None
        return added in (Added.NEWEST, Added.RESET)

    @property
    def _lost_ns(self) -> int:
        return int(self.config.lost_after_s * NS)

    @property
    def _keep_ns(self) -> int:
        """How long after the last sight a person is still published."""
        return int(self.config.hold_s * NS)

    def _lose(self, person_id: str, from_ns: int) -> None:
        """That person is not among the people any more, and may be there."""
        self.lost_until_ns[person_id] = from_ns + self._keep_ns

    def _overlook(self, until_ns: int) -> None:
        self.overlooked_until_ns = max(until_ns, self.overlooked_until_ns or until_ns)


def _hidden(person: Person, positions: np.ndarray, status: np.ndarray) -> np.ndarray:
    """(n, 3) where joints that are not seen of that person now are, moved with those that are."""
    before, now = person.track.newest_status != MISSING, status != MISSING
    last, both = person.track.newest_positions, before & now
    moved = (positions - last)[both].mean(0) if both.any() else np.zeros(3)
    return last[before & ~now] + moved
