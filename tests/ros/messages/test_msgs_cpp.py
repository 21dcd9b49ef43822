# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The C++ view, in a CMake project that finds the package as any other would, against the Python one."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.skeleton import JOINTS
from aux_motion_core.wire.views import OutsidePredictionError, PredictionView

pytest.importorskip("aux_motion_msgs.msg", reason="the messages are not built: make msgs")
from aux_motion_msgs.msg import PersonPrediction, PredictionArray  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402

STEPS, DT_S = 25, 0.04
STAMP_NS = 1_700_000_000_123_456_789
VALID_NS = STAMP_NS + 800_000_000


def stamp(nanoseconds: int) -> Time:
    """A time as messages carry it."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def message(radius: bool = True, valid_until_ns: int = VALID_NS) -> PredictionArray:
    """A prediction of one person with random numbers."""
    rng = np.random.default_rng(5)
    joints = len(JOINTS)
    person = PersonPrediction(id="7", state=PersonPrediction.TRACKING, stamp=stamp(STAMP_NS))
    person.valid_until = stamp(valid_until_ns)
    person.mean = rng.normal(size=STEPS * joints * 3).astype(np.float32)
    person.recovered = rng.normal(size=joints * 3).astype(np.float32)
    if radius:
        person.radius = rng.random(STEPS * joints).astype(np.float32)
        person.scale = rng.random(STEPS * joints * 3).astype(np.float32)
        person.body_radius = rng.random(STEPS * joints).astype(np.float32)
    # As it arrives: dt_s is a float32 on the wire.
    dt_s = float(np.float32(DT_S))
    return PredictionArray(joint_names=list(JOINTS), steps=STEPS, dt_s=dt_s, people=[person])


def as_text(array: PredictionArray, times_ns: list[int]) -> str:
    """What the program reads."""
    person = array.people[0]
    words = [array.steps, repr(array.dt_s), len(array.joint_names), *array.joint_names]
    for time in (person.stamp, person.valid_until):
        words += [time.sec, time.nanosec]
    for field in (person.mean, person.recovered, person.radius, person.scale, person.body_radius):
        words += [len(field), *(repr(float(v)) for v in field)]
    return " ".join(map(str, [*words, *times_ns]))


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("cmake or a C++ compiler is not installed")
    build = tmp_path_factory.mktemp("consumer")
    source = Path(__file__).parent / "cpp_consumer"
    prefix = os.environ.get("AMENT_PREFIX_PATH", sys.prefix)
    env = {**os.environ, "AMENT_PREFIX_PATH": prefix, "CMAKE_PREFIX_PATH": prefix}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    for command in (
        ["cmake", "-S", source, "-B", build, f"-DPython3_EXECUTABLE={sys.executable}"],
        ["cmake", "--build", build],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build / "consumer"


def ask(program: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    return subprocess.run([program], input=text, capture_output=True, text=True, timeout=20)


def test_says_what_the_python_view_says(consumer: Path) -> None:
    array = message()
    offsets_ms = [-1, 0, 1, 20, 39.999, 40, 41, 500, 799.999, 800, 800.001, 1000, 1001]
    times = [STAMP_NS + round(ms * 1e6) for ms in offsets_ms]
    done = ask(consumer, as_text(array, times))
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()

    view = PredictionView(array)["7"]
    wrist = JOINTS.index("right_wrist")
    radii = view.radius[0, wrist], view.scale[0, wrist, 2], view.body_radius[0, wrist]
    expected = [wrist, *view.mean[0, wrist], *radii]
    np.testing.assert_allclose([float(word) for word in first.split()], expected, rtol=1e-6)

    assert [line == "none" for line in lines] == [not view.covers(t) for t in times]
    assert lines.count("none") == 4
    for line, time in zip(lines, times, strict=True):
        if line == "none":
            with pytest.raises(OutsidePredictionError):
                view.at(time)
            continue
        pose, radii = line.split("radius")
        got = np.array(pose.split(), dtype=float).reshape(-1, 3)
        np.testing.assert_allclose(got, view.at(time), atol=1e-6)
        np.testing.assert_allclose(np.array(radii.split(), dtype=float), view.radius_at(time), rtol=1e-6)


def test_reaches_exactly_to_the_last_step(consumer: Path) -> None:
    array = message(valid_until_ns=STAMP_NS + 5 * 10**9)
    horizon_ns = round(STEPS * DT_S * 1e9)
    done = ask(consumer, as_text(array, [STAMP_NS + horizon_ns, STAMP_NS + horizon_ns + 1]))
    last, beyond = done.stdout.splitlines()[1:]
    assert beyond == "none"
    got = np.array(last.split("radius")[0].split(), dtype=float)
    np.testing.assert_allclose(got, PredictionView(array)["7"].mean[-1].ravel(), rtol=1e-6)


def test_without_a_radius_there_is_none(consumer: Path) -> None:
    done = ask(consumer, as_text(message(radius=False), [STAMP_NS + 10**8]))
    assert done.returncode == 0, done.stderr
    first, line = done.stdout.splitlines()
    assert len(first.split()) == 4
    assert line.endswith("radius")


@pytest.mark.parametrize("field", ["mean", "recovered", "radius", "scale", "body_radius"])
def test_wrong_sizes_are_refused_in_one_line(consumer: Path, field: str) -> None:
    array = message()
    person = array.people[0]
    setattr(person, field, getattr(person, field)[:-1])
    done = ask(consumer, as_text(array, [STAMP_NS]))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{field} has" in done.stderr and "expected" in done.stderr


def test_a_step_of_zero_is_refused(consumer: Path) -> None:
    array = message()
    array.dt_s = 0.0
    done = ask(consumer, as_text(array, [STAMP_NS]))
    assert done.returncode == 2 and "dt_s" in done.stderr


def occupancy_text(people, questions: list[tuple[float, float, float, int]]) -> str:
    """What the program of the occupancy reads: the first person, and places with times."""
    o = people
    words = [o.intervals, repr(float(np.float32(o.interval_s))), o.reach_speed_mps, len(o.segments), *o.segments]
    for ns in (o.stamps_ns[0], o.valid_until_ns[0]):
        words += [int(ns) // 10**9, int(ns) % 10**9]
    for values in (o.ends, o.radius, o.kind, o.coverage, o.body_ends, o.body_radius):
        flat = values[0].reshape(-1)
        words += [flat.size, *(repr(float(v)) for v in flat)]
    words += [word for question in questions for word in question]
    return " ".join(map(str, words))


def one_person():
    """Capsules of somebody with random joints, valid for 0.8 s."""
    from aux_motion_core.safety.occupancy import OccupancyBuilder, OccupancyConfig
    from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState

    rng = np.random.default_rng(1)
    mean = 0.2 * rng.normal(size=(STEPS, len(JOINTS), 3))  # limbs no longer than people's
    person = MotionPrediction(
        "7", TrackState.TRACKING, Reason.NONE, STAMP_NS, STAMP_NS, 0.0, VALID_NS, mean, mean[0],
        np.ones(len(JOINTS), np.uint8), body_radius=rng.random((STEPS, len(JOINTS))), body_coverage=0.95,
    )  # fmt: skip
    batch = PredictionBatch(STAMP_NS, "map", "m", "1", DT_S, STEPS, JOINTS, (person,))
    return OccupancyBuilder(OccupancyConfig()).build(batch)


def test_the_occupancy_view_says_what_the_monitor_says(consumer: Path) -> None:
    from aux_motion_core.safety.separation import distances

    people = one_person()
    place = (2.0, 1.0, 0.5)
    offsets_s = [0.0, 0.01, 0.04, 0.05, 0.4, 0.8, 0.9, 2.0]
    asked = occupancy_text(people, [(*place, STAMP_NS + round(s * 1e9)) for s in offsets_s])
    done = ask(consumer.with_name("occupancy"), asked)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    hand = people.segments.index("left_hand")
    expected = [
        people.ends[0, -1, hand, 0, 0], people.ends[0, -1, hand, 1, 2], people.radius[0, -1, hand], 3, 0.95,
        people.body_ends[0, hand, 1, 1], people.body_radius[0, hand],
    ]  # fmt: skip
    np.testing.assert_allclose([float(word) for word in first.split()], expected, rtol=1e-6)
    gaps = distances(people.ends, people.radius, np.array([[place, place]]), np.zeros(1)).metres[0]
    for line, s in zip(lines, offsets_s, strict=True):
        usable = 20  # valid for 0.8 s
        least = gaps[: min(max(int(np.ceil(s / DT_S - 1e-9)), 1), usable)].min()
        if s > 0.8:
            least = min(least, gaps[usable - 1] - people.reach_speed_mps * (s - 0.8))
        assert float(line) == pytest.approx(least, abs=1e-5)
    short = people.radius[:, :, :-1]
    damaged = dataclasses.replace(people, radius=short)
    done = ask(consumer.with_name("occupancy"), occupancy_text(damaged, []))
    assert done.returncode == 2 and "radius has 450 values, expected 475" in done.stderr
    shrinks = dataclasses.replace(people, reach_speed_mps=-2.0)  # beyond the horizon it would only get smaller
    done = ask(consumer.with_name("occupancy"), occupancy_text(shrinks, []))
    assert done.returncode == 2 and "reach_speed_mps is -2.0" in done.stderr and done.stderr.count("\n") == 1
    negative = dataclasses.replace(people, radius=np.where(people.radius == people.radius.max(), -0.1, people.radius))
    done = ask(consumer.with_name("occupancy"), occupancy_text(negative, []))
    assert done.returncode == 2 and "radius has -0.1" in done.stderr and done.stderr.count("\n") == 1


def test_a_missing_bound_is_no_distance(consumer: Path) -> None:
    people = one_person()
    kind = people.kind.copy()
    kind[0, 12, 3] = 0  # KIND_NONE of one segment 0.48 s ahead
    question = occupancy_text(
        dataclasses.replace(people, kind=kind), [(2, 1, 0.5, STAMP_NS + 10**8), (2, 1, 0.5, STAMP_NS + 6 * 10**8)]
    )
    before, after = ask(consumer.with_name("occupancy"), question).stdout.splitlines()[1:]
    assert float(before) > 0.0 and np.isnan(float(after))


def test_free_is_said_only_of_a_complete_and_fresh_view(consumer: Path) -> None:
    from aux_motion_core.safety.free_space import clearance_until
    from aux_motion_core.types import View, ViewReason, ViewReport

    people, until = one_person(), STAMP_NS + 3 * 10**8
    nobody = dataclasses.replace(people, person_ids=())
    question = occupancy_text(people, [(2.0, 1.0, 0.5, until)])
    now = STAMP_NS + 10**8
    for view, oldest, unplaced in (
        (2, STAMP_NS, 0), (0, STAMP_NS, 0), (1, STAMP_NS, 0), (77, STAMP_NS, 0), (2, 0, 0), (2, STAMP_NS, 1),
        (2, now - 10**9, 0), (2, now + 10**9, 0),
    ):  # fmt: skip
        arguments = [str(v) for v in (view, oldest, unplaced, now, 3 * 10**8)]
        done = subprocess.run(
            [consumer.with_name("occupancy"), *arguments], input=question, capture_output=True, text=True, timeout=20
        )
        somebody, empty, says = done.stdout.split()
        known = ViewReport(View(view) if view < 3 else View.UNKNOWN, ViewReason.NONE, oldest, unplaced)
        wanted = [
            clearance_until(dataclasses.replace(o, view=known), np.array([2.0, 1.0, 0.5]), until, now, 0.3)
            for o in (people, nobody)
        ]
        np.testing.assert_allclose([float(somebody), float(empty)], wanted, atol=1e-5)
        assert says == ("10" if view == 2 and oldest == STAMP_NS and not unplaced else "00")
        assert np.isnan(wanted[0]) == (says == "00")
