# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Backends that cannot work where the node runs: it runs on, and its diagnostics say so."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from support.node_harness import NodeProcess, Probe, private_domain  # noqa: E402

from aux_motion_core.inference import cuda  # noqa: E402
from aux_motion_core.types import Reason, TrackState  # noqa: E402


@pytest.fixture
def node(request, tmp_path):
    """A node with the backend that the test names, without a GPU, and a probe."""
    try:
        cuda.Gpu().close()
    except cuda.GpuError:
        pass
    else:
        pytest.skip("a GPU is here: nothing falls back")
    domain = private_domain()
    parameters = {"fixed_frame": "world", "backend": request.param, "autostart": True}
    node, probe = NodeProcess(domain, tmp_path / "node.log", **parameters), Probe(domain)
    probe.watched.append(node)
    try:
        probe.connect()
        yield node, probe
    finally:
        probe.close()
        status = node.stop()
    assert status == 0


def tracked(probe):
    people = [p for m in probe.predictions for p in m.people]
    return next((p for p in people if p.state == TrackState.TRACKING), None)


@pytest.mark.parametrize("node", ["tensorrt_rtx"], indirect=True)
def test_without_a_gpu_the_cpu_predicts_and_the_diagnostics_say_why(node):
    process, probe = node
    probe.walk(time.time_ns())
    person = probe.until(lambda: tracked(probe), "a person who is tracked")  # trouble is not in the person's state
    assert person.reasons & Reason.BACKEND_FALLBACK
    values = probe.until(lambda: probe.values("prediction"), "diagnostics")
    probe.until(lambda: int(probe.values("prediction").get("answered_by_cpu", 0)) > 0, "counters")
    status = probe.diagnostics["prediction"]
    assert status.level == DiagnosticStatus.WARN and status.message.startswith("the CPU predicts: ")
    assert "pip install" in values["fallback"] or "no GPU" in values["fallback"] or "PyCUDA" in values["fallback"]
    assert values["backend"] == "onnx"
    assert "the CPU predicts: " in process.output()


@pytest.mark.parametrize("node", ["auto"], indirect=True)
def test_auto_without_a_gpu_is_no_trouble_and_survives_being_deactivated(node):
    process, probe = node
    assert probe.transition("deactivate") and probe.transition("activate")
    probe.predictions.clear()
    probe.walk(time.time_ns())
    person = probe.until(lambda: tracked(probe), "a person who is tracked")
    assert not person.reasons & Reason.BACKEND_FALLBACK
    status = probe.until(lambda: probe.diagnostics.get("prediction"), "diagnostics")
    probe.until(lambda: probe.diagnostics["prediction"].message == "predicting", "the active node's diagnostics")
    assert probe.diagnostics["prediction"].level == DiagnosticStatus.OK and status is not None
    assert probe.values("prediction")["backend"] == "onnx" and probe.values("prediction")["why"]


def test_trouble_with_a_gpu_ends_in_a_line_and_a_running_node(tmp_path):
    """On a stand-in for driver and runtime: too little memory, another GPU's engine, more people, hung, lost."""
    domain, state, log = private_domain(), tmp_path / "state", tmp_path / "node.log"
    state.write_text("full")
    script = Path(__file__).resolve().parents[2] / "support" / "stand_in_node.py"
    engines = {name: tmp_path / name for name in ("here", "other")}
    values = {"fixed_frame": "world", "backend": "tensorrt_rtx", "autostart": "true", "engine_dir": engines["here"]}
    given = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, str(script), str(state), str(tmp_path), "--ros-args", *given]
    node, probe = NodeProcess(domain, log, command=command), Probe(domain)
    probe.watched.append(node)

    def said(text: str) -> dict[str, str]:
        def found() -> bool:
            probe.send(time.time_ns(), ids)
            return text in probe.diagnostics.get("prediction", DiagnosticStatus()).message

        probe.until(found, f"diagnostics with {text!r}")
        probe.predictions.clear()
        probe.walk(time.time_ns(), ids=ids)
        person = probe.until(lambda: tracked(probe), "a person who is tracked")
        fallback = bool(person.reasons & Reason.BACKEND_FALLBACK)
        assert fallback == (text != "predicting"), "trouble is a reason beside the state"
        return probe.values("prediction")

    def again(**changes: object) -> None:
        assert probe.transition("deactivate")
        if changes:
            assert probe.transition("cleanup")
            for name, value in changes.items():
                assert probe.set_parameter(name, value).successful
            assert probe.transition("configure")
        assert probe.transition("activate")
        probe.diagnostics.clear()

    try:
        ids = ("1",)
        probe.connect()
        assert "MiB are free" in said("the CPU predicts: too little GPU memory: expected ")["fallback"]
        state.write_text("")
        again(engine_dir=str(engines["other"]))
        assert f"--out {engines['other']}" in said("GPU: expected sm89, it is for sm86")["fallback"]
        again(engine_dir=str(engines["here"]))
        values = said("predicting")
        assert values["backend"] == "tensorrt_rtx" and values["engine"].startswith(str(engines["here"]))
        assert "fallback" not in values and float(values["load_s"]) >= 0.0
        ids = tuple("12345")  # more than the engine takes
        said("predicting")
        probe.until(lambda: int(probe.values("prediction").get("batches_split", 0)) > 0, "split batches")
        state.write_text("hangs")
        assert said("the CPU predicts: the GPU did not answer within 20 ms")["backend"] == "tensorrt_rtx"
        state.write_text("")
        said("predicting")  # it answers again
        state.write_text("lost")
        assert int(said("the CPU predicts: the GPU is lost")["gpu_lost"]) == 1
        state.write_text("")
        again()
        said("predicting")
        assert "Traceback" not in node.output()
        assert node.stop() == 0
    finally:
        probe.close()
