# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Who may import whom, looked at in fresh processes."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest


def modules(root: Path, package: str) -> list[str]:
    """Names of all modules of a package, without importing them."""
    found = [package]
    for info in pkgutil.iter_modules([str(root / package)]):
        name = f"{package}.{info.name}"
        found += modules(root, name.replace(".", "/")) if info.ispkg else [name]
    return [name.replace("/", ".") for name in found]


def loaded_after(root: Path, names: list[str]) -> set[str]:
    """Top-level modules in sys.modules after importing `names` in a fresh process."""
    code = "import sys, importlib\n" + "".join(f"importlib.import_module({n!r})\n" for n in names)
    code += "print('\\n'.join({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_core_imports_neither_rclpy_nor_torch(root: Path) -> None:
    names = modules(root, "aux_motion_core")
    assert "aux_motion_core.skeleton" in names and len(names) > 5
    loaded = loaded_after(root, names)
    assert "numpy" in loaded
    assert not loaded & {"rclpy", "torch", "aux_motion", "training", "rosidl_runtime_py", "aux_motion_msgs"}


def test_core_without_a_backend_stays_light(root: Path) -> None:
    loaded = loaded_after(root, ["aux_motion_core.predictor"])
    assert not loaded & {"onnxruntime", "rosbags", "cv2", "mediapipe", "matplotlib"}


def test_ros_side_imports_no_torch(root: Path) -> None:
    pytest.importorskip("rclpy")
    loaded = loaded_after(root, ["aux_motion.nodes.predictor_node", "aux_motion.cli"])
    assert "rclpy" in loaded
    assert not loaded & {"torch", "training", "mediapipe", "matplotlib"}


def test_command_line_starts_without_ros(root: Path) -> None:
    assert not loaded_after(root, ["aux_motion.cli"]) & {"rclpy", "torch", "onnxruntime", "cv2", "matplotlib"}


def test_training_imports_no_rclpy(root: Path) -> None:
    pytest.importorskip("torch")
    names = modules(root, "training")
    assert "training.model" in names
    assert not loaded_after(root, names) & {"rclpy", "aux_motion", "aux_motion_msgs"}
