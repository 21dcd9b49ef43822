# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The command line: results where asked, errors in one line with exit code 2 and no traceback."""

import json
import subprocess
import sys

import pytest
import typer
from rosbags.rosbag2 import Writer

from aux_motion import cli
from aux_motion.nodes.parameters import NodeParameters
from aux_motion.nodes.ssm_parameters import SsmParameters
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields


def aux_motion(root, *arguments):
    command = [sys.executable, "-m", "aux_motion.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100)


def in_this_process(monkeypatch, capfd, *arguments):
    """The same without a new process, for one case of many."""
    monkeypatch.setattr(sys, "argv", ["aux-motion", *map(str, arguments)])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capfd.readouterr()
    return subprocess.CompletedProcess(sys.argv, ended.value.code, said.out, said.err)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "walk.mcap"
    with BagWriter(path) as writer:
        for frame in synthetic.frames(1, 3.0):
            writer.write("/skeletons", frame, frame.stamp_ns)
    return path


def foreign(path):
    """A bag whose joints are named as somebody else names them."""
    store = typestore()
    fields = {**frame_fields(synthetic.frames(1, 0.1)[0]), "joint_names": ["Hips"] * 20}
    with Writer(path, version=9) as writer:
        connection = writer.add_connection("/skeletons", reader.SKELETONS, typestore=store)
        message = build_message(reader.SKELETONS, fields)
        writer.write(connection, 1, store.serialize_cdr(message, reader.SKELETONS))


def test_predict_writes_a_bag_and_a_report(root, bag, tmp_path):
    out, report = tmp_path / "build" / "p.mcap", tmp_path / "build" / "p.json"
    done = aux_motion(root, "predict", bag, "--out", out, "--json", report, "--backend", "damped_pose")
    assert done.returncode == 0, done.stderr
    assert "damped_pose" in done.stdout and "zero_velocity" in done.stdout
    assert sum(1 for _ in reader.read_predictions(out)) == 90
    content = json.loads(report.read_text())
    assert content["frames_in"] == 90 and content["predictions"] > 60
    assert set(content["mpjpe_mm"]["0.4"]) >= {"damped_pose", "zero_velocity", "constant_velocity"}


def test_the_models_report_of_the_sample_is_json(root, tmp_path, monkeypatch, capfd):
    (sample,), report = (root / "samples").glob("*.mcap"), tmp_path / "p.json"
    done = in_this_process(monkeypatch, capfd, "predict", sample, "--json", report, "--no-baselines")
    assert done.returncode == 0 and f"written: {report}" in done.stdout, done.stderr
    content = json.loads(report.read_text())
    assert content["frames_in"] == 230 and content["counters"] and "model" in content["mpjpe_mm"]["0.4"]
    assert list(tmp_path.iterdir()) == [report]


def test_predict_says_that_the_gpu_did_not_answer(bag, monkeypatch, capfd):
    """No engine was built for the shipped model, on whatever machine."""
    done = in_this_process(monkeypatch, capfd, "predict", bag, "--backend", "tensorrt", "--no-baselines")
    said = [line for line in done.stderr.splitlines() if line.startswith("aux-motion: ")]
    assert done.returncode == 0 and len(said) == 1, done.stderr
    assert said[0].startswith("aux-motion: the CPU predicted, not tensorrt: ")


def test_predict_takes_the_nodes_parameter_file(root, bag):
    done = aux_motion(
        root, "predict", bag, "--params", root / "config" / "predictor.yaml", "--backend", "zero_velocity",
        "--no-baselines",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "damped_pose" not in done.stdout


def test_errors_are_one_line_and_exit_code_2(root, bag, tmp_path, monkeypatch, capfd):
    truncated = tmp_path / "cut.mcap"
    truncated.write_bytes(bag.read_bytes()[:3000])
    with BagWriter(tmp_path / "empty.mcap"):
        pass
    foreign(tmp_path / "foreign")
    (tmp_path / "bad.yaml").write_text("/**: {ros__parameters: {backend: zero_velocity, max_gap_s: -1.0}}\n")
    cases = [
        (("predict", truncated), ["cut.mcap", "cut off"]),
        (("predict", tmp_path / "none.mcap"), ["no such bag", "none.mcap"]),
        (("predict", tmp_path / "empty.mcap"), ["empty.mcap", "no topics at all"]),
        (("predict", tmp_path / "foreign"), ["unknown joint names", "'Hips'", "body20"]),
        (("predict", bag, "--topic", "/other"), ["/other", "/skeletons"]),
        (("predict", bag, "--backend", "zero_velocity", "--out", tmp_path / "p.bag"), [".mcap"]),
        (("predict", bag, "--backend", "clairvoyant"), ["clairvoyant"]),
        (("predict", bag, "--model", tmp_path / "nomodel"), ["nomodel"]),
        (("predict", bag, "--params", tmp_path / "bad.yaml"), ["max_gap_s"]),
        (("predict", bag, "--params", tmp_path / "none.yaml"), ["none.yaml"]),
        (("bench", "--people", "1,x"), ["--people", "1,x"]),
        (("evaluate", bag, "--out", tmp_path / "bad.yaml"), ["bad.yaml is a file: expected a folder"]),
        (("export", bag, "--csv", tmp_path), [str(tmp_path), "is a folder", "name a file"]),
        (("calibrate-cameras", bag), ["two or more trackers", "got 1", "--topics"]),
    ]
    for k, (arguments, words) in enumerate(cases):
        done = aux_motion(root, *arguments) if k == 0 else in_this_process(monkeypatch, capfd, *arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("aux-motion: error: "), (arguments, done.stderr)
        assert all(word in lines[0] for word in words), (arguments, lines[0])


def test_every_command_has_help(root):
    listed = aux_motion(root, "--help").stdout
    for command in "run track predict evaluate compile play record fault-inject bench soak ssm".split():
        assert command in listed
    assert "..." not in listed.partition("Commands:")[2], "a summary that is cut off: give the command a short_help"


def test_every_command_finds_shipped_bags():
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    bags = [(name, o) for name, c in commands.items() for o in c.params if o.name in ("bag", "bags")]
    assert len(bags) >= 7
    assert [name for name, option in bags if option.callback is None] == []


def test_one_option_has_one_description():
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    bags = [commands[name] for name in ("predict", "evaluate", "learn", "view", "describe", "export")]
    for name in ("topic", "tracker", "joints", "model", "namespace", "fixed_frame", "backend", "threads", "progress"):
        told = {o.help for command in bags for o in command.params if o.name == name}
        assert len(told) == 1, (name, told)


def test_wrong_options_are_refused(root, bag):
    done = aux_motion(root, "predict", bag, "--thread", "2")
    assert done.returncode == 2 and "Traceback" not in done.stderr and "--thread" in done.stderr


def test_lists_without_names_are_refused(monkeypatch, capfd):
    for option in ("--input-topic", "--joints"):
        done = in_this_process(monkeypatch, capfd, "run", "--fixed-frame", "map", option, ",")
        assert done.returncode == 2 and f"{option}: ',': expected names" in done.stderr, done.stderr


def test_a_misspelled_parameter_is_refused(root):
    done = aux_motion(root, "run", "--fixed-frame", "map", "-p", "covrage_level:=0.9")
    assert done.returncode == 2 and "covrage_level" in done.stderr and "Traceback" not in done.stderr
    assert "did you mean coverage_level?" in " ".join(done.stderr.split())


def test_an_option_that_is_not_given_never_overrides_the_parameter_file():
    parameters = set(NodeParameters.model_fields) | set(SsmParameters.model_fields) | {"model"}
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    with_file = {name: c for name, c in commands.items() if any("params" in (o.name or "") for o in c.params)}
    assert {"predict", "evaluate", "learn", "view"} <= set(with_file)
    for name, command in with_file.items():
        for option in command.params:
            if option.name in parameters:
                assert not option.default, f"{name} {option.opts[0]} has the default {option.default!r}"
