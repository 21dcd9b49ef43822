# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion export`: what a recording holds and what is predicted of it, as CSV and as Parquet."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from typer.testing import CliRunner

from aux_motion.cli import app
from aux_motion.commands.export import COLUMNS, _Csv
from aux_motion_core.bags.reader import read_predictions
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.skeleton import JOINTS, JointStatus
from aux_motion_core.testing import synthetic


def run(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    """Skeletons of one person whose left hand is never seen, and the same with what was predicted of them."""
    folder = tmp_path_factory.mktemp("export")
    plain, predicted = folder / "plain.mcap", folder / "predicted.mcap"
    with BagWriter(plain) as bag:
        for frame in synthetic.frames(1, 1.5):
            frame.status[:, JOINTS.index("left_hand")] = JointStatus.MISSING
            frame = replace(frame, person_ids=("=1+1",))
            bag.write("/skeletons", frame, frame.stamp_ns + 20_000_000)
    done = CliRunner().invoke(app, ["predict", str(plain), "--out", str(predicted), "--no-baselines"])
    assert predicted.is_file(), done.output
    return plain, predicted


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_recorded_predictions_as_csv(bags, tmp_path):
    out = tmp_path / "table.csv"
    done = run(bags[1], "--csv", out, "--ahead", "0.2,1.0")
    assert done.exit_code == 0 and "recorded on /predictions" in done.output, done.output
    table = read(out)
    assert list(table[0]) == [name for name, _ in COLUMNS]
    batches = [batch for _, batch in read_predictions(bags[1])]
    assert len(table) == len(batches) * len(JOINTS) * 3  # present, and at two times
    last = batches[-1]
    (person,) = last.people
    rows = [r for r in table if int(r["stamp_ns"]) == last.stamp_ns]
    for joint, row in zip(JOINTS, rows[: len(JOINTS)], strict=True):
        assert (row["joint"], row["ahead_s"], row["radius_m"]) == (joint, "0.0000", "")
        assert row["kind"] == ("imputed" if joint == "left_hand" else "observed")
        assert row["person"] == "'=1+1"  # no formula for a spreadsheet
    late = [r for r in rows if r["ahead_s"] == "1.0000"]
    got = np.array([[float(r[f"{a}_m"]) for a in "xyz"] for r in late])
    np.testing.assert_allclose(got, person.mean[24], atol=1e-4)
    np.testing.assert_allclose([float(r["radius_m"]) for r in late], person.radius[24], atol=1e-4)
    np.testing.assert_allclose([float(r["body_radius_m"]) for r in late], person.body_radius[24], atol=1e-4)
    assert {r["state"] for r in late} == {"tracking"} and float(late[0]["radius_coverage"]) == pytest.approx(0.95)


def test_of_the_times_nobody_asked_for_those_that_are_predicted_are_written(bags, tmp_path):
    short, out = tmp_path / "short.mcap", tmp_path / "table.csv"
    with BagWriter(short) as bag:
        for log_time_ns, batch in read_predictions(bags[1]):
            people = tuple(
                replace(p, mean=p.mean[:15], radius=None, body_radius=None, scale=None) for p in batch.people
            )
            bag.write("/predictions", replace(batch, people=people, steps=15), log_time_ns)
    done = run(short, "--csv", out)
    assert done.exit_code == 0, f"{done.exception} {done.output}"
    assert {r["ahead_s"] for r in read(out)} == {"0.0000", "0.2000", "0.4000", "0.6000"}


def test_a_recording_without_predictions_is_predicted_as_the_node_would(bags, tmp_path):
    out, recorded = tmp_path / "anew.csv", tmp_path / "recorded.csv"
    done = run(bags[0], "--csv", out, "--ahead", "0.4")
    assert done.exit_code == 0 and "predicted anew by body20_25hz" in done.output, done.output
    assert run(bags[1], "--csv", recorded, "--ahead", "0.4").exit_code == 0
    anew, before = read(out), read(recorded)
    assert len(anew) == len(before)
    for column, kind in COLUMNS:
        a, b = [r[column] for r in anew], [r[column] for r in before]
        if kind == "number":  # messages hold single precision
            assert np.allclose(
                [float(v or "nan") for v in a], [float(v or "nan") for v in b], atol=2e-4, equal_nan=True
            )
        else:
            assert a == b
    assert run(bags[1], "--csv", out, "--recorded", "--ahead", "").exit_code == 0
    assert {r["ahead_s"] for r in read(out)} == {"0.0000"}


def test_as_parquet(bags, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "deep" / "table.parquet"
    done = run(bags[1], "--csv", tmp_path / "t.csv", "--parquet", out)
    assert done.exit_code == 0, done.output
    table = parquet.read_table(out)
    assert table.column_names == [name for name, _ in COLUMNS]
    rows = read(tmp_path / "t.csv")
    assert table.num_rows == len(rows)
    np.testing.assert_allclose(table["x_m"].to_numpy(), [float(r["x_m"]) for r in rows], atol=1e-4)
    assert table["radius_m"].null_count == sum(r["radius_m"] == "" for r in rows)
    assert not list(out.parent.glob(".*"))


def test_a_pipe_is_refused_a_link_stays_and_two_tables_do_not_mix(bags, tmp_path):
    pipe, link, out = tmp_path / "pipe", tmp_path / "link.csv", tmp_path / "table.csv"
    os.mkfifo(pipe)
    done = run(bags[1], "--csv", pipe)
    assert done.exit_code != 0 and "expected a file, it is a pipe; name a file" in str(done.exception)
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]
    link.symlink_to(out)
    first = _Csv(link)
    assert run(bags[1], "--csv", link, "--ahead", "").exit_code == 0  # meanwhile
    whole = out.read_bytes()
    first.close()
    assert link.is_symlink() and out.read_bytes() == whole and len(read(link)) > 0
    assert {p.name for p in tmp_path.iterdir()} == {"pipe", "link.csv", "table.csv"}


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_without_pyarrow_it_says_what_to_install(bags, tmp_path):
    done = run(bags[1], "--parquet", tmp_path / "t.parquet")
    assert done.exit_code != 0 and "aux_motion[parquet]" in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --csv FILE"),
        (["--csv", "/proc/none/t.csv"], "cannot write"),
        (["--csv", "{bag}"], "is read as"),
        (["--csv", "{out}", "--ahead", "soon"], "expected seconds"),
        (["--csv", "{out}", "--ahead", "nan"], "--ahead 'nan': expected seconds"),
        (["--csv", "{out}", "--ahead", "0.2,-1"], "--ahead '0.2,-1': expected seconds"),
        (["--csv", "{out}", "--ahead", "0.2,5"], "--ahead 5: expected from 0.04 to 1 s"),
        (["--csv", "{out}", "--ahead", "0.01"], "--ahead 0.01: expected from 0.04 to 1 s"),
        (["--csv", "{out}", "--topic", "/elsewhere"], "no topic '/elsewhere'"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(bags, tmp_path, arguments, says):
    out = tmp_path / "t.csv"
    before = bags[0].read_bytes()
    done = run(bags[0], *(a.format(bag=bags[0], out=out) for a in arguments))
    assert done.exit_code != 0 and says in f"{done.exception} {done.output}"
    assert not list(tmp_path.iterdir()) and bags[0].read_bytes() == before
