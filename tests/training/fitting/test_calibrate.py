# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Tables made from scores: how often they hold, what counts as evidence, and a user's own bags."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.bounds import coverage
from aux_motion_core.bounds.calibration import CELLS, SHARES, SPEEDS, Domain, body_cells, joint_cells
from aux_motion_core.bounds.radii import Bounds, known, reach_cap
from aux_motion_core.bounds.seal import sealed
from aux_motion_core.inference import artefact
from aux_motion_core.skeleton import JOINTS, JointStatus
from aux_motion_core.types import SkeletonFrame
from training import calibrate as command
from training.data import load_split
from training.fitting import calibrate, conformal, scores
from training.fitting.judge import judge
from training.fitting.scores import CALIBRATED_ON, CONDITIONS, Scores

MODEL = Path(__file__).resolve().parents[3] / "models" / "body20_25hz"
DOMAIN = Domain(tracker="motion capture", sources=[], actions=[], groups=3, conditions=[], size=(0.9, 1.1))
S = 5


def made(n: int, clips: int, seed: int, copies: int = 1, many: bool = True, scaled: bool = True) -> Scores:
    """n windows: errors are a scale times half of a normal, the scale grows with time and with what is missing."""
    rng = np.random.default_rng(seed)
    window = np.repeat(np.arange(n), copies)
    m = n * copies
    share = rng.integers(0, 3, m) if many else np.zeros(m, int)
    age = np.where(share[:, None] > 0, rng.integers(0, 4, (m, 20)), 0)
    speed = rng.uniform(0.0, 1.0, n)[window]
    scale = 0.05 * np.arange(1, S + 1)[:, None] * (1.0 + age[:, None]) * rng.uniform(0.5, 2.0, (m, 1, 1))
    body = np.abs(rng.normal(size=(m, 1, 1)))  # joints of one body err together
    error = scale * (0.7 * body + 0.3 * np.abs(rng.normal(size=(m, S, 20)))) * (1.0 + speed[:, None, None])
    return Scores(
        error_m=error.astype(np.float32),
        scale_m=scale.astype(np.float32) if scaled else None,
        cap_m=np.full((m, S, 20), 9.0, np.float32),
        age=age,
        share=share,
        speed_mps=speed,
        clip=window * clips // n,
        window=window,
        condition=np.zeros(m, int),
    )


def table_of(s: Scores):
    return conformal.fit(s, "group_cross_conformal", DOMAIN, None, "0" * 64)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_table_covers_new_windows_as_it_says_in_each_group(scaled):
    table = table_of(made(900, 30, 0, copies=2, scaled=scaled))
    new = made(2000, 60, 1, scaled=scaled)
    found = judge(new, ["complete"], [str(k) for k in range(60)], table, 0.04)
    for level in (0.9, 0.95, 0.99):
        v = found[f"{level:g}"]
        assert v["overall"] == pytest.approx(level, abs=0.02)
        assert v["body"]["overall"] == pytest.approx(level, abs=0.03)
        assert all(g["overall"] == pytest.approx(level, abs=0.045) for g in v["group"].values())
        assert len(v["group"]) >= 6 and v["clip"].keys() == {str(k) for k in range(60)}
    assert found["0.95"]["winkler_m"]["0.2"] > found["0.95"]["median_radius_m"]["0.2"]


def test_every_joint_in_its_marginal_radius_is_not_the_whole_body():
    table = table_of(made(900, 30, 0))
    new = made(2000, 40, 2)
    bounds = Bounds(table, 0.95)
    radius, body = bounds.radii(new.known(), new.scale_m)
    assert coverage.inside(new.error_m, radius).mean() == pytest.approx(0.95, abs=0.01)
    assert coverage.body_inside(new.error_m, radius).mean() < 0.85
    assert coverage.body_inside(new.error_m, body).mean() == pytest.approx(0.95, abs=0.02)
    assert np.all(body > radius)


def test_evidence_is_counted_in_windows_and_clips_not_in_copies():
    s = made(260, 10, 3, copies=4, many=False)
    table = table_of(s)
    assert (table.windows, table.clips) == (260, 10)
    assert table.speed_edge_mps is None, "260 windows are too few for two groups of speed"
    assert all(g.windows <= 260 for g in table.joints + table.bodies)
    few = table_of(made(260, 4, 3))
    assert {g.name for g in few.joints} == {"any/any/any"}, "four clips are no group of their own"


def test_a_cell_with_thin_evidence_uses_the_coarser_group():
    s = made(600, 20, 4)
    s.age[:] = np.where(np.arange(len(s.age))[:, None] < 100, 3, 0)  # never seen: in 100 windows only
    table = table_of(s)
    of = {c: g for g in table.joints for c in g.serves}
    assert of["never/any/slow"].name == "any/any/any" and of["never/any/slow"].windows == 600
    assert all(g.windows >= 225 or g.name == "any/any/any" for g in table.joints)
    assert any(g.name.startswith("now/") for g in table.joints)
    assert sorted(c for g in table.joints for c in g.serves) == sorted(joint_cells())
    assert sorted(c for g in table.bodies for c in g.serves) == sorted(body_cells())
    assert len(joint_cells()) == len(CELLS) * len(SPEEDS) and len(body_cells()) == len(SHARES) * len(SPEEDS)


def test_too_few_windows_calibrate_no_level():
    s = made(15, 5, 5)
    table = table_of(s)
    assert all(g.factor[k] is None for g in table.joints for k in ("0.95", "0.99"))
    assert Bounds(table, 0.9).calibrated and not Bounds(table, 0.95).calibrated
    assert "too thin" in Bounds(table, 0.95).reason
    found = judge(made(50, 5, 6), ["complete"], list("abcde"), table, 0.04)
    assert found["0.95"] == {"calibrated": False, "why": Bounds(table, 0.95).reason}


def test_a_joint_that_no_recording_has_has_no_factor():
    s = made(400, 10, 7)
    hand = [j for j, n in enumerate(JOINTS) if n.endswith("hand")]
    s.error_m[:, :, hand] = np.nan
    table = table_of(s)
    bounds = Bounds(table, 0.95)
    radius, body = bounds.radii(s.known(), s.scale_m)
    assert np.isinf(radius[:, :, hand]).all() and np.isfinite(np.delete(radius, hand, 2)).all()
    assert np.isfinite(np.delete(body, hand, 2)).all()


def test_conditions_are_what_they_say():
    rng = np.random.default_rng(0)
    for name, condition in CONDITIONS.items():
        seen = condition(rng, (40, 10, 20))
        assert seen.shape == (40, 10, 20), name
        assert not seen.all() or name == "complete"
    assert CONDITIONS["missing_30pct"](rng, (200, 10, 20)).mean() == pytest.approx(0.7, abs=0.01)
    assert CONDITIONS["long_gone"](rng, (200, 10, 20))[:, -4:].mean() == pytest.approx(0.6, abs=0.03)
    assert set(CALIBRATED_ON) <= set(CONDITIONS)


@pytest.fixture(scope="module")
def new_subject(data_dir):
    """Three trials of the person who is in no split: predicted by the shipped model, complete and with gaps."""
    from aux_motion_core.inference.onnx import OnnxBackend

    loaded = artefact.load(MODEL)
    backend = OnnxBackend(loaded)
    clips = [c for c in load_split(data_dir, "new_subject") if c.name in ("02_01", "02_03", "02_05")]
    found, names = scores.collect(
        clips, lambda c: backend.infer, 25, 25, 0.04, ("complete", "missing_50pct"), stride_s=0.28
    )
    return loaded, clips, found, names


def test_capping_loses_no_held_out_coverage(new_subject):
    _, _, found, _ = new_subject
    assert len(found.error_m) > 100
    assert np.all(found.error_m <= found.cap_m), "nobody outruns the caps"
    # at radii that are larger than any cap, and at small ones
    for radius in (0.05, 0.3, 1.0, 30.0):
        free = coverage.inside(found.error_m, np.full_like(found.error_m, radius))
        capped = coverage.inside(found.error_m, np.minimum(radius, found.cap_m))
        assert np.array_equal(free, capped)


def test_the_cap_is_around_the_mean_not_the_last_observation(new_subject):
    loaded, clips, _, _ = new_subject
    from training.data.windows import cut

    w = cut(clips[0], 25, 25, 0.04, 0.4)
    what = known(w.past, w.past_mask, 0.04)
    far = w.future + np.array([0.0, 0.0, 5.0])  # a mean that is 5 m off
    cap = reach_cap(far, what, 0.04 * np.arange(1, 26))
    assert np.all(np.linalg.norm(far - w.future, axis=-1) <= cap)
    assert loaded.future_steps == far.shape[1]


@pytest.fixture(scope="module")
def own_bags(data_dir, tmp_path_factory) -> Path:
    """Recordings of a tracker without hands, in two bags."""
    folder = tmp_path_factory.mktemp("own")
    clips = load_split(data_dir, "validation")
    hands = [j for j, n in enumerate(JOINTS) if n.endswith("hand")]
    for i, part in enumerate((clips[0:1], clips[8:9])):
        with BagWriter(folder / f"day{i}_cell.mcap") as bag:
            t0 = 1_700_000_000_000_000_000
            for k, clip in enumerate(part):
                for stamp, x in zip(clip.stamps_s[::5], clip.positions[::5]):
                    ns = t0 + round(stamp * 1e9)
                    status = np.full((1, 20), JointStatus.OBSERVED, np.uint8)
                    status[:, hands] = JointStatus.MISSING
                    one = np.ones((1, 20), np.float32)
                    bag.write(
                        "/skeletons", SkeletonFrame(ns, "map", (f"p{k}",), x[None].astype(float), status, one), ns
                    )
    return folder


def test_own_bags_recalibrate_a_copy(own_bags, tmp_path):
    out, report = tmp_path / "mine", tmp_path / "cal.json"
    before = (MODEL / "model.json").read_bytes()
    arguments = ["--model", MODEL, "--bags", own_bags, "--tracker", "aux_motion", "--out", out, "--json", report]
    done = run(arguments)
    assert done.exit_code == 0, done.output
    assert (MODEL / "model.json").read_bytes() == before
    table = artefact.load(out).calibration
    assert table.kind == "split_conformal" and table.domain.tracker == "aux_motion" and table.clips == 2
    assert 20 < table.windows < 225
    assert Bounds(table, 0.95).calibrated and not Bounds(table, 0.99).calibrated
    content = json.loads(report.read_text())
    assert 0.5 < content["coverage"]["0.9"]["overall"] <= 1.0
    assert content["coverage"]["0.9"]["by_group"].keys() == {"day0_cell", "day1_cell"}
    assert content["joints_seen"]["left_hand"] == 0.0
    # the tracker's own error is in the table now
    assert table.domain.tracker != "motion capture"


def run(arguments):
    import typer

    app = typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_wrong_input_is_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SystemExit, match="no bag in it"):
        command.main(MODEL, bags=empty, static_transform=None)
    with pytest.raises(SystemExit, match="no such folder"):
        command.main(MODEL, bags=tmp_path / "nowhere", static_transform=None)
    with pytest.raises(SystemExit, match="no model.onnx in|no model.json in"):
        command.main(tmp_path, bags=empty, static_transform=None)


def test_a_bag_that_is_not_z_up_is_refused(tmp_path):
    from aux_motion_core.history.normalise import REST_POSE

    pose = REST_POSE.copy()
    pose[:, [1, 2]] = pose[:, [2, 1]] * np.array([1.0, -1.0])  # as a camera sees: y down
    with BagWriter(tmp_path / "camera.mcap") as bag:
        for k in range(60):
            ns = 1_700_000_000_000_000_000 + k * 40_000_000
            status, one = np.full((1, 20), JointStatus.OBSERVED, np.uint8), np.ones((1, 20), np.float32)
            bag.write("/skeletons", SkeletonFrame(ns, "camera", ("a",), -pose[None], status, one), ns)
    with pytest.raises(SystemExit, match="give --fixed-frame and --static-transform"):
        command.main(MODEL, bags=tmp_path, static_transform=None, fixed_frame="")


def test_the_table_of_another_model_is_refused(tmp_path):
    shutil.copytree(MODEL, tmp_path / "m")
    calibrate.write(tmp_path / "m", table_of_model(artefact.load(MODEL).onnx_sha256))
    assert artefact.load(tmp_path / "m").calibration.windows == 300
    with pytest.raises(artefact.ArtefactError, match="the calibration is of another model.*training.calibrate"):
        calibrate.write(tmp_path / "m", table_of_model("f" * 64))
    content = json.loads((tmp_path / "m" / "model.json").read_text())
    content["calibration"]["joints"] = []
    (tmp_path / "m" / "model.json").write_text(json.dumps(sealed(content)))
    with pytest.raises(artefact.ArtefactError, match="calibration"):
        artefact.load(tmp_path / "m")


def table_of_model(sha256: str):
    s = made(300, 10, 8)
    wide = Scores(**{**s.__dict__, "error_m": np.repeat(s.error_m, 5, 1), "scale_m": np.repeat(s.scale_m, 5, 1)})
    wide.cap_m = np.repeat(s.cap_m, 5, 1)
    return conformal.fit(wide, "split_conformal", DOMAIN, None, sha256)
