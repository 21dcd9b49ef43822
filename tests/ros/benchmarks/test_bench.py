# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark and the soak run, and their records have the promised keys and verdicts."""

import cProfile
import json
import pstats
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")

from aux_motion.benchmarks import flame_graph, soak_verdicts, soak_watch  # noqa: E402

KEYS = {"stage", "backend", "people", "threads", "p50_ms", "p95_ms", "p99_ms"}
STAGES = (
    "convert", "resample", "backend", "learning", "describe", "message", "publish", "total", "settle", "learning_on"
)  # fmt: skip


def run(root, *arguments: object):
    command = [sys.executable, "-m", "aux_motion.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110)


def test_every_stage_and_every_rate_is_measured_for_every_number_of_people(root, tmp_path):
    out, picture = tmp_path / "build" / "bench.json", tmp_path / "build" / "bench.png"
    pictured = ["--picture", picture] if _matplotlib() else []
    sizes = ["--people", "1,3", "--threads", "1", "--rounds", "20", "--rates", "30,60", "--dds-seconds", "0.6"]
    done = run(root, "bench", "--json", out, "--backend", "damped_pose", *sizes, *pictured)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    records = report["records"]
    assert report["command"][:2] == ["aux-motion", "bench"]
    assert report["machine"]["cores"] >= 1 and report["machine"]["numpy"] == np.__version__
    assert all(set(r) >= KEYS for r in records)
    assert all(0.0 <= r["p50_ms"] <= r["p95_ms"] <= r["p99_ms"] for r in records)
    main = {(r["stage"], r["people"]) for r in records if r["backend"] == "damped_pose"}
    assert main == {(s, n) for s in (*STAGES, "end_to_end") for n in (1, 3)}
    assert {r["backend"] for r in records} >= {"zero_velocity", "constant_velocity"}
    live = {(r["backend"], r["rate_hz"], r["people"]): r for r in records if r["stage"] == "end_to_end"}
    assert set(live) == {(b, r, n) for b in ("damped_pose", "echo") for r in (30, 60) for n in (1, 3)}
    for (backend, rate, people), row in live.items():
        assert 0.5 * rate <= row["sent"] <= 0.7 * rate and 0 <= row["missed"] < row["sent"]
        if backend != "echo":
            floor = live["echo", rate, people]["p50_ms"]
            assert row["above_floor_p50_ms"] == pytest.approx(row["p50_ms"] - floor, abs=1e-3)
            assert row["node_cpu_share"] > 0.0
    first = next(r for r in records if r["stage"] == "end_to_end")
    assert first["node_rss_mib"] > 10 and first["start_to_first_prediction_s"] > 0
    assert "end_to_end" in done.stdout and "missed" in done.stdout
    assert not pictured or picture.read_bytes()[:4] == b"\x89PNG"


def _matplotlib() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def test_backends_are_timed_in_turn_beside_the_shipped_one(root):
    from aux_motion_core.evaluation.windows import bag_windows, sample_bag
    from aux_motion_core.inference import artefact, variants

    model = root / "models" / "body20_25hz"
    loaded = artefact.load(model)
    some = {"onnx, io binding", "onnx, saved optimised graph", "onnx, int8 dynamic"}
    records = variants.measure(loaded, bag_windows(sample_bag(), loaded, 128), [1, 2], 30, only=some)
    names = {r["backend"] for r in records}
    assert names - {"onnx, int8 dynamic"} == {"onnx", *some} - {"onnx, int8 dynamic"}
    assert {r["people"] for r in records} == {1, 2}
    exact = [r for r in records if "int8" not in r["backend"]]
    assert all(r["most_mm"] < 0.1 for r in exact), "they are the same model"
    assert all(0.0 < r["p50_ms"] <= r["p99_ms"] and r["load_ms"] > 0.0 for r in records)
    table = variants.table(records)
    assert all(name in table for name in names)


@pytest.mark.parametrize(("option", "value"), [("--rates", "0"), ("--people", "a"), ("--threads", "1,,2")])
def test_numbers_that_are_none_are_refused_in_one_line(root, option, value):
    done = run(root, "bench", option, value)
    assert done.returncode == 2 and option in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "--json", "/proc/none/b.json"), "/proc/none/b.json cannot be written"),
        (("bench", "--json", "/"), "/ cannot be written (is a directory)"),
        (("bench", "--picture", "b.nope"), "--picture b.nope: expected a name that ends in .png"),
        (("bench", "--rates", "30,1", "--dds-seconds", "0.5"), "--dds-seconds 0.5: expected at least 4 for 1 Hz"),
        (("soak", "--json", "/proc/none/b.json"), "/proc/none/b.json cannot be written"),
    ],
)
def test_what_could_not_be_written_is_refused_before_anything_is_measured(root, arguments, said):
    done = run(root, *arguments)
    if "--picture" in arguments and not _matplotlib():
        said = "--picture needs matplotlib"
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not done.stdout and not (root / "b.nope").exists()


def test_a_soak_ends_with_verdicts_and_its_exit_status_is_theirs(root, tmp_path):
    out = tmp_path / "soak.json"
    arguments = ["--minutes", "0.1", "--people", "3", "--rate", "30", "--backend", "damped_pose", "--json", out]
    done = run(root, "soak", *arguments)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(out.read_text())
    verdicts = {v["name"]: v["passed"] for v in report["verdicts"]}
    assert set(verdicts) == {"memory", "latency", "frames", "diagnostics"}
    assert done.returncode == (0 if all(verdicts.values()) else 1)
    assert report["last_diagnostics"]["prediction"]["backend"] and report["resident_mib"][0] > 10.0
    assert all(("pass" if passed else "FAIL") + f"  {name}" in done.stdout for name, passed in verdicts.items())


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 2)])
def test_a_soak_that_gets_a_signal_ends_and_so_does_its_node(root, how, code):
    arguments = ["soak", "--minutes", "2", "--people", "1", "--backend", "zero_velocity"]
    command = [sys.executable, "-m", "aux_motion.cli", *arguments]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 30.0
        while not (nodes := _children(process.pid)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        time.sleep(4.0)  # it plays
        process.send_signal(how)
        out, error = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code and "Traceback" not in error and not out, error
    assert code == 130 or "aux-motion: error: ended by a signal" in error, error
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes)


ENDS = {
    "bench": "rclpy.init(args=[])\nfrom aux_motion.benchmarks.bench_client import Client\nClient().close()",
    "soak": "rclpy.init(args=[])\nfrom aux_motion.benchmarks.soak_watch import Watch\nWatch(1, 30.0, 1.0).close()",
    "demo": "from aux_motion.commands.listener import Listener\nwith Listener():\n    pass",
}
ENDING = """
import rclpy
from aux_motion.commands import processes as live
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import get_current_signal_handlers_options as installed

live.private_domain()
shutdown = SingleThreadedExecutor.shutdown

def told(self, *arguments, **named):
    print("ends with", installed().name, flush=True)
    return shutdown(self, *arguments, **named)

SingleThreadedExecutor.shutdown = told
"""


@pytest.mark.parametrize("what", ENDS)
def test_executors_outlive_rclpys_signal_thread(root, what):
    """See the test of the same in test_node."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING + ENDS[what]], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout == "ends with NO\n", done.stdout + done.stderr


def _children(pid: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(file.parent.name))
    return found


def test_the_crowd_enters_leaves_and_exchanges_ids():
    frames = soak_watch.crowd(8, 60.0)
    played = [next(frames) for _ in range(60 * 60)]
    assert {len(f.person_ids) for f in played} > {6, 7, 8}
    assert all(len(set(f.person_ids)) == len(f.person_ids) == len(f.positions) for f in played)
    assert len({i for f in played for i in f.person_ids}) > 12, "new people come"
    exchanged = 0
    for before, after in zip(played, played[1:], strict=False):
        where = {i: p[0] for i, p in zip(before.person_ids, before.positions, strict=True)}
        moved = [np.linalg.norm(p[0] - where[i]) for i, p in zip(after.person_ids, after.positions) if i in where]
        exchanged += any(m > 0.5 for m in moved)
    assert 8 <= exchanged <= 14


def watched(seconds: float = 60.0, rate_hz: float = 30.0):
    """A run in which nothing is wrong, as `soak_verdicts.judge` takes it."""
    n = round(seconds * rate_hz)
    sent_ns = (np.arange(n) / rate_hz * 1e9).astype(np.int64)
    latency_s = 0.005 + 0.001 * np.random.default_rng(0).random(n)
    watch = SimpleNamespace(
        sent_ns=sent_ns,
        sent=n,
        latency_s=latency_s,
        answered_at_ns=sent_ns + (1e9 * latency_s).astype(np.int64),
        answers=n,
    )
    memory = [(float(t), 150 * 2**20) for t in range(round(seconds))]
    values = {part: dict.fromkeys(keys, "1") for part, keys in soak_verdicts.EXPECTED.items()}
    return watch, memory, [(float(t), values, 0) for t in range(round(seconds))]


def verdicts(watch, memory, diagnostics) -> dict[str, bool]:
    report = soak_verdicts.judge(watch, (0, 60 * 10**9), memory, diagnostics, 60.0)
    assert all(v["seen"] for v in report["verdicts"])
    return {v["name"]: v["passed"] for v in report["verdicts"]}


def test_a_run_without_trouble_passes():
    assert all(verdicts(*watched()).values())


@pytest.mark.parametrize("what", ["memory", "latency", "frames", "diagnostics", "silent", "error"])
def test_a_run_with_one_trouble_fails_by_that_alone(what):
    watch, memory, diagnostics = watched()
    if what == "memory":
        memory = [(t, round(b * (1.0 + 0.0006 * t))) for t, b in memory]
    elif what == "latency":
        watch.latency_s = watch.latency_s * np.linspace(1.0, 2.0, watch.answers)
    elif what == "frames":
        watch.answers -= 40
    elif what == "diagnostics":
        lacking = {**diagnostics[0][1], "input": {"messages": "1"}}
        diagnostics[20] = (20.0, lacking, 0)
    elif what == "silent":
        diagnostics = diagnostics[::2]
    elif what == "error":
        diagnostics[30] = (*diagnostics[30][:2], 2)
    failed = {name for name, passed in verdicts(watch, memory, diagnostics).items() if not passed}
    assert failed == {what if what in ("memory", "latency", "frames") else "diagnostics"}


def test_the_node_is_profiled_under_load(root, tmp_path):
    out = tmp_path / "profile"
    done = run(root, "bench", "--profile", out, "--backend", "damped_pose", "--people", "2", "--dds-seconds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (out / "profile.txt").read_text()
    assert table.startswith("2 people, 15 Hz") and table.rstrip() in done.stdout
    rooms = [line.split() for line in table.split("where", 1)[1].split("\n\n")[0].splitlines()[1:]]
    shares = {r[0]: float(r[-1].rstrip("%")) for r in rooms if r[0] != "all"}
    assert {"aux_motion_core.history", "aux_motion.nodes"} <= set(shares) and 95.0 < sum(shares.values()) < 101.0
    assert "history." in table.split("calls  function", 1)[1]
    picture = (out / "profile.svg").read_text()
    assert picture.startswith("<svg") and "prediction_loop" in picture and "ms a frame" in picture


def test_a_tree_of_calls_has_all_the_time_of_a_profile():
    def leaf():
        return sum(range(20_000))

    def branch():
        return leaf() + leaf()

    profiler = cProfile.Profile()
    profiler.runcall(lambda: branch() + leaf())
    root = flame_graph.tree(pstats.Stats(profiler))
    calls = list(flame_graph.walk(root))
    own = sum(c.own_s for c, _ in calls)
    assert own == pytest.approx(root.seconds, rel=0.05)
    ways = {(above[-1].function[2], c.function[2]): c.calls for c, above in calls if above}
    assert ways["branch", "leaf"] == pytest.approx(2.0) and ways["<lambda>", "leaf"] == pytest.approx(1.0)
