# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where nothing is missing, less is looked at: the answers are those of the long way."""

from __future__ import annotations

import numpy as np
import pytest
from support.core_helpers import MODEL, motion

from aux_motion_core.arrays import every, lengths, some
from aux_motion_core.bounds import novelty, radii
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.bodies import Bodies
from aux_motion_core.history.resample import resample_all, resample_whole
from aux_motion_core.history.track import Added, Track
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.capsules import spheres, voxels
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import SkeletonFrame

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
BACKEND = make_backend("onnx", MODEL)


def test_all_and_any_of_arrays() -> None:
    for mask in (np.zeros((0, 3), bool), np.ones((2, 3), bool), np.zeros((2, 3), bool), np.eye(3, dtype=bool)):
        assert every(mask) == mask.all() and some(mask) == mask.any()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 3, 4, 3), (0, 4, 3)])
def test_lengths(kind: type, shape: tuple[int, ...]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(kind)
    np.testing.assert_allclose(lengths(vectors), np.linalg.norm(vectors, axis=-1), rtol=1e-6)


def test_features_of_whole_histories() -> None:
    rng = np.random.default_rng(1)
    values = np.stack([motion(0.04 * np.arange(25) + k, k) for k in range(3)])
    values = (values + rng.normal(0.0, 0.005, values.shape)).astype(np.float32)
    usual = novelty.Usual(rng.uniform(0.1, 0.5, 19), rng.normal(size=(19, 3)), np.tile(np.eye(3), (19, 1, 1)))
    mask = np.ones(values.shape[:3], bool)
    whole = novelty.features(values, mask, 0.04, usual)
    np.testing.assert_allclose(whole, novelty._of_parts(values, mask, 0.04, usual), rtol=2e-5, atol=1e-6)


def test_speeds_of_whole_histories() -> None:
    part = np.stack([motion(0.04 * np.arange(6) + k, k) for k in range(3)]) + 5.0
    for a, b in zip(
        radii._speeds_of_all(part, 0.04), radii._speeds(part, np.ones(part.shape[:3], bool), 0.04), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("people", [1, 3])
def test_windows_of_who_is_wholly_seen(people: int) -> None:
    rng = np.random.default_rng(people)
    for _ in range(20):
        stamps = -np.sort(rng.uniform(0.0, 1.1, (people, 30)))[:, ::-1]
        stamps[:, -1] = 0.0
        positions = rng.normal(size=(people, 30, 20, 3))
        mask = np.ones((people, 30, 20), bool)
        mask[:, :5, 7] = False  # so that each joint is looked for on its own
        long, ok = resample_all(stamps, positions, mask, 0.04, 25, 0.12)
        short, same = resample_whole(stamps, positions, 0.04, 25, 0.12)
        others = np.arange(20) != 7
        assert np.array_equal(ok[:, :, 0], same)
        np.testing.assert_allclose(long[:, :, others], short[:, :, others], rtol=1e-12)


def test_a_track_says_only_what_it_saw() -> None:
    seen, track = np.full(20, JointStatus.OBSERVED, np.uint8), Track()
    guessed = seen.copy()
    guessed[3] = JointStatus.TRACKER_PREDICTED

    def add(k: int, status: np.ndarray) -> Added:
        return track.add(T0 + k * NS // 30, motion([k / 30])[0], status, NS)

    for k in range(40):
        add(k, seen)
    part = track.part(NS)
    assert track.saw_all(part)
    add(40, guessed)
    assert not track.saw_all(track.part(NS // 2))
    for k in range(41, 60):
        add(k, seen)
    assert track.saw_all(track.part(NS // 2)) and not track.saw_all(track.part(NS))
    assert add(50, seen) is Added.MERGED and track.saw_all(track.part(NS // 2))
    assert track.add(T0 + 55 * NS // 30 + 1, motion([1.8])[0], guessed, NS) is Added.REORDERED
    assert not track.saw_all(track.part(NS // 2))
    track = Track()
    for k in range(40):
        add(k, seen)
    track.forget(np.arange(20) == 2)
    assert not track.saw_all(track.part(NS // 30))


def frames(rate: float):
    """Two people: whole for a while, then joints that jump, are guessed or lost, ids exchanged, and whole again."""
    for k in range(int(5 * rate)):
        t = k / rate
        x = np.stack([motion([t], 0)[0], motion([t], 1)[0] + (2.0, 0.0, 0.0)])
        status = np.full((2, 20), JointStatus.OBSERVED, np.uint8)
        if 1.5 < t < 2.5:
            status[0, INDEX["left_hand"]] = JointStatus.MISSING
            status[1, INDEX["head"]] = JointStatus.TRACKER_PREDICTED
        if 2.0 < t < 2.1:
            x[1, INDEX["right_hand"]] += 1.5
        ids = ("b", "a") if 3.0 < t < 3.3 else ("a", "b")
        yield SkeletonFrame(T0 + round(t * NS), "map", ids, x, status, np.ones((2, 20), np.float32))


@pytest.mark.parametrize("rate", [15.0, 30.0])
def test_predictions_are_those_of_the_long_way(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    def predicted() -> list:
        predictor = Predictor(BACKEND, PredictorConfig(), "map")
        out = []
        for frame in frames(rate):
            predictor.add(frame)
            out.append(predictor.predict(frame.stamp_ns).people)
        return out

    short, took = [], []
    go_on = Bodies.go_on
    with monkeypatch.context() as patched:
        patched.setattr(Bodies, "go_on", lambda *given: took.append(go_on(*given)) or took[-1])
        short = predicted()
    assert set(took) == {True, False}
    monkeypatch.setattr(Bodies, "go_on", lambda *given: False)
    monkeypatch.setattr(Track, "saw_all", lambda *given: False)
    for now, before in zip(short, predicted(), strict=True):
        for a, b in zip(now, before, strict=True):
            assert (a.person_id, a.state, a.reasons, a.radius_basis) == (
                b.person_id,
                b.state,
                b.reasons,
                b.radius_basis,
            )
            for name in ("mean", "recovered", "scale", "radius", "body_radius"):
                one, other = getattr(a, name), getattr(b, name)
                assert (one is None) == (other is None)
                if one is not None:
                    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("size_m", [0.03, 0.1])
def test_voxels_are_those_that_spheres_touch(size_m: float) -> None:
    rng = np.random.default_rng(2)
    ends, radius = rng.uniform(-0.5, 0.5, (8, 2, 3)) * (1.0, 1.0, 3.0), rng.uniform(0.1, 0.3, 8)
    found, used = voxels(ends, radius, size_m, -1.0, 2.0, most=10**7)
    assert used == size_m
    centre, wide = spheres(ends, radius, 0.25 * size_m)
    low, high = (centre - wide[:, None]).min(0), (centre + wide[:, None]).max(0)
    low[2] = max(low[2], -1.0)
    first = np.floor(low / size_m).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, np.ceil(high / size_m).astype(int) - first), indexing="ij"), -1)
    corner = (index.reshape(-1, 3) + first) * size_m
    gap = np.full(len(corner), np.inf)  # of each voxel's nearest place to the nearest sphere
    for place, r in zip(centre, wide, strict=True):
        gap = np.minimum(gap, np.linalg.norm(np.clip(place, corner, corner + size_m) - place, axis=1) - r)
    found_there = {tuple(c) for c in np.floor(found / size_m).astype(int)}
    touched, surely = ({tuple(c) for c in np.round(corner[gap < d] / size_m).astype(int)} for d in (1e-4, -1e-4))
    assert surely <= found_there <= touched
