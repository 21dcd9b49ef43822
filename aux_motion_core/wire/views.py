# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Prediction messages as numpy arrays, and poses at absolute times, for consumers in Python.

Duck typed: a message of rclpy or of rosbags. Nothing is copied, the arrays look into the message's memory.

    predictions = PredictionView(message)
    for person in predictions:
        pose = person.at(time_ns)  # (joints, 3) metres in predictions.frame_id
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.types import Reason, TrackState, ViewReport
from aux_motion_core.wire.messages import view_from_message


class OutsidePredictionError(ValueError):
    """A pose was asked for at a time that the prediction does not cover, or no longer covers."""


def _time_ns(stamp: Any) -> int:
    return int(stamp.sec) * NS + int(stamp.nanosec)


def _shaped(values: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    flat = np.asarray(values, dtype=dtype)
    if flat.size != int(np.prod(shape)):
        raise ValueError(f"expected {' x '.join(map(str, shape))} values, came {flat.size}: damaged message")
    return flat.reshape(shape)


class PersonView:
    """One `PersonPrediction`. S steps, J joints; step k (0-based) is at `stamp_ns + (k + 1) * dt_ns`.

    Attributes:
        id: the tracker's id of the person.
        state: validity.
        reasons: why.
        stamp_ns: origin of the steps, nanoseconds.
        last_observed_ns: newest observation.
        valid_until_ns: do not use the prediction after this time.
        dt_ns: step, nanoseconds (of `dt_s`, rounded to the microsecond).
        steps: S.
        joints: J.
    """

    def __init__(self, person: Any, steps: int, joints: int, dt_ns: int) -> None:
        """Look at `person`, of an array with `steps`, `joints` and `dt_ns`."""
        self._person = person
        self.id = str(person.id)
        self.state = TrackState(int(person.state))
        self.reasons = Reason(int(person.reasons))
        self.stamp_ns = _time_ns(person.stamp)
        self.last_observed_ns = _time_ns(person.last_observed)
        self.valid_until_ns = _time_ns(person.valid_until)
        self.dt_ns = dt_ns
        self.steps = steps
        self.joints = joints

    @property
    def mean(self) -> np.ndarray:
        """(S, J, 3) float32 metres."""
        return _shaped(self._person.mean, (self.steps, self.joints, 3))

    @property
    def recovered(self) -> np.ndarray:
        """(J, 3) float32 metres: the pose at `stamp_ns`, missing joints recovered."""
        return _shaped(self._person.recovered, (self.joints, 3))

    @property
    def radius(self) -> np.ndarray | None:
        """(S, J) float32 metres around `mean`, or None where there is none."""
        if not len(self._person.radius):
            return None
        return _shaped(self._person.radius, (self.steps, self.joints))

    @property
    def body_radius(self) -> np.ndarray | None:
        """(S, J) float32 metres around `mean` that hold all joints at all steps together; None where there is none."""
        if not len(getattr(self._person, "body_radius", ())):  # recordings of older versions lack it
            return None
        return _shaped(self._person.body_radius, (self.steps, self.joints))

    @property
    def scale(self) -> np.ndarray | None:
        """(S, J, 3) float32 metres, one sigma per axis, or None where it is not estimated."""
        if not len(self._person.scale):
            return None
        return _shaped(self._person.scale, (self.steps, self.joints, 3))

    @property
    def joint_status(self) -> np.ndarray:
        """(J,) uint8 `JointStatus` at `stamp_ns`."""
        status = self._person.joint_status
        if isinstance(status, (bytes, bytearray)):
            status = np.frombuffer(status, np.uint8)
        return _shaped(status, (self.joints,), np.uint8)

    def covers(self, time_ns: int) -> bool:
        """Whether `at` answers for this time."""
        return self.stamp_ns <= time_ns <= min(self.stamp_ns + self.steps * self.dt_ns, self.valid_until_ns)

    def at(self, time_ns: int) -> np.ndarray:
        """The pose at an absolute time, linear between the recovered pose and the steps.

        Args:
            time_ns: time in nanoseconds, on the clock of the message's stamps.

        Returns:
            (J, 3) float64 metres, a new array.

        Raises:
            OutsidePredictionError: before `stamp_ns`, beyond the last step or beyond `valid_until_ns`.
        """
        step, weight = self._bracket(int(time_ns))
        mean = self.mean
        before = self.recovered if step == 0 else mean[step - 1]
        if weight == 0.0:
            return before.astype(np.float64)
        return (1.0 - weight) * before.astype(np.float64) + weight * mean[step].astype(np.float64)

    def radius_at(self, time_ns: int) -> np.ndarray | None:
        """The radius around `at(time_ns)`: the larger one of the two steps around it.

        Args:
            time_ns: time in nanoseconds, on the clock of the message's stamps.

        Returns:
            (J,) float32 metres, or None where there is no radius.

        Raises:
            OutsidePredictionError: as `at`.
        """
        step, weight = self._bracket(int(time_ns))
        radius = self.radius
        if radius is None:
            return None
        first, last = max(step - 1, 0), step if weight else max(step - 1, 0)
        return radius[first : last + 1].max(axis=0)

    def _bracket(self, time_ns: int) -> tuple[int, float]:
        """Steps passed at a time, and the share of the next one."""
        offset = time_ns - self.stamp_ns
        horizon = self.steps * self.dt_ns
        if offset < 0:
            raise OutsidePredictionError(
                f"person {self.id}: {-offset / NS:.3f} s before the stamp; ask for the stamp or later"
            )
        if offset > horizon:
            raise OutsidePredictionError(
                f"person {self.id}: {offset / NS:.3f} s after the stamp, the prediction ends at "
                f"{horizon / NS:.3f} s; take a newer message"
            )
        if time_ns > self.valid_until_ns:
            raise OutsidePredictionError(
                f"person {self.id}: {(time_ns - self.valid_until_ns) / NS:.3f} s after valid_until; "
                "take a newer message"
            )
        step, rest = divmod(offset, self.dt_ns)
        return step, rest / self.dt_ns


class PredictionView:
    """A `PredictionArray`: iterate for its `PersonView`s, or index it by person id.

    Attributes:
        stamp_ns: when the prediction was made, nanoseconds.
        frame_id: frame of all positions.
        joint_names: J names.
        steps: S.
        dt_ns: step, nanoseconds.
        people: by id, in the message's order.
        view: how complete it is; a message without people means that nobody is there only where `nobody` says so.
    """

    def __init__(self, message: Any) -> None:
        """Look at a `PredictionArray`.

        Args:
            message: of rclpy or rosbags.

        Raises:
            ValueError: the step is not positive.
        """
        self.stamp_ns = _time_ns(message.header.stamp)
        self.frame_id = str(message.header.frame_id)
        self.joint_names = tuple(message.joint_names)
        self.steps = int(message.steps)
        # dt_s is a float32: 0.04 comes as 0.0399999991; whole microseconds bring the step back
        self.dt_ns = round(float(message.dt_s) * 1e6) * 1000
        if self.dt_ns <= 0:
            raise ValueError(f"dt_s is {message.dt_s}: expected a positive step in seconds")
        joints = len(self.joint_names)
        self.view: ViewReport = view_from_message(message)
        self.people = {str(p.id): PersonView(p, self.steps, joints, self.dt_ns) for p in message.people}

    def __iter__(self) -> Iterator[PersonView]:
        """Every person, in the message's order."""
        return iter(self.people.values())

    def __len__(self) -> int:
        """Number of people; 0: nobody is known, which is not `nobody`."""
        return len(self.people)

    def nobody(self, now_ns: int, max_input_age_s: float) -> bool:
        """Whether nobody is there: no people, in a view that is complete and fresh.

        Args:
            now_ns: the present, on the clock of the stamps.
            max_input_age_s: oldest input that is still believed, seconds.
        """
        return not self.people and not self.view.refusal(now_ns, max_input_age_s)

    def __getitem__(self, person_id: str) -> PersonView:
        """The person with this id; KeyError where unknown."""
        return self.people[person_id]
