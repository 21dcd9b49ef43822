# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The protective separation distance, its two formulations, and what happens when something is not known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.occupancy_helpers import DT_S, NS, STEPS, batch, build, person, walking
from support.separation_helpers import NOW, PRESENT, QUICK, SWEPT, robot, settled, standing

from aux_motion_core.evaluation import closed_loop
from aux_motion_core.safety import separation
from aux_motion_core.safety.anthropometry import body
from aux_motion_core.safety.free_space import clearance_until
from aux_motion_core.safety.merge import merged
from aux_motion_core.safety.occupancy import BoundKind, Occupancy
from aux_motion_core.safety.robot import Link, RobotError, Stop, load_robot
from aux_motion_core.safety.separation import Formulation, Monitor, SeparationConfig, SpeedLimiter, SpeedReason
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.types import View, ViewReason, ViewReport
from aux_motion_core.wire.messages import MessageError

# Terms


def test_terms_are_those_of_the_specification() -> None:
    one = robot()
    assert separation.person_motion_m(1.6, 0.1, np.array([0.3])) == pytest.approx(1.6 * 0.4)
    assert separation.robot_reaction_m(np.array([0.5]), 0.1) == pytest.approx(0.05)
    assert separation.robot_stopping_m(one, np.array([1.0])) == pytest.approx(0.15)
    assert separation.intrusion_m(SeparationConfig(intrusion_m=0.2)) == 0.2
    assert separation.person_uncertainty_m(PRESENT) == 0.05
    assert separation.robot_uncertainty_m(one) == 0.01
    for name in "person_motion robot_reaction robot_stopping intrusion person_uncertainty robot_uncertainty".split():
        assert "5.5.4.2.3" in getattr(separation, f"{name}_m").__doc__


@pytest.mark.parametrize("config", [SWEPT, PRESENT], ids=["swept", "present"])
def test_the_sum_is_the_protective_distance(config: SeparationConfig) -> None:
    d = settled(Monitor(robot(), config), standing(3.0))
    assert d.reason is SpeedReason.FREE and d.allowed_speed_fraction == 1.0
    assert d.minimum_distance_m > d.protective_distance_m
    assert d.protective_distance_m == pytest.approx(d.s_h_m + d.s_r_m + d.s_s_m + d.c_m + d.z_d_m + d.z_r_m)
    if config is SWEPT:
        assert d.formulation is Formulation.SWEPT_OCCUPANCY and d.s_h_m == d.z_d_m == 0.0
        assert d.considered_s == pytest.approx(0.4, abs=0.01)
    else:
        assert d.s_h_m == pytest.approx(1.6 * 0.4) and d.z_d_m == 0.05


def test_full_speed_ends_where_the_distance_is_the_protective_one() -> None:
    needed = 1.6 * 0.4 + 0.1 + 0.15 + 0.05 + 0.01
    assert settled(Monitor(robot(), PRESENT), standing(needed + 0.01)).allowed_speed_fraction == 1.0
    slowed = settled(Monitor(robot(), PRESENT), standing(needed - 0.2))
    assert slowed.reason is SpeedReason.SLOWED and 0.0 < slowed.allowed_speed_fraction < 1.0
    least = 1.6 * 0.1 + 0.05 + 0.01
    stopped = settled(Monitor(robot(), PRESENT), standing(least - 0.01))
    assert stopped.reason is SpeedReason.STOPPED and stopped.allowed_speed_fraction == 0.0


def test_the_speed_never_rises_as_somebody_comes_nearer() -> None:
    for config in (SWEPT, PRESENT):
        speeds = [
            settled(Monitor(robot(), config), standing(d, speed_mps=0.8)).allowed_speed_fraction
            for d in np.linspace(1.8, -0.2, 12)
        ]
        assert (np.diff(speeds) <= 1e-9).all() and speeds[0] == 1.0 and speeds[-1] == 0.0


def test_a_prediction_tells_who_comes_from_who_leaves() -> None:
    comes, leaves = (
        settled(Monitor(robot(), SWEPT), standing(0.7, speed_mps=v)).allowed_speed_fraction for v in (1.2, -1.2)
    )
    assert comes < leaves == 1.0
    a, b = (settled(Monitor(robot(), PRESENT), standing(0.7, speed_mps=v)) for v in (1.2, -1.2))
    assert a.allowed_speed_fraction == b.allowed_speed_fraction  # the present body says nothing of it


def test_the_pair_that_attains_the_distance() -> None:
    far = Link(name="far", ends_m=((9.0, 0.0, 1.0), (9.0, 0.0, 2.0)), radius_m=0.1)
    monitor = Monitor(robot(links=(far, robot().links[0])), SWEPT)
    near, away = standing(0.9), standing(2.5)
    both = dataclasses.replace(
        near,
        person_ids=("away", "near"),
        states=near.states * 2,
        reasons=near.reasons * 2,
        **{
            name: np.concatenate([getattr(away, name), getattr(near, name)])
            for name in (
                "stamps_ns last_observed_ns valid_until_ns ends radius kind coverage body_ends body_radius body_scale"
            ).split()
        },
    )
    d = settled(monitor, both)
    assert (d.person_id, d.robot_link) == ("near", "tool")
    gap = np.subtract(d.point_on_person_m, d.point_on_robot_m)
    assert np.linalg.norm(gap) == pytest.approx(d.minimum_distance_m, abs=1e-6)
    assert np.linalg.norm(np.subtract(d.point_on_robot_m, (0, 0, 1))) == pytest.approx(0.1)


def test_nobody_is_far_away() -> None:
    d = settled(Monitor(robot(), SWEPT), build())
    assert d.reason is SpeedReason.FREE and d.minimum_distance_m == np.inf and d.person_id == ""


# Beyond the horizon


def test_beyond_the_horizon_it_grows_with_the_reach_speed() -> None:
    slow = robot(stopping=(Stop(speed_fraction=1.0, time_s=1.4, distance_m=0.15),))
    d = settled(Monitor(slow, SWEPT), standing(9.0))
    assert d.beyond_horizon_s == pytest.approx(0.1 + 1.4 - STEPS * DT_S)
    quick = settled(Monitor(robot(), SWEPT), standing(9.0))
    assert quick.beyond_horizon_s == 0.0
    assert quick.minimum_distance_m - d.minimum_distance_m == pytest.approx(2.0 * d.beyond_horizon_s, abs=1e-6)


def test_an_old_observation_counts_from_when_it_was_made() -> None:
    occupancy = standing(9.0)
    d = Monitor(robot(), SWEPT).decide(NOW + NS // 4, occupancy, robot().capsules(), 1.0)
    assert d.considered_s == pytest.approx(0.25 + 0.1 + 0.3) and d.age_s == pytest.approx(0.25)
    d = Monitor(robot(), PRESENT).decide(NOW + NS // 4, occupancy, robot().capsules(), 1.0)
    assert d.s_h_m == pytest.approx(1.6 * (0.25 + 0.1 + 0.3))


def test_what_is_no_longer_valid_is_the_reach_set() -> None:
    still = standing(9.0)
    old = dataclasses.replace(still, valid_until_ns=still.stamps_ns + 2 * NS // 25)
    a, b = (settled(Monitor(robot(), SWEPT), o) for o in (still, old))
    assert b.beyond_horizon_s == pytest.approx(0.4 - 0.08, abs=1e-6)
    assert b.minimum_distance_m == pytest.approx(a.minimum_distance_m - 2.0 * b.beyond_horizon_s, abs=1e-5)


def test_no_bound_at_all_is_the_reach_set_and_slower() -> None:
    bounded, unbounded = (settled(Monitor(robot(), SWEPT), standing(1.0, bound_m=b)) for b in (0.1, None))
    assert unbounded.allowed_speed_fraction < bounded.allowed_speed_fraction


# What is not known


def test_nothing_moves_before_everything_is_known() -> None:
    monitor = Monitor(robot(), SWEPT)
    assert monitor.decide(NOW, None, None).reason is SpeedReason.NO_PEOPLE_YET
    d = monitor.decide(NOW, standing(9.0), None)
    assert d.reason is SpeedReason.NO_ROBOT_YET and d.allowed_speed_fraction == 0.0 and np.isnan(d.minimum_distance_m)


@pytest.mark.parametrize("late_s", [0.31, -0.31, 1e6])
def test_stale_people_stop_the_robot(late_s: float) -> None:
    monitor, occupancy = Monitor(robot(), SWEPT), standing(9.0)
    assert settled(monitor, occupancy).allowed_speed_fraction == 1.0
    d = monitor.decide(NOW + 2 * NS, dataclasses.replace(occupancy, stamp_ns=NOW + 2 * NS - round(late_s * 1e9)), None)
    assert d.reason is SpeedReason.PEOPLE_STALE and d.allowed_speed_fraction == 0.0
    assert "old" in d.reason_text if late_s > 0 else "future" in d.reason_text


@pytest.mark.parametrize("field", ["ends", "radius", "body_ends", "body_radius"])
def test_numbers_that_are_none_stop_the_robot(field: str) -> None:
    config = PRESENT if field.startswith("body") else SWEPT
    monitor, occupancy = Monitor(robot(), config), standing(9.0)
    assert settled(monitor, occupancy).allowed_speed_fraction == 1.0
    broken = getattr(occupancy, field).copy()
    broken.reshape(-1)[17] = np.nan
    d = monitor.decide(
        NOW + NS,
        dataclasses.replace(
            occupancy, **{field: broken}, stamp_ns=NOW + NS, view=ViewReport(View.COMPLETE, ViewReason.NONE, NOW + NS)
        ),
        robot().capsules(),
    )
    assert d.reason is SpeedReason.BAD_DATA and d.allowed_speed_fraction == 0.0 and "'1'" in d.reason_text


def test_a_robot_that_is_nowhere_stops() -> None:
    ends, radius = robot().capsules()
    d = Monitor(robot(), SWEPT).decide(NOW, standing(9.0), (ends * np.nan, radius))
    assert d.reason is SpeedReason.BAD_DATA


def test_a_person_without_any_bound_stops_the_robot() -> None:
    nowhere = build(person(np.full((STEPS + 1, N_JOINTS, 3), np.nan)))
    d = Monitor(robot(), SWEPT).decide(NOW, nowhere, robot().capsules())
    assert d.reason is SpeedReason.NO_BOUND and d.allowed_speed_fraction == 0.0


def test_people_in_another_unit_than_metres_stop_the_robot() -> None:
    for config in (SWEPT, PRESENT):
        monitor = Monitor(robot(), config)
        for unit in (1000.0, 100.0, 39.4, 3.28):  # of a metre
            d = settled(monitor, build(person(unit * (walking() + (3.0, 0.0, 0.0)))))
            assert d.reason is SpeedReason.BAD_DATA and "check its unit" in d.reason_text
            assert d.allowed_speed_fraction == 0.0


def bad_occupancies() -> list[tuple[str, dict[str, object]]]:
    o = standing(1.5)
    nothing = {name: getattr(o, name)[:, :0] for name in ("ends", "radius", "kind", "coverage")}
    return [
        ("interval_s", {"interval_s": np.nan}),
        ("interval_s", {"interval_s": -0.04}),
        ("interval_s", {"interval_s": 0.0}),
        ("reach_speed_mps", {"reach_speed_mps": np.nan}),
        ("reach_speed_mps", {"reach_speed_mps": -2.0}),
        ("intervals", nothing),
        ("negative radius", {"radius": -o.radius}),
    ]


@pytest.mark.parametrize(("expected", "changes"), bad_occupancies())
def test_an_occupancy_that_says_less_than_it_must_stops_the_robot(expected: str, changes: dict[str, object]) -> None:
    slow = robot(stopping=(Stop(speed_fraction=1.0, time_s=2.0, distance_m=0.15),))  # beyond the horizon
    d = settled(Monitor(slow, SWEPT), dataclasses.replace(standing(9.0), **changes))
    assert d.reason is SpeedReason.BAD_DATA and d.allowed_speed_fraction == 0.0 and expected in d.reason_text


def test_a_robot_without_capsules_or_of_negative_ones_stops() -> None:
    ends, radius = robot().capsules()
    for part in ((ends[:0], radius[:0]), (ends, -radius)):
        d = Monitor(robot(), SWEPT).decide(NOW, standing(9.0), part)
        assert d.reason is SpeedReason.BAD_DATA and d.allowed_speed_fraction == 0.0


def test_numbers_that_are_none_never_keep_the_speed() -> None:
    limiter = SpeedLimiter(SWEPT)
    limiter.fraction = 1.0
    assert limiter.update(float("nan"), NOW) == 0.0
    d = settled(Monitor(robot(), SWEPT), standing(9.0), robot_speed_fraction=float("nan"))
    assert d.robot_speed_fraction == 1.0 and d.protective_distance_m == pytest.approx(0.1 + 0.15 + 0.01)


def test_an_old_pose_of_the_robot_counts_with_its_full_speed() -> None:
    """It may have moved towards the person ever since."""
    near = standing(0.1 + 0.15 + 0.01 + 0.25)
    assert settled(Monitor(robot(), SWEPT), near).allowed_speed_fraction == 1.0
    d = settled(Monitor(robot(), SWEPT), near, robot_age_s=0.19)
    assert d.z_r_m == pytest.approx(0.01 + 0.19 * 1.0) and d.allowed_speed_fraction < 1.0
    future = settled(Monitor(robot(), SWEPT), near, robot_age_s=-0.19)
    assert future.allowed_speed_fraction == d.allowed_speed_fraction
    never = Monitor(robot(), SWEPT).decide(NOW, near, robot().capsules(), robot_age_s=float("nan"))
    assert never.reason is SpeedReason.BAD_DATA


@pytest.mark.parametrize("config", [SWEPT, PRESENT], ids=["swept", "present"])
def test_a_stamp_ahead_of_the_time_grows_old_from_when_it_came(config: SeparationConfig) -> None:
    monitor, here = Monitor(robot(), config), standing(9.0)
    ahead = here.stamps_ns + NS // 4
    ages = []
    for late_ns in (0, NS // 10, NS // 5):
        people = dataclasses.replace(here, stamp_ns=NOW + late_ns, stamps_ns=ahead, last_observed_ns=ahead)
        ages.append(monitor.decide(NOW + late_ns, people, robot().capsules()).age_s)
    np.testing.assert_allclose(ages, [0.0, 0.1, 0.2], atol=1e-6)
    moves_on = dataclasses.replace(people, stamps_ns=ahead + 1, last_observed_ns=ahead + 1)
    assert monitor.decide(NOW + NS // 5, moves_on, robot().capsules()).age_s == 0.0


# Hysteresis


def test_the_speed_falls_at_once_and_rises_late_and_slowly() -> None:
    config = SeparationConfig(hysteresis=0.1, resume_after_s=0.3, rise_per_s=1.0)
    limiter = SpeedLimiter(config)
    times = np.arange(0, 2.0, 0.04)
    rise = [limiter.update(1.0, round(t * 1e9)) for t in times]
    assert rise[7] == 0.0 and 0.0 < rise[9] < 0.2
    assert max(np.diff(rise)) <= 0.04 + 1e-9 and rise[-1] == 1.0
    at_ns = round(times[-1] * 1e9)
    assert limiter.update(0.4, at_ns + 1) == 0.4
    assert all(limiter.update(0.45, at_ns + k * NS) == 0.4 for k in range(1, 4))  # within the hysteresis
    assert limiter.update(0.0, at_ns + 5 * NS) == 0.0
    assert limiter.update(1.0, at_ns + 6 * NS) == 0.0
    assert limiter.update(1.0, at_ns) == 0.0  # the clock went back: it waits anew
    limiter.stop(at_ns)
    assert limiter.fraction == 0.0


# Robots


def test_stops_between_the_measured_speeds() -> None:
    one = robot(
        stopping=(
            Stop(speed_fraction=0.5, time_s=0.2, distance_m=0.05),
            Stop(speed_fraction=1.0, time_s=0.4, distance_m=0.2),
        )
    )
    time, distance = one.stop(np.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(time, [0.0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(distance, [0.0, 0.0125, 0.05, 0.125, 0.2])


def test_links_move_with_their_frames() -> None:
    one = robot(links=(Link(name="a", frame="f", ends_m=((1, 0, 0), (2, 0, 0)), radius_m=0.1), robot().links[0]))
    assert one.frames == ("f",)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ends, _ = one.capsules({"f": (turn, np.array([0.0, 0.0, 5.0]))})
    np.testing.assert_allclose(ends[0], [[0, 1, 5], [0, 2, 5]], atol=1e-12)
    np.testing.assert_allclose(ends[1], [[0, 0, 1], [0, 0, 1]])


GOOD = "max_speed_mps: 1\nreaction_time_s: 0.1\nstopping: [{speed_fraction: 1.0, time_s: 0.3, distance_m: 0.1}]\n"
LINK = "links: [{name: a, ends_m: [[0, 0, 0], [0, 0, 1]], radius_m: 0.1}]\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty: expected links"),
        ("- 1\n", "expected names and values, came a list"),
        ("a: [\n", "is no YAML"),
        (GOOD, "links: Field required"),
        (GOOD + "links: []\n", "links is empty: expected at least one capsule"),
        (GOOD + LINK + "colour: red\n", "colour: Extra inputs"),
        (GOOD + LINK.replace("0.1", "-0.1"), "links.0.radius_m"),
        (GOOD + LINK.replace("[0, 0, 1]", "[0, 0, .nan]"), "not finite"),
        (GOOD.replace("fraction: 1.0", "fraction: 0.5") + LINK, "rising values that end with 1.0"),
        (
            GOOD + LINK.replace("]\n", ", {name: a, ends_m: [[0, 0, 0], [0, 0, 1]], radius_m: 0.1}]\n"),
            "repeat a name: a",
        ),
        (GOOD.replace("time_s: 0.3", "time_s: 0.03") + LINK, "0.1 m from 1 m/s take 0.1 s at least, came time_s 0.03"),
        (GOOD.replace("max_speed_mps: 1", "max_speed_mps: fast") + LINK, "max_speed_mps"),
    ],
)
def test_bad_descriptions_are_one_line(tmp_path, content: str, expected: str) -> None:
    file = tmp_path / "robot.yaml"
    file.write_text(content)
    with pytest.raises(RobotError) as error:
        load_robot(file)
    assert expected in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)


def test_a_description_that_is_not_there(tmp_path) -> None:
    with pytest.raises(RobotError, match="cannot read robot description .*nowhere.yaml: No such file"):
        load_robot(tmp_path / "nowhere.yaml")


def test_the_example_is_a_robot(root) -> None:
    one = load_robot(root / "config" / "robot_example.yaml")
    assert one.link_names == ("base", "upper_arm", "forearm", "tool") and not one.frames


# Closed loop


def clip(speed_mps: float, seconds: float = 4.0) -> closed_loop.Motion:
    """Somebody who stands at 3 m and comes nearer."""
    t = np.arange(int(seconds * 60)) / 60.0
    poses = np.repeat(walking()[:1], len(t), 0)
    poses = poses - poses[0].mean(0) * (1, 1, 0) + (3.0, 0.0, 0.0)
    poses = poses - np.array([speed_mps, 0.0, 0.0]) * t[:, None, None]
    return closed_loop.motion("walks", "test", t, poses[:, None], np.ones((len(t), 1, N_JOINTS), bool))


def loop(motion: closed_loop.Motion, config: SeparationConfig | None, change=lambda b: b):
    """The outcome of a monitor that knows this from a tracker without noise."""
    from aux_motion_core.config import PredictorConfig
    from aux_motion_core.inference.factory import make_backend
    from aux_motion_core.predictor import Predictor
    from aux_motion_core.safety.occupancy import OccupancyBuilder, OccupancyConfig

    setting = closed_loop.LoopSetting(noise_m=0.0)
    frames = closed_loop.observe(motion, setting, 0)
    predictor = Predictor(make_backend("constant_velocity", ""), PredictorConfig(), closed_loop.FRAME)
    known = closed_loop.occupancies(frames, predictor, OccupancyBuilder(OccupancyConfig()), setting.latency_s, change)
    return closed_loop.run_loop(motion, body(), known, config, setting, np.eye(3), np.zeros(3))


def test_without_a_monitor_somebody_is_hit_and_with_one_nobody_is() -> None:
    walks = clip(1.2)
    free = loop(walks, None)
    assert free.progress_s == pytest.approx(free.seconds) and free.violations and free.contact_s > 0.0
    for config in (SeparationConfig(), SeparationConfig(formulation="present_body")):
        kept = loop(walks, config)
        assert kept.violated_s == 0.0 and kept.contact_s == 0.0
        assert 0.0 < kept.progress_s < kept.seconds


def test_a_prediction_that_is_right_loses_less_time_than_the_fixed_speed() -> None:
    leaves = clip(-0.2)
    exact = loop(leaves, SeparationConfig(), closed_loop.without_bound)
    fixed = loop(leaves, SeparationConfig(formulation="present_body"))
    assert exact.violated_s == fixed.violated_s == 0.0
    assert exact.progress_s >= fixed.progress_s


def test_a_monitor_that_trusts_a_wrong_prediction_is_found_out() -> None:
    """The judge is not the monitor: what is not foreseen shows as a violation."""
    walks = clip(1.2)

    def stands(predicted):
        people = tuple(
            dataclasses.replace(p, mean=np.repeat(p.recovered[None], predicted.steps, 0)) for p in predicted.people
        )
        return closed_loop.without_bound(dataclasses.replace(predicted, people=people))

    outcome = loop(walks, SeparationConfig(), stands)
    assert outcome.violations > 0 and outcome.deepest_m > 0.05


def test_batches_are_seen_from_where_the_clip_is_put() -> None:
    occupancy = build(person(walking()))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    there = closed_loop.moved(occupancy, turn, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(there.ends, occupancy.ends @ turn.T + (1, 2, 3), atol=1e-4)
    assert there.radius is occupancy.radius and batch().people == ()


# Nobody is never assumed


@pytest.mark.parametrize("people", [(), (walking() + (9.0, 0.0, 0.0),)], ids=["nobody", "somebody far away"])
@pytest.mark.parametrize(
    ("view", "reason", "text"),
    [
        (ViewReport(), SpeedReason.VIEW_INCOMPLETE, "view is unknown"),
        (ViewReport(View.INCOMPLETE, ViewReason.INPUT_SILENT, NOW), SpeedReason.VIEW_INCOMPLETE, "input_silent"),
        (ViewReport(View.INCOMPLETE, ViewReason.PERSON_UNPLACED, NOW, 2), SpeedReason.VIEW_INCOMPLETE, "2 reported"),
        (ViewReport(View.COMPLETE, ViewReason.NONE, NOW - NS), SpeedReason.PEOPLE_STALE, "oldest input is 1.00 s old"),
        (ViewReport(View.COMPLETE, ViewReason.NONE, NOW + NS), SpeedReason.PEOPLE_STALE, "1.00 s ahead"),
        (ViewReport(View.COMPLETE, ViewReason.NONE, 0), SpeedReason.PEOPLE_STALE, "not known"),
    ],
)
def test_no_speed_where_somebody_may_be_there_whoever_else_is_seen(people, view, reason, text) -> None:
    occupancy = build(*(person(p) for p in people))
    monitor = Monitor(robot(), SWEPT)
    assert settled(monitor, occupancy).allowed_speed_fraction == 1.0, "complete and fresh"
    decision = monitor.decide(NOW + 2 * NS // 25, dataclasses.replace(occupancy, view=view), monitor.robot.capsules())
    now = monitor.decide(NOW, dataclasses.replace(occupancy, view=view), monitor.robot.capsules())
    assert decision.allowed_speed_fraction == now.allowed_speed_fraction == 0.0
    assert now.reason is reason and text in now.reason_text


def test_several_predictors_are_as_complete_as_the_least() -> None:
    near, nobody = standing(0.0), build()
    together = merged([dataclasses.replace(nobody, producer="a"), dataclasses.replace(near, producer="b")])
    assert together.person_ids == ("b/1",) and together.view.view is View.COMPLETE
    assert settled(Monitor(robot(), SWEPT), together).allowed_speed_fraction == 0.0
    blind = dataclasses.replace(nobody, view=ViewReport(View.INCOMPLETE, ViewReason.RESET, NOW))
    assert merged([near, blind]).view == ViewReport(View.INCOMPLETE, ViewReason.RESET, NOW)
    assert len(merged([near, near]).person_ids) == 2
    with pytest.raises(MessageError, match="differ in interval_s"):
        merged([near, dataclasses.replace(near, interval_s=0.2)])
    with pytest.raises(MessageError, match="differ in frame_id"):
        merged([near, dataclasses.replace(nobody, frame_id="elsewhere")])


def test_a_place_is_free_only_where_everybody_is_known_and_bounded() -> None:
    near, nobody = standing(0.5), build()
    place, later = np.array([0.0, 0.0, 1.0]), NOW + NS // 2
    free = clearance_until(near, place, later, NOW, 0.3)
    assert 0.0 < free < 0.6
    assert clearance_until(nobody, place, later, NOW, 0.3) == np.inf
    assert clearance_until(near, place, NOW + 3 * NS, NOW, 0.3) < free - 3.0, "it grows beyond the horizon"
    for blind in (
        dataclasses.replace(near, view=ViewReport()),
        dataclasses.replace(nobody, view=ViewReport(View.INCOMPLETE, ViewReason.RESET, NOW)),
        dataclasses.replace(near, kind=np.zeros_like(near.kind)),
        dataclasses.replace(near, radius=-near.radius),
        dataclasses.replace(near, radius=near.radius * np.nan),
    ):
        assert np.isnan(clearance_until(blind, place, later, NOW, 0.3))
    assert np.isnan(clearance_until(nobody, place, later, NOW + NS, 0.3)), "nobody, a second ago"


def test_the_separation_bound_is_never_faster_beside_somebody_who_stands_than_the_fixed_rule() -> None:
    def allowed(occupancy: Occupancy, **config: object) -> float:
        return settled(Monitor(robot(), SeparationConfig(**QUICK, **config)), occupancy).allowed_speed_fraction

    gained = 0
    for metres in (0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0):
        stands = standing(metres, bound_m=0.02)
        tight = dataclasses.replace(stands, kind=np.full_like(stands.kind, BoundKind.SEPARATION))
        fixed = allowed(tight, formulation="present_body")
        assert allowed(tight) <= fixed + 1e-6
        assert allowed(tight, faster_than_fixed=True) >= allowed(tight)
        gained += allowed(tight, faster_than_fixed=True) > fixed + 0.05
    assert gained >= 2, "the bound alone would allow more"
    leaves = standing(0.6, speed_mps=-1.0, bound_m=0.02)
    tight = dataclasses.replace(leaves, kind=np.full_like(leaves.kind, BoundKind.SEPARATION))
    assert allowed(tight) > allowed(tight, formulation="present_body"), "who goes away is not held to it"
