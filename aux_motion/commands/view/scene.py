# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The scene of the page: people now and later, bounds, what was seen, the robot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aux_motion.commands.view.shapes import Colour, Skin, Sticks, outside
from aux_motion.commands.view.words import speed_colour
from aux_motion_core.evaluation.moments import ReplayMoment, SeenLater, visible
from aux_motion_core.safety.occupancy import BoundKind, Occupancy
from aux_motion_core.skeleton import BONES, INDEX, JointStatus
from aux_motion_core.types import MotionPrediction, TrackState

_BONES = np.array(BONES)
NOW: Colour = (233, 240, 255)
UNSEEN: Colour = (110, 122, 145)
PREDICTED: Colour = (255, 125, 45)
BOUND: Colour = (255, 176, 92)
SEEN_LATER: Colour = (30, 215, 120)
BASELINE: Colour = (70, 130, 255)
ROBOT: Colour = (150, 165, 190)
FLOOR: Colour = (46, 54, 70)
BACKGROUND: Colour = (20, 20, 20)
_FLOOR_M = 12.0
#: A path has one point in this many steps of the prediction.
_PATH_EVERY = 2
_NO_ENDS, _NO_RADIUS = np.zeros((0, 2, 3)), np.zeros(0)


@dataclass(frozen=True)
class Shown:
    """What the viewer wants to see.

    Attributes:
        person_id: of whom the prediction is shown; empty: of everybody.
        horizon_s: how far ahead.
        horizon: index of it among the horizons that are judged.
        baseline: index among the sources, 0: none.
        bound: which one: "marginal" (each joint and time on its own), "simultaneous" (all at once), or empty: none.
        paths, later: whether these are shown.
    """

    person_id: str = ""
    horizon_s: float = 0.4
    horizon: int = 1
    baseline: int = 0
    bound: str = "marginal"
    paths: bool = True
    later: bool = True


def bones(pose: np.ndarray) -> np.ndarray:
    """(19 or 20, 2, 3) ends of a pose's bones; where the spine is missing, the trunk from pelvis to neck."""
    ends = pose[_BONES]
    if not np.isfinite(pose[INDEX["spine"]]).all():
        ends = np.concatenate([ends, pose[None, [INDEX["pelvis"], INDEX["neck"]]]])
    return ends


def pose_at(person: MotionPrediction, dt_s: float, ahead_s: float) -> np.ndarray:
    """(J, 3) the predicted pose some time after the prediction's stamp, linear between steps."""
    poses = np.concatenate([np.asarray(person.recovered)[None], person.mean])
    step = min(max(ahead_s / dt_s, 0.0), len(poses) - 1.0)
    low = min(int(step), len(poses) - 2)
    return poses[low] + (step - low) * (poses[low + 1] - poses[low])


class Scene:
    """Draws moments.

    Args:
        server: of viser.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        scene = server.scene
        scene.set_up_direction("+z")
        scene.configure_environment_map(hdri=None)
        scene.configure_default_lights(enabled=False)
        scene.add_light_ambient("/lights/all", color=(255, 255, 255), intensity=0.8)
        scene.add_light_directional(
            "/lights/sun", color=(255, 255, 255), intensity=1.1, position=(-3.0, -5.0, 8.0), cast_shadow=False
        )
        # a grid and a background of viser cost a software renderer 11 ms a frame each: lines and the page's own colour
        self._floor = Sticks(server, "/floor", FLOOR, sides=3)
        self._now = Sticks(server, "/now", NOW, ends=True)
        self._predicted = Sticks(server, "/predicted", PREDICTED)
        self._later = Sticks(server, "/seen_later", SEEN_LATER)
        self._baseline = Sticks(server, "/baseline", BASELINE)
        self._bounds: dict[int, Skin] = {}
        self._robot = Sticks(server, "/robot", ROBOT, ends=True, sides=12)
        self._robot_at: np.ndarray | None = None
        self._distance = Sticks(server, "/distance", (255, 107, 107))
        self._paths: Any = None
        self._labels: dict[int, Any] = {}
        self._near_label: Any = None

    def place_floor(self, centre: np.ndarray, height_m: float) -> None:
        """A grid under the people, `centre` (2,) metres."""
        half, middle = _FLOOR_M / 2.0, np.round(centre)
        steps = np.arange(-half, half + 0.5)
        ends = np.zeros((2, len(steps), 2, 3))
        ends[0, :, :, 0], ends[0, :, 0, 1], ends[0, :, 1, 1] = steps[:, None], -half, half
        ends[1, :, :, 1], ends[1, :, 0, 0], ends[1, :, 1, 0] = steps[:, None], -half, half
        self._floor.show(ends.reshape(-1, 2, 3) + (*middle.tolist(), height_m - 0.01), 0.006)

    def show(
        self, moment: ReplayMoment, outcomes: dict[str, SeenLater], occupancy: Occupancy | None, shown: Shown
    ) -> None:
        """Draw a moment.

        Args:
            moment: what was seen and predicted.
            outcomes: of its predictions, by person; those that are known.
            occupancy: of its predictions; None: it is not shown.
            shown: what the viewer wants.
        """
        chosen = [p for p in moment.batch.people if shown.person_id in ("", p.person_id)]
        with self._server.atomic():
            self._show_now(moment)
            self._predicted.show(
                np.concatenate([_NO_ENDS, *(bones(pose_at(p, moment.batch.dt_s, shown.horizon_s)) for p in chosen)]),
                0.014,
            )
            known = [outcomes[p.person_id] for p in chosen if p.person_id in outcomes]
            later = [bones(o.truth[shown.horizon]) for o in known if shown.later]
            self._later.show(np.concatenate([_NO_ENDS, *later]), 0.014)
            other = [bones(o.poses[shown.baseline, shown.horizon]) for o in known if shown.baseline]
            self._baseline.show(np.concatenate([_NO_ENDS, *other]), 0.010)
            self._show_paths(chosen if shown.paths else [])
            self._show_bound(occupancy, shown)
            self._show_robot(moment)
            self._show_labels(moment)

    def _show_now(self, moment: ReplayMoment) -> None:
        ends, colours = [_NO_ENDS], [np.zeros((0, 3))]
        people = {p.person_id: p for p in moment.batch.people}
        for person in people.values():
            pose = np.asarray(person.recovered)
            seen = person.joint_status != JointStatus.MISSING
            lost = person.state in (TrackState.STALE, TrackState.ABSENT)
            drawn = pose[_BONES]
            solid = seen[_BONES].all(1) & (not lost)
            ends.append(drawn)
            colours.append(np.where(solid[:, None], NOW, UNSEEN))
        for person_id, pose in visible(moment.frame).items():
            if person_id not in people:  # seen, and not believed yet
                drawn = bones(pose)
                ends.append(drawn)
                colours.append(np.tile(UNSEEN, (len(drawn), 1)))
        self._now.show(np.concatenate(ends), 0.022, np.concatenate(colours))

    def _show_paths(self, people: list[MotionPrediction]) -> None:
        points, colours = [np.full((1, 3), -1e3)], [np.zeros((1, 3))]
        for person in people:
            mean = np.asarray(person.mean)[_PATH_EVERY - 1 :: _PATH_EVERY]
            fade = np.linspace(1.0, 0.35, len(mean))[:, None]
            shade = fade * np.array(PREDICTED) + (1.0 - fade) * np.array(BACKGROUND)
            points.append(mean.reshape(-1, 3))
            colours.append(np.repeat(shade, mean.shape[1], 0))
        place, colour = np.concatenate(points).astype(np.float32), np.concatenate(colours).astype(np.uint8)
        if self._paths is None:
            self._paths = self._server.scene.add_point_cloud(
                "/paths",
                place,
                colour,
                point_size=0.014,
                point_shape="circle",
                precision="float32",
                point_shading="flat",
            )
        else:
            self._paths.points, self._paths.colors = place, colour

    def _show_bound(self, occupancy: Occupancy | None, shown: Shown) -> None:
        rows = []
        if occupancy is not None:
            rows = [k for k, i in enumerate(occupancy.person_ids) if shown.person_id in ("", i)]
        for number, row in enumerate(rows):
            interval = round(shown.horizon_s / occupancy.interval_s) - 1
            interval = min(max(interval, 0), occupancy.intervals - 1)
            ends, radius = occupancy.ends[row, interval].astype(float), occupancy.radius[row, interval].astype(float)
            good = (
                (occupancy.kind[row, interval] != BoundKind.NONE) & np.isfinite(radius) & np.isfinite(ends).all((1, 2))
            )
            if number not in self._bounds:
                self._bounds[number] = Skin(self._server, f"/bound/{number}", BOUND, 0.22)
            self._bounds[number].show(*outside(ends[good], radius[good]))
        for number in range(len(rows), len(self._bounds)):
            self._bounds[number].show(*outside(_NO_ENDS, _NO_RADIUS))

    def _show_robot(self, moment: ReplayMoment) -> None:
        ends, radius = moment.robot if moment.robot is not None else (_NO_ENDS, _NO_RADIUS)
        if self._robot_at is None or not np.array_equal(self._robot_at, ends):  # most of the time it stands
            self._robot.show(ends, radius)
            self._robot_at = np.array(ends)
        decision = moment.separation
        near = None
        if decision is not None and np.isfinite(decision.point_on_person_m).all():
            near = np.array([decision.point_on_person_m, decision.point_on_robot_m])
        if near is None:
            self._distance.show(_NO_ENDS, _NO_RADIUS)
        else:
            code = speed_colour(decision.allowed_speed_fraction)
            colour = np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)]])
            self._distance.show(near[None], 0.009, colour)
        if near is not None:
            text = f"{max(decision.minimum_distance_m, 0.0):.2f} m, {100 * decision.allowed_speed_fraction:.0f} % speed"
            if self._near_label is None:
                self._near_label = self._server.scene.add_label("/near", text, anchor="bottom-center")
            _update(self._near_label, text, near.mean(0) + (0.0, 0.0, 0.08))
        elif self._near_label is not None:
            _update(self._near_label, "", np.full(3, -1e3))

    def _show_labels(self, moment: ReplayMoment) -> None:
        people = moment.batch.people
        for row, person in enumerate(people):
            pose = np.asarray(person.recovered)
            top = pose[np.argmax(pose[:, 2])] + (0.0, 0.0, 0.18)
            text = (
                person.person_id
                if person.state == TrackState.TRACKING
                else f"{person.person_id}: {person.state.name.lower().replace('_', ' ')}"
            )
            if row not in self._labels:
                self._labels[row] = self._server.scene.add_label(f"/label_{row}", text, anchor="bottom-center")
            _update(self._labels[row], text, top)
        for row, label in self._labels.items():
            if row >= len(people):
                _update(label, "", np.full(3, -1e3))


def _update(label: Any, text: str, place: np.ndarray) -> None:
    if label.text != text:
        label.text = text
    label.position = tuple(np.asarray(place, float).tolist())
    label.visible = bool(text)
