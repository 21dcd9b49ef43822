# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The bound that is calibrated on distances."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.occupancy_helpers import DT_S, STEPS, batch, person, walking

from aux_motion_core.bounds.separation_bound import FILE, SeparationBound, SeparationBoundError, load_separation_bound
from aux_motion_core.safety.anthropometry import body
from aux_motion_core.safety.occupancy import BoundKind, OccupancyBuilder, OccupancyConfig
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.types import Reason, TrackState

SHA = "a" * 64
TYPICAL = np.linspace(0.01, 0.1, STEPS)
SCALE = np.full((STEPS, N_JOINTS, 3), 0.05)
WANTED = OccupancyConfig(occupancy_bound="separation", max_acceleration_mps2=0.0)


def table(**changes: object) -> SeparationBound:
    """Factor 2 at 0.99."""
    values = {
        "kind": "split_conformal",
        "windows": 300,
        "clips": 9,
        "conditions": ("complete",),
        "typical_scale_m": tuple(TYPICAL),
        "factor": {"0.99": (2.0,) * STEPS},
        "onnx_sha256": SHA,
    }
    return SeparationBound(**{**values, **changes})


def test_the_radius_is_the_factor_times_scale_and_typical_scale() -> None:
    poses = np.repeat(walking()[:1], STEPS + 1, 0)
    one = OccupancyBuilder(WANTED, separation=table()).build(batch(person(poses, scale=SCALE)))
    assert (one.kind == BoundKind.SEPARATION).all() and np.allclose(one.coverage, 0.99)
    flesh = body().radii(poses[None], np.ones(1))[0]
    np.testing.assert_allclose(one.radius[0, -1] - flesh, 2.0 * (0.05 + TYPICAL[-1]), atol=1e-5)
    more = OccupancyBuilder(WANTED, separation=table(), tracker_error_m=0.03).build(batch(person(poses, scale=SCALE)))
    np.testing.assert_allclose(more.radius - one.radius, 0.03, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": None},
        {"reasons": Reason.OUT_OF_DISTRIBUTION},
        {"reasons": Reason.OUTLIER_MASKED | Reason.IMPUTED},
        {"state": TrackState.STALE},
        {"state": TrackState.WARMING_UP},
    ],
)
def test_what_is_not_like_the_table_has_the_predictors_own_bound(changes: dict) -> None:
    radius = np.full((STEPS, N_JOINTS), 0.7)
    values = {"scale": SCALE, "radius": radius, "radius_basis": "reach:2.0mps", **changes}
    one = OccupancyBuilder(WANTED, separation=table()).build(batch(person(walking(), **values)))
    assert (one.kind == BoundKind.REACH).all() and (one.radius > 0.7).all()


def test_a_scale_that_is_none_becomes_the_reach_set_of_that_joint() -> None:
    scale = SCALE.copy()
    scale[3, 5] = np.nan
    one = OccupancyBuilder(WANTED, separation=table()).build(batch(person(walking(), scale=scale)))
    assert (
        np.isfinite(one.radius).all()
        and (one.kind == BoundKind.REACH).any()
        and (one.kind == BoundKind.SEPARATION).any()
    )


def test_a_level_that_was_not_calibrated_is_refused() -> None:
    config = WANTED.model_copy(update={"separation_level": 0.999})
    with pytest.raises(SeparationBoundError, match="separation_level 0.999 was not calibrated: the table has 0.99;"):
        OccupancyBuilder(config, separation=table())
    with pytest.raises(SeparationBoundError, match="occupancy_bound is separation: expected its table"):
        OccupancyBuilder(WANTED)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no table of separation bounds"),
        ("{", "Invalid JSON"),
        ({"onnx_sha256": "b" * 64}, "is of another model (bbbbbbbbbbbb..., this one is aaaaaaaaaaaa...)"),
        ({"factor": {"0.99": [2.0]}}, "0.99: expected 25 finite numbers"),
        ({"kind": "guess"}, "kind: Input should be"),
    ],
)
def test_tables_that_cannot_be_used_are_one_line(tmp_path, content, expected: str) -> None:
    if content is not None:
        text = content if isinstance(content, str) else json.dumps({**json.loads(table().model_dump_json()), **content})
        (tmp_path / FILE).write_text(text)
    with pytest.raises(SeparationBoundError) as error:
        load_separation_bound(tmp_path, SHA)
    assert expected in str(error.value) and "calibrate_separation" in str(error.value) and "\n" not in str(error.value)


def test_a_table_comes_back_as_it_was_written(tmp_path) -> None:
    (tmp_path / FILE).write_text(table().model_dump_json())
    assert load_separation_bound(tmp_path, SHA) == table()


def test_the_shipped_table_is_of_the_shipped_model(root) -> None:
    from aux_motion_core.inference import artefact

    folder = root / "models" / "body20_25hz"
    model = artefact.load(folder)
    found = load_separation_bound(folder, model.onnx_sha256)
    assert found.windows >= 225 and found.clips >= 5 and len(found.typical_scale_m) == model.future_steps
    assert {"0.95", "0.99"} <= set(found.factor)
    assert (found.rows(0.99) >= found.rows(0.95)).all()
    assert found.typical_scale_m[0] < found.typical_scale_m[-1] and DT_S == model.dt_s
