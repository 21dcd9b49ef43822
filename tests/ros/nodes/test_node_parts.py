# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Parts of the node without a process: frames, parameters, conversion, diagnostics."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion.nodes import parameters  # noqa: E402
from aux_motion.nodes.conversion import frame_from_message, prediction_message, skeleton_message  # noqa: E402
from aux_motion.nodes.diagnostics import Diagnostics, Rolling  # noqa: E402
from aux_motion.nodes.parameters import NodeParameters, ParameterError  # noqa: E402
from aux_motion.nodes.transform_listener import FrameError, Frames, tf_message_type  # noqa: E402
from aux_motion_core.inference.factory import make_backend  # noqa: E402
from aux_motion_core.predictor import Predictor  # noqa: E402
from aux_motion_core.types import SkeletonFrame  # noqa: E402
from aux_motion_core.wire.messages import batch_from_message  # noqa: E402
from aux_motion_core.wire.views import PredictionView  # noqa: E402

QUARTER_TURN = (1.0, 2.0, 3.0, 0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))


def skeleton(frame_id: str = "camera", stamp_ns: int = 10**9, covariance: np.ndarray | None = None):
    positions = np.random.default_rng(0).normal(size=(2, 20, 3))
    return SkeletonFrame(
        stamp_ns=stamp_ns,
        frame_id=frame_id,
        person_ids=("a", "b"),
        positions=positions,
        status=np.ones((2, 20), np.uint8),
        confidence=np.ones((2, 20), np.float32),
        covariance=covariance,
    )


def test_without_tf_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    with pytest.raises(ImportError, match="install TF .apt install") as missing:
        tf_message_type()
    with pytest.raises(FrameError) as error:
        Frames("world", no_tf=str(missing.value)).to_fixed(skeleton("moving_camera"))
    line = str(error.value)
    assert "\n" not in line
    for word in ("moving_camera", "world", "install TF", "static_transform_frame"):
        assert word in line


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ["fixed_frame is required"]),
        ({"fixed_frame": ""}, ["fixed_frame is required"]),
        ({"fixed_frame": "/"}, ["parameter fixed_frame: expected the name of a frame, came '/'"]),
        ({"fixed_frame": "map", "cpu_affinity": "x"}, ["parameter cpu_affinity: cpu_affinity 'x': expected numbers"]),
        ({"fixed_frame": "map", "threads": -1}, ["threads", "greater than or equal to 0", "-1"]),
        ({"fixed_frame": "map", "static_transform": [0.0] * 7}, ["static_transform", "length 0"]),
        ({"fixed_frame": "map", "lost_after_s": 0.1}, ["lost_after_s", "stale_after_s"]),
        ({"fixed_frame": "map", "trheads": 1}, ["trheads"]),
        ({"fixed_frame": "map", "threads": -1, "heartbeat_hz": 0.0}, ["threads", "heartbeat_hz"]),
    ],
)
def test_wrong_parameters_in_one_line(values, words):
    with pytest.raises(ParameterError) as error:
        parameters.validate(values)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_every_parameter_has_a_description_and_numbers_have_a_range():
    for name, info in NodeParameters.model_fields.items():
        assert info.description and len(info.description) > 20, name
        if info.annotation in (int, float):
            assert any(hasattr(m, "ge") for m in info.metadata), name
            assert any(hasattr(m, "le") for m in info.metadata), name


def test_a_batch_survives_the_message():
    predictor = Predictor(make_backend("damped_pose"), parameters.validate({"fixed_frame": "world"}), "world")
    frame = skeleton("world")
    for k in range(10):
        predictor.add(skeleton("world", stamp_ns=10**9 + k * 40_000_000))
    batch = predictor.predict(10**9 + 9 * 40_000_000 + 5_000_000)
    back = batch_from_message(prediction_message(batch))
    assert [p.person_id for p in back.people] == ["a", "b"]
    for sent, came in zip(batch.people, back.people, strict=True):
        np.testing.assert_allclose(came.mean, sent.mean, atol=1e-6)
        assert (came.state, came.reasons, came.stamp_ns) == (sent.state, sent.reasons, sent.stamp_ns)
    view = PredictionView(prediction_message(batch))["a"]
    np.testing.assert_allclose(view.at(view.stamp_ns), batch.people[0].recovered, atol=1e-6)
    again = frame_from_message(skeleton_message(frame))
    np.testing.assert_allclose(again.positions, frame.positions, atol=1e-6)


def test_diagnostics_tell_clocks_apart_and_forget_old_errors(monkeypatch):
    report = Diagnostics("node")
    report.lifecycle = "active"
    report.arrived()
    report.newest_stamp_ns = 10**9
    report.clock.take(skeleton("world", 10**9), 100 * 10**9)
    late = report.report(now_ns=100 * 10**9).status[0]
    assert "99.0 s behind" in late.message and "use_sim_time" in late.message
    assert {pair.key: pair.value for pair in late.values}["stamp_other_clock"] == "1"
    for second in range(101, 107):
        report.clock.take(skeleton("world", second * 10**9), second * 10**9 + 10**7)
    assert report.report(now_ns=10**9 + 10**7).status[0].message == "receiving"
    report.bad_messages.note("bad message: x")
    assert report.report(now_ns=10**9).status[0].message == "bad message: x"
    later = time.monotonic() + 6.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    report.arrived()
    assert report.report(now_ns=10**9).status[0].message == "receiving"
    assert report.bad_messages.last == "bad message: x", "but it is still named"


def test_quantiles_of_the_last_values():
    rolling = Rolling(size=100)
    assert rolling.quantiles_ms() == {}
    for value in [10.0] * 50 + [0.001] * 99 + [0.1]:
        rolling.add(value)
    found = rolling.quantiles_ms()
    assert found["p50"] == pytest.approx(1.0) and found["p95"] == pytest.approx(1.0)
    assert 1.0 < found["p99"] < 3.0


def test_the_page_of_the_parameters_is_that_of_the_models(root):
    from tools import parameters_doc

    assert (root / "docs" / "parameters.md").read_text() == parameters_doc.page(), "run: python tools/parameters_doc.py"


def test_who_logs_is_found_without_a_look_at_every_module() -> None:
    code = (
        "import inspect; from rclpy.impl import rcutils_logger; from aux_motion.nodes import predictor_node, spinning\n"
        "spinning.name_callers()\n"
        "for function in (rcutils_logger._find_caller, predictor_node.PredictorNode._describe):\n"
        "    print(inspect.getmodule(function.__code__).__name__)\n"
        "print(len(inspect._filesbymodname))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    expected = ["rclpy.impl.rcutils_logger", "aux_motion.nodes.predictor_node", "0"]
    assert done.stdout.split("\n")[:3] == expected, done.stderr
