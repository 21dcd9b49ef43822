# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion learn` and `aux-motion evaluate --learning`, on a recording of somebody who waves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.learning_helpers import frame, waving
from typer.testing import CliRunner

from aux_motion.cli import app
from aux_motion.commands.learn import LearnReport, text
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.learning.files import Identity, load

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("learn") / "waving.mcap"
    with BagWriter(path) as writer:
        for k in range(25 * 28):
            f = frame(k / 25.0, {"a": waving(k / 25.0)})
            writer.write("/skeletons", f, f.stamp_ns)
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_what_is_learnt_from_a_bag_helps_on_the_part_kept_apart(bag, tmp_path):
    out = tmp_path / "cell.npz"
    done = run("learn", bag, "--out", out, "--backend", "damped_pose", "--no-progress")
    assert done.exit_code == 0, done.output
    change = [line for line in done.output.splitlines() if line.strip().endswith("%")]
    assert len(change) == 2, "one line of what was learnt from, one of what was kept apart"
    assert change[1].startswith("held out, change")
    assert all(float(x) < -20.0 for x in change[1].partition("change")[2].replace("%", "").split())
    assert "held out: the last 7 s" in done.output
    with np.load(out, allow_pickle=False) as content:
        about = json.loads(content["about"].tobytes())
    assert about["model"].startswith("damped_pose") and about["tracker"] == "aux_motion"
    about.pop("version")
    assert load(out, Identity(**about), {"rate_hz": ()})["rate_hz"] == pytest.approx(25.0, abs=0.5)


def test_a_bag_without_anybody_is_one_line(tmp_path):
    empty = tmp_path / "empty.mcap"
    with BagWriter(empty):
        pass
    done = run("learn", empty, "--out", tmp_path / "cell.npz", "--no-progress")
    assert done.exit_code != 0 and not (tmp_path / "cell.npz").exists()


def test_the_curve_is_in_the_results(bag, tmp_path):
    out = tmp_path / "out"
    done = run(
        "evaluate", bag, "--learning", "--out", out, "--backend", "damped_pose", "--no-annotated", "--no-progress"
    )
    assert done.exit_code == 0, done.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["sources"][:2] == ["learnt", "damped_pose"]
    curve = summary["learning"]
    assert curve["worst_minute_percent"] < 0.0
    mean, low, high = curve["minutes"][0]["errors_mm"]["0.4"]["learnt"]
    assert low <= mean <= high < curve["minutes"][0]["errors_mm"]["0.4"]["damped_pose"][0]
    assert "What is learnt on line" in (out / "report.html").read_text()
    assert "worst minute" in done.output


def test_the_table_has_no_interval_of_a_single_block_and_its_columns_stand_apart():
    rows = {h: {"model": [1234.5, 1200.0, 1300.0], "learnt": [1182.2, 1182.2, 1182.2]} for h in ("0.4", "1.0")}
    head, model, learnt, change, _, said, _ = text(LearnReport(learnt=rows), Path("cell.npz")).splitlines()
    assert model.split()[-4:] == ["1234.5", "(1200.0-1300.0)"] * 2 and "shipped model" in model
    assert learnt.split()[-3:] == ["learnt", "1182.2", "1182.2"]
    assert change.split()[-4:] == ["-4.2", "%"] * 2
    assert len(head) == len(model) == len(learnt) == len(change)
    assert "nothing can be judged" in said
