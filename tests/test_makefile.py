# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `make` lets through to the demo and the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LEFT_BY_A_SOURCED_ROS = {
    "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
    "CMAKE_PREFIX_PATH": "/opt/ros/jazzy",
    "COLCON_PREFIX_PATH": "/home/robot/ws/install",
    "CYCLONEDDS_URI": "file:///etc/robot.xml",
    "FASTRTPS_DEFAULT_PROFILES_FILE": "/etc/robot.xml",
    "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib",
    "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
    "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
    "ROS_DISCOVERY_SERVER": "192.168.0.5:11811",
    "ROS_DISTRO": "jazzy",
    "ROS_DOMAIN_ID": "0",
    "ROS_STATIC_PEERS": "192.168.0.5",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
}


def environment_of_a_recipe(root: Path, *arguments: str, **more: str) -> dict[str, str]:
    """The environment that commands of the Makefile see when a ROS was sourced before."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    env = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], **LEFT_BY_A_SOURCED_ROS, **more}
    command = ["make", "--silent", "--no-print-directory", "--eval", "show: ; @env -0", "show", *arguments]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)


def test_nothing_of_a_sourced_ros_comes_through(root: Path) -> None:
    seen = environment_of_a_recipe(root)
    own = {"ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"}
    assert not (set(LEFT_BY_A_SOURCED_ROS) - own) & set(seen)


def test_the_domain_is_private_and_local(root: Path) -> None:
    domains = set()
    for _ in range(6):
        seen = environment_of_a_recipe(root)
        assert seen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
        domains.add(int(seen["ROS_DOMAIN_ID"]))
    assert all(1 <= domain <= 101 for domain in domains)
    assert len(domains) > 1


@pytest.mark.parametrize("given", ["ROS_DOMAIN_ID=0", "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET"])
def test_the_command_line_cannot_open_it_either(root: Path, given: str) -> None:
    seen = environment_of_a_recipe(root, given)
    assert seen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert seen["ROS_DOMAIN_ID"] != "0"


def test_a_domain_can_be_chosen(root: Path) -> None:
    assert environment_of_a_recipe(root, AUX_MOTION_DOMAIN_ID="77")["ROS_DOMAIN_ID"] == "77"
