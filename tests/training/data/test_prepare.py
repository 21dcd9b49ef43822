# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Prepared shards: the clips as the loaders give them, killed runs that go on, and what is wrong in one line."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from aux_motion_core.history.normalise import REST_POSE
from training.data import load_prepared
from training.data import prepare as module
from training.data.prepare import plan, prepare
from training.data.registry import dataset
from training.data.sources import Options

#: What a run would do, slowly, with a shard for each file.
SLOW = """
import sys, time
from pathlib import Path
import training.data.prepare as p
from training.data.sources import Options
quick = p.convert
def slow(*args):
    time.sleep(0.25)
    quick(*args)
p.SHARD_BYTES, p.convert = 1, slow
p.prepare("folder", Path(sys.argv[1]), Path(sys.argv[2]), Options(), workers=2, progress=False)
"""


def recordings(folder: Path, count: int) -> Path:
    folder.mkdir()
    for k in range(count):
        t = np.linspace(0.0, 1.0 + 0.1 * k, 30 + k)
        p = REST_POSE + [0, 0, 0.95] + t[:, None, None] * [0.5, 0.1 * k, 0]
        p[3:6, 4:7] = np.nan
        np.savez(folder / f"walk_{k:02d}.npz", positions=p, stamps_s=t, group=f"g{k % 2}", licence="mine")
    return folder


def run(*args: object) -> tuple[int, str]:
    """The command line's exit code and what it said."""
    import typer

    app = typer.Typer()
    app.command()(module.main)
    result = CliRunner().invoke(app, [str(a) for a in args])
    said = result.output if result.exit_code == 0 else str(result.exception)
    return result.exit_code, said


def test_shards_are_the_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 60_000)
    folder = recordings(tmp_path / "in", 7)
    manifest = prepare("folder", folder, tmp_path / "out", Options(), workers=2, progress=False)
    d = dataset("folder")
    want = [c for s in d.find(folder, Options()) for c in d.load(s)]
    got = load_prepared(tmp_path / "out", verify=True)
    assert len(got) == len(want) == manifest["clips"] == 7 and 1 < len(manifest["shards"]) < 7
    for a, b in zip(got, want):
        assert isinstance(a.positions, np.memmap) and a.positions.dtype == np.float32
        for key in ("positions", "mask", "stamps_s"):
            assert np.array_equal(getattr(a, key), getattr(b, key))
        assert (a.name, a.group, a.action, a.rate_hz) == (b.name, b.group, b.action, b.rate_hz)
    assert manifest["licences"] == [{"source": "own recordings", "licence": "mine"}]
    assert manifest["frames"] == sum(30 + k for k in range(7)) and manifest["actions"] == {"walk": 7}
    hashes = {n: h for e in manifest["shards"] for n, h in e["sources"].items()}
    assert hashes["walk_03"] == {"walk_03.npz": module.sha256(folder / "walk_03.npz")}


def test_real_cmu(tmp_path, data_dir):
    """Two trials and their skeleton, out of the real archive."""
    sources = {s.name: s for s in dataset("cmu_asfamc").find(data_dir, Options())}
    (tmp_path / "in").mkdir()
    for path in (sources["02_04"].path, sources["02_10"].path, sources["02_04"].needs[0]):
        (tmp_path / "in" / path.name).symlink_to(path)
    code, said = run("--dataset", "cmu_asfamc", "--data", tmp_path / "in", "--out", tmp_path / "out", "--workers", 1)
    assert code == 0 and "2 clips" in said and "mocap.cs.cmu.edu" in said
    clips = {c.name: c for c in load_prepared(tmp_path / "out")}
    (want,) = dataset("cmu_asfamc").load(sources["02_04"])
    assert set(clips) == {"02_04", "02_10"} and np.array_equal(clips["02_04"].positions, want.positions)
    assert clips["02_10"].action == "wash_self" and clips["02_10"].rate_hz == 120.0


def test_a_killed_run_goes_on(tmp_path, root):
    folder, out = recordings(tmp_path / "in", 8), tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, folder, out], cwd=root, start_new_session=True, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not list(out.glob("shard-*")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{w}").exists() for w in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers and not any(Path(f"/proc/{w}").exists() for w in workers), "workers outlive their parent"
    done = {p.name: p.stat().st_mtime_ns for p in out.glob("shard-*")}
    assert 0 < len(done) < 8
    with pytest.raises(ValueError, match="not prepared, or only in part: run python -m training.data.prepare"):
        load_prepared(out)
    (out / ".part-left").mkdir(exist_ok=True)
    again = subprocess.run([sys.executable, "-c", SLOW, folder, out], cwd=root, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert {n: (out / n).stat().st_mtime_ns for n in done} == done, "what was done is not done again"
    assert len(load_prepared(out, verify=True)) == 8 and not list(out.glob(".part-*"))


def test_only_what_changed_is_converted_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    folder, out = recordings(tmp_path / "in", 3), tmp_path / "out"
    prepare("folder", folder, out, Options(), progress=False)
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("shard-*")}
    with np.load(folder / "walk_01.npz") as f:
        np.savez(folder / "walk_01.npz", **{**f, "action": "run"})
    manifest = prepare("folder", folder, out, Options(), progress=False)
    after = {p.name: p.stat().st_mtime_ns for p in out.glob("shard-*")}
    assert len(after) == 3 and len(before.items() & after.items()) == 2
    assert manifest["actions"] == {"run": 1, "walk": 2}


def test_other_loaders_convert_again(tmp_path, monkeypatch):
    sources = dataset("folder").find(recordings(tmp_path / "in", 2), Options())
    before = set(plan("folder", sources))
    monkeypatch.setattr(module, "loaders_key", lambda: "other")
    assert not before & set(plan("folder", sources))


def test_a_full_disk_is_said_and_what_is_done_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    folder, out = recordings(tmp_path / "in", 3), tmp_path / "out"
    save = np.save

    def full(path, array):
        if "positions" in str(path) and len(array) == 32:  # the last file's
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(path, array)

    monkeypatch.setattr(np, "save", full)
    code, said = run("--dataset", "folder", "--data", folder, "--out", out, "--workers", 1)
    assert code == 1 and "training.data.prepare: " in said and "No space left" in said and "\n" not in said
    assert len(list(out.glob("shard-*"))) == 2 and not (out / "manifest.json").exists() and not list(out.glob(".part*"))
    monkeypatch.undo()
    prepare("folder", folder, out, Options(), progress=False)
    assert len(load_prepared(out)) == 3


def test_a_disk_that_takes_a_part_only_is_said(tmp_path, monkeypatch):
    """numpy tells it by the bytes alone."""

    def full(path, array):
        raise OSError("1323900 requested and 786400 written")

    monkeypatch.setattr(np, "save", full)
    code, said = run("--dataset", "folder", "--data", recordings(tmp_path / "in", 2), "--out", tmp_path / "out")
    assert code == 1 and "\n" not in said
    assert f"{tmp_path / 'out'}/shard-" in said and "786400 written, so the disk is full: make room" in said


def killed(name, sources, folder, convert=module.convert):
    if sources[0].name == "walk_02":
        os.kill(os.getpid(), signal.SIGKILL)
    convert(name, sources, folder)


def test_a_worker_that_is_killed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    folder, out = recordings(tmp_path / "in", 3), tmp_path / "out"
    monkeypatch.setattr(module, "convert", killed)
    code, said = run("--dataset", "folder", "--data", folder, "--out", out, "--workers", 1)
    assert code == 1 and "\n" not in said and "a worker was killed" in said and "fewer --workers" in said
    monkeypatch.undo()
    prepare("folder", folder, out, Options(), progress=False)
    assert len(load_prepared(out)) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 1}'])
def test_a_damaged_manifest_or_shard_is_named(tmp_path, text):
    folder, out = recordings(tmp_path / "in", 2), tmp_path / "out"
    prepare("folder", folder, out, Options(), progress=False)
    (out / "manifest.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"manifest\.json: cannot be read .*delete it and run training.data.prepare again"
    ):
        load_prepared(out)
    (out / "manifest.json").unlink()
    (shard,) = out.glob("shard-*")
    (shard / "shard.json").write_text("")
    code, said = run("--dataset", "folder", "--data", folder, "--out", out)
    assert code == 1 and f"{shard.name}: damaged" in said and "\n" not in said


def test_bad_files_end_in_one_line(tmp_path):
    folder, out = recordings(tmp_path / "in", 2), tmp_path / "out"
    code, said = run("--dataset", "foldr", "--data", folder, "--out", out)
    assert code == 1 and said.startswith("training.data.prepare: data set 'foldr': expected one of cmu, ")
    np.savez(folder / "walk_01.npz", positions=np.zeros((3, 20, 3)))
    code, said = run("--dataset", "folder", "--data", folder, "--out", out)
    assert code == 1 and "walk_01.npz: expected positions and stamps_s" in said and "\n" not in said
    code, said = run("--dataset", "amass", "--data", folder, "--out", out)
    assert code == 1 and "_poses.npz" in said
    (folder / "walk_01.npz").rename(folder / "walk_00.mcap")
    code, said = run("--dataset", "folder", "--data", folder, "--out", out)
    assert code == 1 and "two files would be 'walk_00'" in said


def test_a_prepared_folder_that_is_damaged(tmp_path):
    out = tmp_path / "out"
    prepare("folder", recordings(tmp_path / "in", 2), out, Options(), progress=False)
    (shard,) = out.glob("shard-*")
    good = (shard / "mask.npy").read_bytes()
    (shard / "mask.npy").write_bytes(good[:-1] + b"\x02")
    assert len(load_prepared(out)) == 2
    with pytest.raises(ValueError, match="damaged .its hash is another.: delete it"):
        load_prepared(out, verify=True)
    (shard / "mask.npy").write_bytes(good[:-40])
    with pytest.raises(ValueError, match=f"{shard.name}: damaged"):
        load_prepared(out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(ValueError, match="expected schema_version 1, got 99"):
        load_prepared(out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="manifest.json: cannot be read"):
        load_prepared(out)


def test_another_data_set_is_not_mixed_in(tmp_path):
    out = tmp_path / "out"
    prepare("folder", recordings(tmp_path / "in", 1), out, Options(), progress=False)
    (tmp_path / "bvh").mkdir()
    (tmp_path / "bvh" / "x.bvh").write_text("")
    with pytest.raises(ValueError, match="holds folder, not bvh"):
        prepare("bvh", tmp_path / "bvh", out, Options(), progress=False)
    assert len(load_prepared(out)) == 1
