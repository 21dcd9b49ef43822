"""The replay launch file: with the real `launch` where it is installed, else compiled and read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_launch import RUNNER, constants, needs_launch

from aux_motion_core.bags import reader
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic

ARGUMENTS = {
    "bag", "topic", "rate", "loop", "start", "out", "player", "domain", "tracker", "tracker_joints",
    "static_transforms", "fixed_frame", "model", "params_file", "log_level",
}  # fmt: skip


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A person who walks for four seconds."""
    path = tmp_path / "walk.mcap"
    with BagWriter(path) as writer:
        for frame in synthetic.frames(1, 4.0):
            writer.write("/cell_4/skeletons", frame, frame.stamp_ns + 5_000_000)
    return path


def launch(workspace, tmp_path: Path, *arguments: str, path: str = "", **more: str) -> subprocess.CompletedProcess:
    """`ros2 launch aux_motion replay.launch.py`, to its end."""
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    file = workspace.install / "aux_motion" / "share" / "aux_motion" / "launch" / "replay.launch.py"
    env = {**workspace.env, "ROS_LOG_DIR": str(tmp_path), "HOME": os.environ.get("HOME", str(tmp_path)), **more}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [env["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]))
    env["PATH"] = os.pathsep.join(filter(None, [path, env["PATH"]]))
    command = [sys.executable, str(runner), str(file), *arguments]
    heard = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.Popen(command, env=env, cwd=tmp_path, start_new_session=True, **heard)
    try:
        said, _ = done.communicate(timeout=100)
    finally:
        if done.poll() is None:
            os.killpg(done.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, done.returncode, said)


def test_compiles_and_declares_its_arguments(root: Path) -> None:
    file = root / "launch" / "replay.launch.py"
    compile(file.read_text(encoding="utf-8"), str(file), "exec")
    found = constants(file)
    assert {row[0] for row in found["ARGUMENTS"]} == ARGUMENTS
    other = constants(root / "launch" / "predict.launch.py")
    assert set(found["PASSED_ON"]) <= {name for name, _, _ in other["ARGUMENTS"]}


@needs_launch
@pytest.mark.timeout(400)
def test_a_bag_is_played_predicted_and_recorded_by_its_own_time(built_workspace, bag, tmp_path: Path) -> None:
    out = tmp_path / "out.mcap"
    done = launch(built_workspace, tmp_path, f"bag:={bag}", f"out:={out}", "player:=own", "rate:=2")
    assert done.returncode == 0, done.stdout
    frames = list(reader.read_skeletons(out))
    assert [f.stamp_ns for _, f in frames] == [f.stamp_ns for f in synthetic.frames(1, 4.0)]
    late_ms = [(log_ns - f.stamp_ns) * 1e-6 for log_ns, f in frames]  # logged by the time of the bag, which has ticks
    assert min(late_ms) > -100.0 and max(late_ms) < 1000.0 and abs(sum(late_ms) / len(late_ms)) < 200.0, late_ms
    predicted = [p for _, batch in reader.read_predictions(out) for p in batch.people if p.state in (1, 2)]
    assert len({p.stamp_ns for p in predicted}) > 60
    assert predicted[0].stamp_ns < 3_000_000_000 and "ROS domain" in done.stdout


@needs_launch
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bag:=nowhere.mcap"], "no such bag: nowhere.mcap"),
        (["bag:={bag}", "topic:=/other"], "no topic '/other'"),
        (["bag:={bag}", "rate:=fast"], "rate:=fast: expected a number from 0.01"),
        (["bag:={bag}", "domain:=400"], "domain:=400: expected a number from 0 to 232"),
        (["bag:={bag}", "player:=own", "out:={bag}"], "exists already: choose another name"),
    ],
)
def test_bad_arguments_are_named(built_workspace, bag, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = launch(built_workspace, tmp_path, *(a.format(bag=bag) for a in arguments))
    assert done.returncode != 0 and says in done.stdout, done.stdout


@needs_launch
def test_ros2_bag_play_gets_the_topic_the_clock_and_the_rate(root: Path, bag, tmp_path: Path) -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("replay_launch", root / "launch" / "replay.launch.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    given = {"bag": str(bag), "rate": "2.0", "start": "1.5", "loop": "true"}
    with reader.BagReader(bag) as recording:
        command = module.ros2_command(given, recording.topics[0])
    assert command[:6] == ["ros2", "bag", "play", str(bag), "--storage", "mcap"]
    text = " ".join(command)
    assert "--clock 100 --rate 2.0 --start-offset 1.5" in text and "--loop" in command
    assert command[-4:] == ["--topics", "/cell_4/skeletons", "/tf", "/tf_static"]
