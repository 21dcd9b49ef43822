# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A recording, predicted and judged around the time that is looked at; it is never loaded whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion.commands.offline import Job, Reading, make
from aux_motion.commands.view.robots import RobotBeside, occupancy_builder
from aux_motion_core.bags import reader
from aux_motion_core.bags.files import BagError
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.comparisons import Grid, Sources
from aux_motion_core.evaluation.judge import HORIZONS_S
from aux_motion_core.evaluation.moments import Moments, ReplayMoment
from aux_motion_core.evaluation.replay import Replayed, predict, quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.occupancy import Occupancy, OccupancyBuilder, OccupancyConfig
from aux_motion_core.safety.robot import Robot

#: Kinds of bound to pick from, by their label.
BOUNDS = {"of each joint alone": "marginal", "of the whole body at once": "simultaneous", "none": ""}
#: After a jump the predictor starts so much earlier: its history, and the trust in new people, are there then.
WARM_UP_S = 5.0
#: A jump to near the start begins at the start.
_NEAR_START_S = 15.0
#: What is kept behind the time that is looked at, and predicted ahead of it.
BEHIND_S, AHEAD_S = 20.0, 20.0
#: Outcomes come in blocks: where few people are seen, prediction runs further ahead to have them, up to this.
_FAR_AHEAD_S = 90.0
_KNOWN_AHEAD_S = 3.0
#: So much ahead, predicting leaves half of the processor to the page.
_COMFORT_S = 3.0


class _Jump(Exception):
    """The time that is looked at is elsewhere now."""


@dataclass(frozen=True)
class Bookmark:
    """A moment to look at: `at_s` seconds from the start, `stamp_ns` of its prediction, and what is there."""

    at_s: float
    stamp_ns: int
    person_id: str
    text: str


@dataclass(frozen=True)
class Opened:
    """What is to be viewed.

    Attributes:
        job: the bag and how it is predicted.
        title: for people.
        bookmarks: the worst moments, where an evaluation tells them.
        note: what the viewer should know, in one line.
    """

    job: Job
    title: str
    bookmarks: tuple[Bookmark, ...] = ()
    note: str = ""


def open_evaluation(folder: Path) -> Opened:
    """The bag that `aux-motion evaluate` judged, with its worst moments.

    Raises:
        BagError: the folder holds no evaluation of one bag, or neither the bag nor `annotated.mcap` is there.
    """
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BagError(
            f"cannot read {path}: {error.strerror}; name a bag, or a folder made by aux-motion evaluate"
        ) from None
    except ValueError:
        raise BagError(f"{path} is damaged: run aux-motion evaluate again") from None
    if "bags" in summary:
        inside = ", ".join(str(folder / part["folder"]) for part in summary["bags"].values())
        raise BagError(f"{folder} is an evaluation of several bags: name one of {inside}")
    if "bag" not in summary or "fixed_frame" not in summary:
        raise BagError(f"{path} is not of aux-motion evaluate: name a bag, or a folder made by it")
    bookmarks = tuple(
        Bookmark(
            m["at_s"],
            round(m["stamp_s"] * NS),
            m["person"],
            f"{m['error_mm']:.0f} mm: {m['person']} at {m['at_s']:.1f} s",
        )
        for m in summary.get("worst", ())
    )  # fmt: skip
    values: dict[str, Any] = dict(summary.get("parameters", {}))
    values["fixed_frame"] = summary["fixed_frame"]
    bag, note, topic, tracker = Path(summary["bag"]), "", summary.get("topic"), summary.get("tracker")
    if not bag.exists():
        annotated = folder / "annotated.mcap"
        if not annotated.is_file():
            raise BagError(f"neither the bag {bag} nor {annotated} is here: name the bag itself")
        note = f"The bag {bag} is not here: its people as {annotated.name} has them."
        bag, topic, tracker = annotated, "/skeletons", "aux_motion"
        values = {k: v for k, v in values.items() if k not in ("tracker", "tracker_joints", "static_transforms")}
    return Opened(
        Job(bag=bag, out=folder, topic=topic, tracker=tracker, values=values), f"{bag.name}, evaluated", bookmarks, note
    )


class Recording:
    """Moments of a bag around the time that is looked at.

    A thread reads the bag from `WARM_UP_S` before that time, predicts and judges as `aux-motion evaluate` does, and
    stops when it is far enough ahead. What lies far behind is forgotten, and made again when it is looked at.

    Args:
        opened: what to view.
        robot: beside the people; None: none.
        start_s: seconds from the start to begin at.
        keep_s: how much is predicted ahead and kept behind; None: some seconds; infinite: a short bag, whole.

    Raises:
        ValueError: one line on what is wrong with bag, model or parameters.
    """

    live = False
    bounds = BOUNDS

    def __init__(
        self, opened: Opened, robot: Robot | None = None, start_s: float = 0.0, keep_s: float | None = None
    ) -> None:
        self._ahead_s, self._behind_s = (AHEAD_S, BEHIND_S) if keep_s is None else (keep_s, keep_s)
        self.opened, self.title, self.bookmarks = opened, opened.title, opened.bookmarks
        self._reading = Reading(opened.job)
        with reader.BagReader(opened.job.bag, on_damage=lambda line: None) as bag:
            self._start_ns, self._end_ns = bag.start_ns, bag.end_ns
        p = self._reading.parameters
        self.frame_id = p.fixed_frame
        self._backend = make(p)
        self._table = getattr(self._backend, "calibration", None)
        self._config = quiet(p, self._table is not None)
        shape = {name: getattr(p, name) for name in OccupancyConfig.model_fields}
        self._builders = {
            kind: OccupancyBuilder(
                OccupancyConfig.model_validate({**shape, "occupancy_bound": kind}),
                p.reach_speed_mps,
                None,
                p.tracker_error_m,
            )
            for kind in ("marginal", "simultaneous")
        }
        self.robot = None if robot is None else RobotBeside(robot, occupancy_builder(p))
        self._grid = Grid.of(self._backend)
        horizons = np.array([h for h in HORIZONS_S if h <= self._grid.future_steps * self._grid.dt_s + 1e-6])
        self.moments = Moments(Sources(self._grid, self._config).names, horizons)
        self.trouble = opened.note
        self._wake = threading.Condition()
        self._at_s, self._closed, self._ended = 0.0, False, False
        #: Where the thread began, and where it is to begin anew.
        self._from_s = start_s
        self._jump_s: float | None = start_s
        self._playing = False
        self._thread = threading.Thread(target=self._work, name="recording", daemon=True)
        self._thread.start()

    @property
    def duration_s(self) -> float:
        """Length by the log."""
        return max((self._end_ns - self._start_ns) / NS, 0.0)

    @property
    def ended(self) -> bool:
        """Everything to the end of the bag is there."""
        return self._ended

    def look(self, at_s: float, playing: bool = False) -> None:
        """Say which time is looked at; what is around it will be in `moments`."""
        with self._wake:
            self._at_s, self._playing = at_s, playing
            first_s, last_s = self.moments.first_s, self.moments.last_s
            if not len(self.moments):  # on its way there
                first_s = last_s = self._from_s
            behind = at_s < first_s - 0.5
            beyond = at_s > last_s + self._ahead_s and not self._ended
            if behind or beyond:
                self._from_s = self._jump_s = at_s
            self._wake.notify_all()

    def occupancy(self, moment: ReplayMoment, kind: str) -> Occupancy:
        """Capsules of everybody at a moment, of a kind of bound: "marginal" or "simultaneous"."""
        return self._builders[kind].build(moment.batch)

    def close(self) -> None:
        """Stop, and give the model back."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self._thread.join(timeout=5.0)
        self._backend.close()

    # In the thread

    def _work(self) -> None:
        while True:
            with self._wake:
                while self._jump_s is None and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                from_s, self._jump_s, self._ended = self._jump_s, None, False
                self.moments.clear()
            if self.robot:
                self.robot.restart()
            predictor = Predictor(self._backend, self._config, self.frame_id)
            try:
                judge(
                    self._paced(predictor, from_s), self._grid, self._config, table=None,
                    outcome_listener=self.moments.judge,
                )  # fmt: skip
                self._ended = True
                self._note_damage()
            except _Jump:
                continue
            except Exception as error:  # whatever a damaged bag makes of it: the page says it
                self._ended = True
                self.trouble = f"{type(error).__name__}: {error}".splitlines()[0]

    def _note_damage(self) -> None:
        rejected = sum(self._reading.rejected.values())
        if self._reading.report.damage:
            self.trouble = self._reading.report.damage
        elif rejected:
            reason, count = self._reading.rejected.most_common(1)[0]
            self.trouble = f"{rejected} messages cannot be used; {count}: {reason}"
        elif not len(self.moments):
            self.trouble = "nobody is in this recording"

    def _paced(self, predictor: Predictor, from_s: float) -> Iterator[Replayed]:
        """What the predictor makes of the bag, no faster than it is looked at."""
        begin_s = from_s - WARM_UP_S if from_s > _NEAR_START_S else 0.0
        kept_s = from_s - 0.5 if begin_s > 0.0 else 0.0
        start_ns = self._start_ns + round(begin_s * NS)
        for taken in predict(self._reading.frames(start_ns), predictor):
            at_s = (taken.log_time_ns - self._start_ns) / NS
            if at_s >= kept_s:
                self.moments.put(self._moment(taken, at_s))
            yield taken
            self._hold(at_s, taken.took_s)

    def _moment(self, taken: Replayed, at_s: float) -> ReplayMoment:
        if self.robot is None:
            return ReplayMoment(at_s, taken.frame, taken.batch)
        tf = self._reading.transforms.tf if self._reading.transforms is not None else None
        return ReplayMoment(at_s, taken.frame, taken.batch, *self.robot.decide(taken.now_ns, taken.batch, tf))

    def _hold(self, at_s: float, took_s: float) -> None:
        """Wait while everything that may be looked at soon is there."""
        with self._wake:
            if self._playing and at_s > self._at_s + _COMFORT_S and self._jump_s is None:
                self._wake.wait(min(took_s, 0.05))
            while self._jump_s is None and not self._closed:
                ahead_s = at_s - self._at_s
                judged = self.moments.judged_s >= self._at_s + _KNOWN_AHEAD_S
                if ahead_s < self._ahead_s or (not judged and ahead_s < _FAR_AHEAD_S):
                    break
                self._wake.wait(0.5)
            if self._jump_s is not None or self._closed:
                raise _Jump
            behind_s = self._at_s - self._behind_s
        if self.moments.first_s < behind_s - 1.0:
            self.moments.trim(behind_s)
