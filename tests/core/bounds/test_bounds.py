# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What radius a person carries, and that it is the reach set wherever a calibrated one would not be true."""

from __future__ import annotations

import numpy as np
import pytest
from support.bounds_helpers import table
from support.core_helpers import motion

from aux_motion_core.bounds import novelty
from aux_motion_core.bounds.calibration import SHARES
from aux_motion_core.bounds.radii import Bounds, equivalent_scale, known, reach_cap
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from aux_motion_core.history.normalise import normalise
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JOINTS, JointStatus
from aux_motion_core.types import Reason, SkeletonFrame, TrackState

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
STEPS_S = 0.04 * np.arange(1, 26)


def predictor(calibration=None, name="damped_pose", scale=None, **config) -> Predictor:
    backend = baselines.make(name)
    backend.calibration = calibration
    if scale is not None:
        infer = backend.infer
        backend.infer = lambda v, m: (*infer(v, m)[:2], np.broadcast_to(scale, (len(v), 25, 20, 3)).copy())
    plain = {"reach_observed_factor": 0.0, "tracker_error_m": 0.0}
    return Predictor(backend, PredictorConfig(**{**plain, **config}), "map")


def feed(
    p: Predictor, until: float = 0.8, rate: float = 25.0, missing=(), size: float = 1.0, start: float = 0.0
) -> None:
    status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
    status[:, list(missing)] = JointStatus.MISSING
    for k in range(round(until * rate) + 1):
        t = start + k / rate
        x = size * motion([t])
        p.add(SkeletonFrame(T0 + round(t * NS), "map", ("a",), x, status, np.ones((1, 20), np.float32)))


def person(p: Predictor, t: float):
    (only,) = p.predict(T0 + round(t * NS)).people
    assert only.radius is not None and np.isfinite(only.radius).all()
    return only


def test_a_tracked_person_carries_calibrated_radii():
    p = predictor(table(factor=0.01, body=3.0), adaptation="off")
    feed(p)
    a = person(p, 0.81)
    assert a.state is TrackState.TRACKING and a.reasons == Reason.NONE and p.uncalibrated_because == ""
    assert (a.radius_basis, a.radius_coverage, a.body_coverage) == ("conformal", 0.95, 0.95)
    np.testing.assert_allclose(a.radius, np.repeat(0.02 * np.arange(1, 26), 20).reshape(25, 20))
    np.testing.assert_allclose(a.body_radius, 3.0 * a.radius)
    p.configure(PredictorConfig(coverage_level=0.9, adaptation="off", tracker_error_m=0.0))
    feed(p, 0.04, start=0.84)
    np.testing.assert_allclose(person(p, 0.9).radius, a.radius / 2)


def test_body_radii_hold_together_up_to_the_horizon_that_is_asked_for():
    content = table(factor=0.01).model_dump(mode="json")
    content["bodies"][0]["factor"]["0.95"] = [[1.0 + k / 10] for k in range(25)]
    content["body_floor_m"] = np.full((25, 12), 0.05).tolist()
    for horizon_s, upto in ((0.4, np.maximum(np.arange(25), 9)), (1.0, np.full(25, 24)), (9.0, np.full(25, 24))):
        p = predictor(table().model_validate(content), adaptation="off", body_horizon_s=horizon_s)
        feed(p)
        a = person(p, 0.81)
        np.testing.assert_allclose(a.body_radius, (a.radius + 0.05) * (1.0 + upto / 10)[:, None])


def test_radii_are_factor_times_scale():
    scale = np.linspace(0.01, 0.05, 25)[:, None, None] * np.array([1.0, 2.0, 3.0])
    p = predictor(table(score="error_over_scale", factor=0.06), scale=scale, adaptation="off")
    feed(p)
    size = np.sqrt((1 + 4 + 9) / 3) * np.linspace(0.01, 0.05, 25)
    np.testing.assert_allclose(person(p, 0.81).radius[:, 4], 0.12 * np.arange(1, 26) * size, rtol=1e-6)
    assert equivalent_scale(np.full((2, 3), 0.4)) == pytest.approx(0.4)


def is_reach(a, speed: float = 2.0) -> bool:
    away = np.linalg.norm(a.mean - a.recovered, axis=-1)
    assert Reason.UNCALIBRATED in a.reasons and a.radius_basis == f"reach:{speed:.1f}mps", a
    assert np.isnan(a.radius_coverage) and a.body_radius is None and np.isnan(a.body_coverage)
    return bool(np.all(a.radius >= away + speed * STEPS_S[:, None] - 1e-9))


def test_a_level_that_was_not_calibrated_gives_the_reach_set_and_says_what_to_choose():
    p = predictor(table(), coverage_level=0.99)
    feed(p)
    assert is_reach(person(p, 0.81))
    assert "0.99 was not calibrated: choose one of 0.9, 0.95" in p.uncalibrated_because
    assert p.about_bounds()["uncalibrated_because"] == p.uncalibrated_because
    thin = table().model_dump(mode="json")
    thin["joints"][0]["factor"]["0.95"] = None
    p = predictor(table().model_validate(thin))
    feed(p)
    assert is_reach(person(p, 0.81)) and "too thin" in p.uncalibrated_because


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0])
def test_a_scale_that_is_no_number_becomes_the_reach_set(scale):
    bad = np.full((25, 20, 3), 0.1)
    bad[12, 3, 1] = scale
    p = predictor(table(score="error_over_scale"), scale=bad)
    feed(p)
    a = person(p, 0.81)
    assert is_reach(a) and p.counters["non_finite_scale"] == 1 and a.state is TrackState.TRACKING


def test_a_table_of_scores_over_scale_needs_a_model_with_scale():
    p = predictor(table(score="error_over_scale"))
    feed(p)
    assert is_reach(person(p, 0.81))


def test_warming_up_stale_and_absent_people_carry_the_reach_set():
    p = predictor(table())
    feed(p, 0.04)
    assert person(p, 0.05).state is TrackState.WARMING_UP and is_reach(person(p, 0.05))
    feed(p, 0.8)
    for t, state in ((1.2, TrackState.STALE), (2.5, TrackState.ABSENT)):
        a = person(p, t)
        assert a.state is state and is_reach(a)


def test_the_reach_set_of_somebody_fast_grows_with_what_was_seen():
    p = predictor(None, reach_observed_factor=2.0)
    windows = motion(0.8 - 0.04 * np.arange(5, -1, -1))
    fastest = np.linalg.norm(np.diff(windows, axis=0), axis=-1).mean(0).max() / 0.04
    feed(p)
    a = person(p, 0.81)
    assert fastest > 1.0 and is_reach(a, 2.0 * fastest)
    held = person(p, 5.0)  # lost: the excess does not go on for ever
    assert held.radius[0, 0] == pytest.approx(2.0 * (4.2 + 0.04) + (2.0 * fastest - 2.0) * 1.0, rel=1e-6)


def test_no_radius_is_beyond_physics():
    p = predictor(table(factor=50.0), adaptation="off")
    feed(p, missing=[INDEX["left_hand"]])
    a = person(p, 0.81)
    last = motion([0.8])[0]
    away = np.linalg.norm(a.mean - last, axis=-1)
    cap = away + JOINT_LIMITS_MPS * STEPS_S[:, None]
    seen = np.arange(20) != INDEX["left_hand"]
    np.testing.assert_allclose(a.radius[:, seen], cap[:, seen])
    # a joint that was never seen is somewhere on the body
    assert np.all(a.radius[:, ~seen] < 1.5 + 1.5 + 12.4 * STEPS_S[:, None] + 2.0)
    assert a.radius_basis == "conformal"


def test_a_cap_holds_all_that_can_be_reached():
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(3, 10, 20, 3))
    mask = np.ones((3, 10, 20), bool)
    mask[1, -4:, 5] = False
    what = known(windows, mask, 0.04)
    mean = rng.normal(size=(3, 25, 20, 3))
    cap = reach_cap(mean, what, STEPS_S)
    direction = rng.normal(size=(3, 25, 20, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    time_s = STEPS_S[:, None] + what.age_s[:, None]
    reached = what.last[:, None] + direction * (JOINT_LIMITS_MPS * time_s)[..., None]
    assert np.all(np.linalg.norm(reached - mean, axis=-1) <= cap + 1e-9)
    assert what.age_s[1, 5] == pytest.approx(0.16) and what.age[1, 5] == 2


def test_a_guessed_joint_has_the_radius_of_one_that_was_seen_before():
    calibration = table(factor=0.01).model_dump(mode="json")
    group = calibration["joints"][0]
    never = {**group, "name": "never", "serves": [c for c in group["serves"] if c.startswith("never")]}
    never["factor"] = {k: (5.0 * np.array(v)).tolist() for k, v in group["factor"].items()}
    group["serves"] = [c for c in group["serves"] if not c.startswith("never")]
    calibration["joints"].append(never)
    p = predictor(table().model_validate(calibration), adaptation="off")
    status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
    status[:, INDEX["left_hand"]] = JointStatus.TRACKER_PREDICTED
    for k in range(20):
        x = motion([k * 0.04])
        p.add(SkeletonFrame(T0 + k * NS // 25, "map", ("a",), x, status, np.ones((1, 20), np.float32)))
    a = person(p, 0.77)
    np.testing.assert_allclose(a.radius[:, INDEX["left_hand"]], 5.0 * a.radius[:, INDEX["right_hand"]])


@pytest.mark.parametrize(("rate", "share"), [(60.0, 0), (25.0, 0), (15.0, 2), (6.0, 3)])
def test_slow_input_has_its_own_radii(rate, share):
    calibration = table(factor=0.01).model_dump(mode="json")
    (group,) = calibration["joints"]
    parts = []
    for k, name in enumerate(SHARES):
        cells = [c for c in group["serves"] if c.startswith(f"now/{name}/")]
        factor = {key: ((1 + k) * np.array(v)).tolist() for key, v in group["factor"].items()}
        parts.append({**group, "name": name, "serves": cells, "factor": factor})
    group["serves"] = [c for c in group["serves"] if not c.startswith("now/")]
    calibration["joints"] = [*parts, group]
    p = predictor(table().model_validate(calibration), adaptation="off")
    feed(p, 0.9, rate=rate)
    np.testing.assert_allclose(person(p, 0.91).radius[:, 0], (1 + share) * 0.02 * np.arange(1, 26))


def test_what_is_known_tells_the_group():
    windows = np.repeat(motion(0.04 * np.arange(10))[None], 4, 0)
    mask = np.ones((4, 10, 20), bool)
    mask[1, -2:, 3] = False  # recent
    mask[1, :, 7] = False  # never
    mask[2] = np.random.default_rng(0).random((10, 20)) < 0.6
    what = known(windows, mask, 0.04)
    assert list(what.share) == [0, 0, 2, 0]
    assert (what.age[1, 3], what.age[1, 7], what.age[1, 0]) == (1, 3, 0)
    row, speed = Bounds(table(edge=0.5), 0.9).cells(what)
    assert row[0, 0] == 0 and row[1, 3] == 4 and row[1, 7] == 6 and speed[0] == 1
    few = known(windows, mask, 0.04, times=np.full((4, 20), 3))
    assert list(few.share) == [3, 3, 3, 3], "interpolated steps are no observations"
    assert Bounds(table(edge=5.0), 0.9).cells(what)[1][0] == 0
    hidden_s = np.zeros((4, 20))
    hidden_s[0, 2:4] = 0.2, 30.0
    guessed = known(windows, mask, 0.04, hidden_s)
    assert list(guessed.age[0, 1:4]) == [0, 2, 3], "what the tracker guessed is no sight"
    assert list(guessed.age[1]) == list(what.age[1])
    nobody = known(windows[:1], np.zeros((1, 10, 20), bool), 0.04)
    assert Bounds(table(), 0.9).cells(nobody)[1][0] == 1, "an unknown speed counts as fast"


def test_a_trackers_own_error_is_added_until_it_is_calibrated():
    plain, more, own = (
        predictor(table(factor=0.01, tracker=t), adaptation="off", tracker_error_m=e)
        for t, e in (("motion capture", 0.0), ("motion capture", 0.05), ("zed", 0.05))
    )
    radii = []
    for p in (plain, more, own):
        feed(p)
        radii.append(person(p, 0.81).radius)
    np.testing.assert_allclose(radii[1], radii[0] + 0.05)
    np.testing.assert_allclose(radii[2], radii[0])


def test_a_mix_adds_how_far_it_is_from_the_model():
    p = predictor(table(factor=0.01), mix=True, adaptation="off")
    feed(p, 3.0)
    a = person(p, 3.01)
    plain = predictor(table(factor=0.01), adaptation="off")
    feed(plain, 3.0)
    b = person(plain, 3.01)
    moved = np.linalg.norm(a.mean - b.mean, axis=-1)
    assert moved.max() > 1e-3
    np.testing.assert_allclose(a.radius, b.radius + moved, atol=1e-6)


def test_a_masked_joint_widens_both_radii():
    p = predictor(table(factor=0.01), adaptation="off")
    feed(p)
    x = motion([0.84])
    x[0, INDEX["right_hand"]] += np.array([0.0, 2.5, 0.0])  # 60 m/s
    status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
    p.add(SkeletonFrame(T0 + round(0.84 * NS), "map", ("a",), x, status, np.ones((1, 20), np.float32)))
    a = person(p, 0.85)
    hand = INDEX["right_hand"]
    assert Reason.OUTLIER_MASKED in a.reasons
    assert np.linalg.norm(a.mean[0, hand] - x[0, hand]) <= a.radius[0, hand] <= a.body_radius[0, hand]


def walks(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    windows = np.stack([motion(0.3 * k + 0.04 * np.arange(10), seed=k % 7) for k in range(n)])
    rng = np.random.default_rng(0)
    windows = windows * rng.uniform(0.9, 1.1, (n, 1, 1, 1))
    return normalise(windows, np.ones(windows.shape[:3], bool))[0], np.ones(windows.shape[:3], bool)


@pytest.fixture(scope="module")
def familiar():
    values, mask = walks(220)
    usual = np.ones(220, bool)
    return novelty.fit(values, mask, usual, 0.04, np.ones(220), 220, 0.02)


def test_false_alarms_are_as_rare_as_calibrated(familiar):
    values, mask = walks(220)
    alarms = novelty.Unfamiliar(familiar, 0.04)(values, mask) > 1.0
    assert alarms.mean() <= 0.02
    assert familiar.features == list(novelty.FEATURES) and len(familiar.bone_m) == len(JOINTS) - 1


def lying(x):
    turned = x.copy()
    turned[..., 0], turned[..., 2] = x[..., 2], -x[..., 0]
    return turned


def mixed_up(x):
    order = np.arange(20)
    arm, leg = (
        [INDEX[f"left_{n}"] for n in names] for names in (("elbow", "wrist", "hand"), ("knee", "ankle", "foot"))
    )
    order[arm], order[leg] = leg, arm
    return x[..., order, :]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a child's size", lambda x: 0.6 * x),
        ("a giant's size", lambda x: 1.5 * x),
        ("lying", lying),
        ("shaking by 0.1 m", lambda x: x + np.random.default_rng(1).normal(0.0, 0.1, x.shape)),
        ("arm and leg mixed up", mixed_up),
        ("four times as fast", None),
    ],
)
def test_input_unlike_the_calibrations_is_noticed(familiar, what, change):
    windows = np.stack([motion(0.3 * k + 0.04 * np.arange(10), seed=k % 7) for k in range(40)])
    if change is None:
        windows = np.stack([motion(0.3 * k + 0.16 * np.arange(10), seed=k % 7) for k in range(40)])
        windows = windows + 3.0 * 0.12 * np.arange(10)[None, :, None, None] * np.array([1.0, 0.0, 0.0])
    else:
        windows = change(windows)
    mask = np.ones(windows.shape[:3], bool)
    assert np.mean(novelty.Unfamiliar(familiar, 0.04)(normalise(windows, mask)[0], mask) > 1.0) > 0.9, what


@pytest.mark.parametrize("size", [0.6, 1.6])
def test_a_person_larger_or_smaller_than_the_table_carries_the_reach_set(familiar, size):
    calibration = table(factor=0.01).model_copy(update={"familiar": familiar})
    p = predictor(calibration)
    feed(p)
    assert Reason.OUT_OF_DISTRIBUTION not in person(p, 0.81).reasons
    p = predictor(calibration)
    feed(p, size=size)
    a = person(p, 0.81)
    assert Reason.OUT_OF_DISTRIBUTION in a.reasons and is_reach(a) and p.counters["out_of_distribution"] == 1


def test_nobody_seen_at_all_is_no_reason_to_fail(familiar):
    values, mask = np.zeros((2, 10, 20, 3), np.float32), np.zeros((2, 10, 20), bool)
    mask[1, -1, 0] = True
    assert np.isfinite(novelty.Unfamiliar(familiar, 0.04)(values, mask)).all()


def test_radii_that_do_not_hold_are_widened_while_it_runs():
    radii = {}
    for mode in ("off", "shadow", "on"):
        p = predictor(table(factor=1e-4), adaptation=mode)
        for k in range(200):
            x = motion([k * 0.04])
            status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
            p.add(SkeletonFrame(T0 + k * NS // 25, "map", ("a",), x, status, np.ones((1, 20), np.float32)))
            a = person(p, k * 0.04)
        radii[mode] = a.radius[9].mean()
        real = p.realised()
        assert real.outcomes.min() > 100 and real.joints.max() < 1.0 and p.realised("a").outcomes.min() > 100
        about = p.about_bounds()
        assert about["adaptation"] == mode and len(about["realised_coverage"].split()) == 5
    assert radii["off"] == radii["shadow"] and radii["on"] > 4.0 * radii["off"]
    p.reset()
    feed(p, start=20.0)
    np.testing.assert_allclose(person(p, 20.81).radius[9].mean(), radii["off"])
    assert p.realised("nobody") is None


def test_what_holds_all_joints_is_never_smaller_than_what_holds_each():
    p = predictor(table(factor=0.001, body=1.5), adaptation="on")
    for k in range(200):
        status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
        p.add(SkeletonFrame(T0 + k * NS // 25, "map", ("a",), motion([k * 0.04]), status, np.ones((1, 20), np.float32)))
        a = person(p, k * 0.04)
        assert a.body_radius is None or (a.body_radius >= a.radius - 1e-12).all()
    assert p.realised().factor.max() > 2.0


def test_beyond_the_horizon_nobody_is_tracked():
    """Whatever stale_after_s says: the model told nothing about that time."""
    p = predictor(table(factor=0.01), stale_after_s=5.0, lost_after_s=6.0)
    feed(p)
    assert person(p, 1.75).state is TrackState.TRACKING
    late = person(p, 3.0)
    assert late.state is TrackState.STALE and late.radius_basis == "reach:2.0mps"
    assert late.radius[0].min() > 2.0 * (3.0 - 0.8)


def test_another_level_starts_the_adaptation_anew():
    p = predictor(table())
    check = p.self_check
    p.configure(PredictorConfig(coverage_level=0.9))
    assert p.self_check is not check and p.self_check.adaptation.level == 0.9
    p.configure(replace_config(p.config, adaptation="off", self_check_s=0.0))
    assert p.self_check is None and p.realised() is None


def test_another_level_is_never_named_beside_radii_of_the_one_before():
    p = predictor(table(), adaptation="off", coverage_level=0.9)
    feed(p)
    before = person(p, 0.81)
    p.configure(replace_config(p.config, coverage_level=0.95))  # nothing new was seen
    after = person(p, 0.81)
    assert (before.radius_coverage, after.radius_coverage) == (0.9, 0.95)
    assert (after.radius > before.radius).all() and (after.body_radius >= before.body_radius).all()
    p.configure(replace_config(p.config, coverage_level=0.97))
    assert is_reach(person(p, 0.81))


def replace_config(config: PredictorConfig, **values) -> PredictorConfig:
    return PredictorConfig(**{**config.model_dump(), **values})


def test_yaml_reads_on_and_off_as_true_and_false():
    assert PredictorConfig(adaptation=True).adaptation == "on" and PredictorConfig(adaptation=False).adaptation == "off"
    with pytest.raises(ValueError, match="adaptation"):
        PredictorConfig(adaptation="sometimes")
