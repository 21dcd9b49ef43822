"""Backends that cannot work where the node runs: it runs on, and its diagnostics say so."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from node_harness import NodeProcess, Probe, private_domain  # noqa: E402

from aux_motion_core.backends import cuda  # noqa: E402
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
    probe.connect()
    yield node, probe
    probe.close()
    assert node.stop() == 0


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
