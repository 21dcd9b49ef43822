# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A cell whose nodes Nav2's lifecycle manager configures and activates: docs/planners.md.

    ros2 launch examples/nav2/managed_cell.launch.py fixed_frame:=map robot:=$PWD/config/robot_example.yaml

It needs apt's ros-$ROS_DISTRO-nav2-lifecycle-manager. All arguments of cell.launch.py are taken.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from aux_motion.nodes import launching

#: In the order in which they are brought up; they are taken down in the other.
NODES = ["aux_motion_predictor", "aux_motion_ssm"]


def managed(context):
    """The cell, whose nodes wait, and their manager."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ("namespace", "robot")}
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_cell",
        namespace=given["namespace"],
        # bond_timeout 0.0: the nodes have no bond
        parameters=[{"autostart": True, "node_names": NODES if given["robot"] else NODES[:1], "bond_timeout": 0.0}],
        output="screen",
    )
    return [launching.include("cell.launch.py", {"autostart": "false"}), manager]


def generate_launch_description():
    """Called by `ros2 launch`."""
    declared = [
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes"),
        DeclareLaunchArgument("robot", default_value="", description="Robot description; empty: no monitor"),
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=managed)])
