# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion evaluate`: files and exit codes; every bad recording in one line, and what could be judged is judged."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from aux_motion.commands import evaluate
from aux_motion.commands.offline import Beside, Here, Job
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.bags.find import find_bags
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.replay import quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields

START_NS = 1_700_000_000_000_000_000


def frames(seconds=3.0, people=1):
    return synthetic.frames(people, seconds, start_ns=START_NS)


def write(path, items):
    """Frames one after the other at 30 Hz of the recorder's clock, whatever their stamps say."""
    with BagWriter(path) as writer:
        for i, frame in enumerate(items):
            writer.write("/skeletons", frame, START_NS + 20_000_000 + i * 33_333_333)
    return path


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    return write(tmp_path_factory.mktemp("walk") / "walk.mcap", frames())


def run(paths, out, *fail_if, **job):
    """Exit code, lines of results, lines on what is wrong."""
    said, wrong = [], []
    paths = paths if isinstance(paths, list) else [paths]
    options = {"values": {"backend": "damped_pose"}, "progress": False, "annotated": False, "compare": False, **job}
    workers = options.pop("workers", 1)
    code = evaluate.main(paths, out, options, list(fail_if), workers, said.append, wrong.append)
    return code, "\n".join(said), wrong


def summary(out):
    return json.loads((out / "summary.json").read_text())


def aux_motion(root, *arguments, **options):
    command = [sys.executable, "-m", "aux_motion.cli", "evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=200, **options)


class Page(HTMLParser):
    """What a page loads, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.pictures, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(given["alt"])
        here = ("data:image/svg+xml;", "http://localhost:8088/")  # pictures, and the page of aux-motion view
        self.loads += [v for k, v in given.items() if k in ("src", "href") and not v.startswith(here)]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


# What it writes


def test_the_sample_gives_every_file_and_conditions_set_the_exit_code(root, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    (sample,) = (root / "samples").glob("*.mcap")
    arguments = [sample, "--out", tmp_path, "--no-progress", "--fail-if", "mpjpe_mm@0.4s<1", "--fail-if", "rejected>0"]
    done = aux_motion(root, *arguments)
    assert done.returncode == 0, done.stderr
    assert "mix" in done.stdout and "never seen" in done.stdout
    found = summary(tmp_path)
    assert found["schema_version"] == 1 and found["problems"] == []
    assert found["sources"] == [
        "model", "zero_velocity", "constant_velocity", "damped_velocity", "kalman_constant_acceleration", "damped_pose",
        "mix",
    ]  # fmt: skip
    assert found["errors_mm"]["0.4"]["model"]["low"] < found["mpjpe_mm"]["0.4"]["model"]
    assert found["model"]["name"] == "body20_25hz" and found["input"]["frames"] == 230
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.loads == [] and page.open == []
    early = found["bounds"]["conformal 0.95"]["early"]
    assert f"<td>{early['joints_missed']} of {early['joints_judged']}</td>" in text
    assert (
        f"first 0.2 s outside {100 * early['joint_miss_share']:.2f} % of {early['joints_judged']} joints" in done.stdout
    )
    assert "Who stood and now moves" in text
    assert len(page.pictures) >= 4
    rows = list(csv.DictReader((tmp_path / "errors.csv").open()))
    (model,) = [r for r in rows if (r["scope"], r["horizon_s"], r["source"]) == ("all", "0.4", "model")]
    assert float(model["mean_mm"]) == found["mpjpe_mm"]["0.4"]["model"]
    with reader.BagReader(tmp_path / "annotated.mcap") as bag:
        topics = {t.name: t.msgtype for t in bag.topics}
        counts = {t.name: t.count for t in bag.topics}
    assert topics["/markers"] == topics["/evaluation/seen_later"] == "visualization_msgs/msg/MarkerArray"
    assert (
        counts["/skeletons"] == 230
        and 60 < counts["/predictions"] < 90
        and counts["/evaluation/error_mm_at_0_4s"] > 100
    )
    # the summary alone gives the condition's answer, so one run shows the other way
    from aux_motion_core.evaluation import gate

    conditions = [gate.parse("mpjpe_mm@0.4s>1"), gate.parse("ratio.damped_pose@0.4s<2")]
    assert len(gate.check(conditions, gate.metrics(found))) == 2


def test_a_condition_that_holds_is_exit_code_1_and_names_the_value(root, walk, tmp_path):
    done = aux_motion(
        root, walk, "--out", tmp_path, "--backend", "damped_pose", "--no-annotated", "--fail-if", "mpjpe_mm@0.4s>0.1"
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "fails: mpjpe_mm@0.4s>0.1 (mpjpe_mm@0.4s is " in line


def test_conditions_that_cannot_be_checked_are_errors(root, walk, tmp_path):
    with pytest.raises(ValueError, match="no metric is called 'mpjpe'"):
        run(walk, tmp_path, "mpjpe@0.4s>1")
    assert not (tmp_path / "summary.json").exists()  # said before the work
    with pytest.raises(ValueError, match="no value is called mpjpe_mm@0.5s; there are"):
        run(walk, tmp_path, "mpjpe_mm@0.5s>1")


def test_several_bags_and_folders_are_judged_together_and_apart(walk, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    shutil.copy(walk, folder / "first.mcap")
    write(folder / "second.mcap", frames(4.0))
    (folder / "notes.txt").write_text("not a bag")
    code, said, wrong = run([folder, walk], tmp_path / "out", workers=2)
    assert (code, wrong) == (0, [])
    found = summary(tmp_path / "out")
    assert len(found["bags"]) == 3 and "all 3 bags" in said
    apart = [summary(tmp_path / "out" / name) for name in ("first", "second", "walk")]
    assert apart[0]["mpjpe_mm"] == apart[2]["mpjpe_mm"] != apart[1]["mpjpe_mm"]
    assert found["samples"]["0.4"] == sum(a["samples"]["0.4"] for a in apart)
    means = sum(a["mpjpe_mm"]["0.4"]["damped_pose"] * a["samples"]["0.4"] for a in apart) / found["samples"]["0.4"]
    assert found["mpjpe_mm"]["0.4"]["damped_pose"] == pytest.approx(means, abs=0.01)
    assert found["input"]["frames"] == 300
    assert Page((tmp_path / "out" / "report.html").read_text()).loads == [
        "first/report.html", "second/report.html", "walk/report.html",
    ]  # fmt: skip


def test_one_bag_that_cannot_be_read_does_not_stop_the_others(walk, tmp_path):
    (tmp_path / "empty.mcap").write_bytes(b"")
    code, _, wrong = run([tmp_path / "empty.mcap", walk], tmp_path / "out")
    assert code == 2 and "empty.mcap is empty" in wrong[0]
    found = summary(tmp_path / "out")
    assert len(found["bags"]) == 1 and len(found["failed_bags"]) == 1 and found["samples"]["0.4"] > 50


def test_a_folder_without_a_bag_does_not_stop_the_others(walk, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="no bag in folder"):
        run(tmp_path / "nothing", tmp_path / "out")
    code, _, wrong = run([tmp_path / "nothing", walk], tmp_path / "out")
    assert code == 2 and len(wrong) == 1 and "no bag in folder" in wrong[0]
    assert summary(tmp_path / "out")["samples"]["0.4"] > 50


def test_a_split_recording_is_one_bag_and_a_folder_of_recordings_is_several(walk, tmp_path):
    split = tmp_path / "walk"
    split.mkdir()
    for name in ("walk_0.mcap", "walk_1.mcap"):
        shutil.copy(walk, split / name)
    assert find_bags([split]) == [split]
    apart = tmp_path / "apart"
    apart.mkdir()
    for name in ("walk_1.mcap", "walk_2.mcap"):
        shutil.copy(walk, apart / name)
    assert len(find_bags([apart])) == 2  # somebody's own numbers
    (split / "other.mcap").touch()
    assert [p.name for p in find_bags([split])] == ["other.mcap", "walk_0.mcap", "walk_1.mcap"]


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_compressed_bags_are_judged(tmp_path, mode):
    store = typestore()
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/s", reader.SKELETONS, typestore=store)
        for f in frames():
            message = build_message(reader.SKELETONS, frame_fields(f))
            writer.write(connection, f.stamp_ns, store.serialize_cdr(message, reader.SKELETONS))
    code, _, wrong = run(tmp_path / "bag", tmp_path / "out")
    assert (code, wrong) == (0, []) and summary(tmp_path / "out")["samples"]["0.4"] > 50


def test_a_process_beside_gives_the_same_figures(walk, tmp_path):
    job = Job(bag=walk, out=tmp_path, values={"backend": "damped_pose"})
    found = []
    for kind in (Here, Beside):
        source = kind(job)
        try:
            part = judge(source, source.grid, quiet(PredictorConfig()), compare=True).summary()
            counters = source.end.counters
        finally:
            source.close()
        part["input"].pop("processing_ms")
        found.append((part, counters))
    assert found[0] == found[1] and found[0][1]["frames"] == 90


def test_faults_give_curves_from_nothing_to_all_of_it(walk, tmp_path):
    code, _, wrong = run(walk, tmp_path, faults="noise_mm=60,delay_ms=100", seed=3)
    assert (code, wrong) == (0, [])
    found = summary(tmp_path)["faults"]
    assert set(found["curves"]) == {"noise_mm", "delay_ms", "all"} and found["seed"] == 3
    noise = [p["mpjpe_mm"]["0.2"]["damped_pose"] for p in found["curves"]["noise_mm"]]
    assert len(noise) == 5 and noise == sorted(noise) and noise[-1] > noise[0] + 30.0
    delay = [p["mpjpe_mm"]["0.2"]["damped_pose"] for p in found["curves"]["delay_ms"]]
    assert delay == sorted(delay) and delay[-1] > 1.1 * delay[0]
    assert found["curves"]["all"][0] == found["curves"]["noise_mm"][0]
    with pytest.raises(ValueError, match="nonsense"):
        run(walk, tmp_path, faults="nonsense=1")


def test_faults_that_cannot_be_judged_leave_the_rest(walk, tmp_path, monkeypatch):
    def fails(*arguments):
        raise MemoryError("no more")

    monkeypatch.setattr("aux_motion.commands.evaluate_faults._sweep_point", fails)
    code, said, wrong = run(walk, tmp_path / "out", faults="drop=0.5")
    assert code == 2 and "damped_pose" in said
    assert len(wrong) == 1 and "faults could not be judged" in wrong[0] and "MemoryError: no more" in wrong[0]
    assert summary(tmp_path / "out")["samples"]["0.4"] > 50


def test_a_process_that_is_killed_costs_its_own_bags_only(walk, tmp_path):
    slow = write(tmp_path / "slow.mcap", frames(60.0))
    jobs = [Job(bag=b, out=tmp_path / b.stem, progress=False, values={"backend": "damped_pose"}) for b in (walk, slow)]
    done = evaluate.run(jobs, 2)
    _, result, _ = next(done)
    assert result.summary["samples"]["0.4"] > 50
    for child in multiprocessing.active_children():
        child.kill()
    _, result, line = next(done)
    assert result is None and "slow.mcap" in line and "out of memory? Use fewer --workers" in line


def processes_of(group):
    """Command line and ignored signals of what runs in a process group."""
    running = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                ignored = (stat.parent / "status").read_text().partition("SigIgn:")[2].split()[0]
                running.append(((stat.parent / "cmdline").read_text(), int(ignored, 16)))
    return running


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_a_signal_ends_the_workers_too_and_leaves_no_part(walk, root, tmp_path, how, code):
    slow = write(tmp_path / "slow.mcap", frames(60.0))
    command = [sys.executable, "-m", "aux_motion.entry", "evaluate", str(walk), str(slow), str(slow)]
    command += ["--out", str(tmp_path / "out"), "--workers", "2", "--no-progress"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=root, start_new_session=True, **streams)

    def until(condition):
        end = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    if how == "SIGINT":  # from a terminal everybody hears it, here while the workers import
        workers = []
        until(lambda: workers.extend(w for w in processes_of(process.pid) if "spawn_main" in w[0]) or workers)
        assert workers[0][1] & 1 << (signal.SIGINT - 1), "it hears Ctrl-C"
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
    else:
        until(lambda: list(tmp_path.glob("out/slow/.annotated*/*/*.mcap")))
        process.send_signal(getattr(signal, how))
    said, _ = process.communicate(timeout=20)
    assert process.returncode == code
    until(lambda: not processes_of(process.pid))
    if how != "SIGKILL":
        assert "Traceback" not in said and "Aborted" not in said and "error:" not in said
        assert not list(tmp_path.glob("out/slow/.*"))


def test_a_backend_that_does_not_answer_is_a_remark(walk, tmp_path):
    again = shutil.copy(walk, tmp_path / "again.mcap")
    code, _, wrong = run([walk, Path(again)], tmp_path / "out", values={"backend": "tensorrt"})
    assert code == 0 and len(wrong) == 1 and wrong[0].startswith("the CPU predicted, not tensorrt: ")


def test_results_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    """The network in threads, the judge in a process of its own: the same to the bit."""
    monkeypatch.setattr(evaluate, "_LONG", 10)
    people = [
        replace(f, status=np.where(np.random.default_rng(i).random(f.status.shape) < 0.1, 0, f.status).astype(np.uint8))
        for i, f in enumerate(frames(4.0, people=5))
    ]
    bag = write(tmp_path / "five.mcap", people)
    found, files = [], []
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        code, _, wrong = run(bag, out, values={}, compare=True, annotated=True, workers=workers)
        assert (code, wrong) == (0, [])
        found.append(summary(out))
        del found[-1]["input"]["processing_ms"]
        files.append((out / "errors.csv").read_bytes())
    assert found[0] == found[1] == found[2] and found[0]["samples"]["0.2"] > 300
    assert files[0] == files[1] == files[2]


def test_without_matplotlib_the_report_says_what_is_missing(walk, tmp_path, monkeypatch):
    from aux_motion import commands

    monkeypatch.delattr(commands, "report_plots", raising=False)
    monkeypatch.setitem(sys.modules, "aux_motion.commands.report_plots", None)
    code, _, _ = run(walk, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert code == 0 and "Picture missing: error over the horizon" in text and "aux_motion[plots]" in text
    assert Page(text).pictures == [] and "<table>" in text


# Bad recordings


def nobody(frame):
    empty = frame.status[:0]
    return replace(frame, person_ids=(), positions=frame.positions[:0], status=empty, confidence=empty)


def later(items, by_ns):
    return [replace(f, stamp_ns=f.stamp_ns + by_ns) for f in items]


@pytest.mark.parametrize(
    "change, says, judged",
    [
        (lambda f: [nobody(x) for x in f], "there is no skeleton in any of its 90 messages", False),
        (lambda f: f[:1], "it has one message", False),
        (lambda f: [replace(x, stamp_ns=START_NS) for x in f], "90 messages all have one stamp", False),
        (lambda f: f[:8], "record longer", False),
        (lambda f: f[:60] + later(f[60:], -(10**11)), "jump 1 times, first by -99.9", True),
        (lambda f: f[:60] + later(f[60:], 10**13), "jump 1 times, first by 10000", True),
        (lambda f: [replace(x, status=0 * x.status) for x in f], "no joint of anybody was observed", False),
        (lambda f: [replace(x, positions=1e6 * x.positions) for x in f], "positions must be in metres", False),
        (lambda f: [replace(x, stamp_ns=x.stamp_ns // 1000) for x in f], "check the unit of the stamps", False),
        (lambda f: [replace(x, frame_id="cam") if i % 3 == 2 else x for i, x in enumerate(f)], "30 of 90", True),
    ],
    ids=["nobody", "one_frame", "equal_stamps", "too_short", "clock_back", "clock_forward", "no_joint", "unit",
         "stamp_unit", "mixed_frames"],
)  # fmt: skip
def test_a_bad_recording_is_told_in_one_line_with_exit_code_2(tmp_path, change, says, judged):
    bag = write(tmp_path / "bad.mcap", change(frames()))
    code, _, wrong = run(bag, tmp_path / "out")
    assert code == 2 and len(wrong) == 1 and says in wrong[0] and "\n" not in wrong[0]
    found = summary(tmp_path / "out")
    assert found["problems"] == wrong and bool(found["samples"]) == judged
    assert "problem" in (tmp_path / "out" / "report.html").read_text()


def test_the_frame_is_that_of_the_first_people_and_missing_ones_are_named(tmp_path):
    made = frames(6.0)
    bag = write(tmp_path / "late.mcap", [replace(nobody(made[0]), frame_id=""), *made[1:]])
    assert run(bag, tmp_path / "out")[0] == 0 and summary(tmp_path / "out")["fixed_frame"] == made[0].frame_id
    bag = write(tmp_path / "none.mcap", [replace(f, frame_id="") for f in made])
    with pytest.raises(ValueError, match="none.mcap names the frame of its positions.*must set header.frame_id"):
        run(bag, tmp_path / "out")


def test_people_who_get_new_ids_all_the_time_are_judged_where_the_predictor_follows_them(tmp_path):
    bag = write(tmp_path / "new.mcap", [replace(f, person_ids=(str(k),)) for k, f in enumerate(frames())])
    code, _, wrong = run(bag, tmp_path / "out")
    assert (code, wrong) == (0, []) and summary(tmp_path / "out")["samples"]["0.4"] > 50
    code, _, (line,) = run(bag, tmp_path / "out", values={"backend": "damped_pose", "relink_within_s": 0.0})
    assert code == 2 and "90 ids in 90 messages" in line


def test_stamps_in_the_future_are_said(tmp_path):
    bag = write(tmp_path / "ahead.mcap", later(frames(), 5 * 10**9))
    code, said, wrong = run(bag, tmp_path / "out")
    assert (code, wrong) == (0, []) and "stamp_future 90" in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "stamp future" in page and "later than the recording" in page


def test_a_truncated_bag_is_judged_as_far_as_it_goes(tmp_path):
    whole = write(tmp_path / "long.mcap", frames(60.0))
    data = whole.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: int(0.8 * len(data))])
    code, _, (line,) = run(tmp_path / "cut.mcap", tmp_path / "out")
    assert code == 2 and "cut off" in line and "messages read" in line
    assert summary(tmp_path / "out")["samples"]["0.4"] > 300


def test_a_database_without_metadata_and_a_topic_with_two_types(tmp_path):
    store = typestore()
    text = store.types["std_msgs/msg/String"](data="hello")
    for storage, name in ((StoragePlugin.SQLITE3, "db"), (StoragePlugin.MCAP, "two")):
        with Writer(tmp_path / name, version=9, storage_plugin=storage) as writer:
            ours = writer.add_connection("/s", reader.SKELETONS, typestore=store)
            for f in frames():
                message = build_message(reader.SKELETONS, frame_fields(f))
                writer.write(ours, f.stamp_ns, store.serialize_cdr(message, reader.SKELETONS))
            if name == "two":
                other = writer.add_connection("/s", "std_msgs/msg/String", typestore=store)
                writer.write(other, f.stamp_ns, store.serialize_cdr(text, "std_msgs/msg/String"))
    (tmp_path / "db" / "metadata.yaml").unlink()
    code, _, wrong = run(tmp_path / "db", tmp_path / "out")
    assert (code, wrong) == (0, []) and summary(tmp_path / "out")["samples"]["0.4"] > 50
    code, _, (line,) = run(tmp_path / "two", tmp_path / "out2")
    assert code == 2 and "another type (std_msgs/msg/String)" in line
    assert summary(tmp_path / "out2")["samples"]["0.4"] > 50


def test_unknown_types_and_foreign_topics_list_what_there_is(root, tmp_path):
    store = typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        message = store.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, 1, store.serialize_cdr(message, "std_msgs/msg/String"))
    done = aux_motion(root, tmp_path / "bag", "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "SkeletonArray" in line and "/chatter [std_msgs/msg/String]" in line


def test_a_full_disk_is_told_and_the_figures_are_said_all_the_same(root, walk, tmp_path):
    """A limit on the size of files acts as a full disk does: a write fails in the middle."""

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    done = aux_motion(root, walk, "--out", tmp_path / "out", "--backend", "damped_pose", preexec_fn=small_files)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines and all("cannot write" in line and "free some space" in line for line in lines)
    assert any("summary.json" in line for line in lines)
    assert "zero_velocity" in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_where_nothing_can_be_written_is_said_first(walk, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write"):
        run(walk, tmp_path / "file" / "eval", annotated=True)
    code, said, wrong = run(walk, tmp_path / "file" / "eval")
    assert code == 2 and "damped_pose" in said, "the figures are there all the same"
    assert len(wrong) == 3 and all("cannot write" in line for line in wrong)


def test_results_are_not_written_over_the_recording(walk, tmp_path):
    folder = tmp_path / "bag"
    folder.mkdir()
    for name in ("bag_0.mcap", evaluate.ANNOTATED):
        shutil.copy(walk, folder / name)
    with pytest.raises(ValueError, match="would be written over bag .*annotated.mcap: choose another --out"):
        run(folder / evaluate.ANNOTATED, folder)
    (folder / evaluate.ANNOTATED).unlink()
    with pytest.raises(ValueError, match="would be written over bag .*bag: choose another --out"):
        run(folder, folder)
    assert [p.name for p in folder.iterdir()] == ["bag_0.mcap"]


def test_a_trackers_own_bag_is_judged(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(root / "tests" / "core")
    from support import tracker_messages as make

    store, kind = typestore(), "visualization_msgs/msg/MarkerArray"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/body_tracking_data", kind, typestore=store)
        for k in range(60):
            ns = START_NS + k * 66_666_667
            message = make.azure_kinect({1: make.person("k4a32", k / 15)}, ns, frame="floor")
            writer.write(connection, ns + 80_000_000, store.serialize_cdr(message, kind))
    with pytest.raises(ValueError, match="/body_tracking_data with --tracker azure_kinect"):
        run(tmp_path / "bag", tmp_path / "out")
    code, _, wrong = run(tmp_path / "bag", tmp_path / "out", tracker="azure_kinect")
    found = summary(tmp_path / "out")
    assert (code, wrong) == (0, []) and found["samples"]["0.4"] > 30 and found["fixed_frame"] == "floor"
    assert found["input"]["log_minus_stamp_ms"]["least"] == pytest.approx(80.0, abs=0.1)
