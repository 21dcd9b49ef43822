# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the launch files share. They run in the interpreter of `ros2`, which may have neither numpy 2 nor pydantic:
nothing here may import more than launch, launch_ros, PyYAML and the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from aux_motion.nodes.parameter_files import ParameterFileError, node_name, read_sections, values_for

#: With these the topics of TF are those of the node's namespace, as on every robot in a namespace.
_TF_REMAPPINGS = [("/tf", "tf"), ("/tf_static", "tf_static")]
#: Time until a node that died is started again, seconds.
_RESPAWN_S = 2.0

#: (name, default, choices or None for any, what it is)
Argument = tuple[str, str, "list[str] | None", str]


def declare(arguments: Iterable[Argument]) -> list[Any]:
    """The actions that declare launch arguments."""
    return [
        DeclareLaunchArgument(name, default_value=default, choices=choices, description=what)
        for name, default, choices, what in arguments
    ]


def values(context: Any, arguments: Iterable[Argument]) -> dict[str, str]:
    """What was given for launch arguments, or their defaults."""
    return {name: LaunchConfiguration(name).perform(context) for name, _, _, _ in arguments}


def share() -> Path:
    """Where launch files, configuration and models of this package are installed."""
    return Path(get_package_share_directory("aux_motion"))


def existing_file(argument: str, given: str, default: Path | None = None, what: str = "a ROS parameter file") -> str:
    """Path of a file that a launch argument names.

    Raises:
        RuntimeError: there is none; one line.
    """
    path = Path(given).expanduser() if given else default
    if path is None or not path.is_file():
        said = f"{argument}:={given} does not exist" if given else f"{argument}:= is required"
        raise RuntimeError(f"{said}: give the path of {what}")
    return str(path)


def switch(text: str) -> bool:
    """Of a launch argument that is true or false, on or off."""
    return text in ("true", "on")


def node(name: str, given: dict[str, str], parameters: list[Any]) -> Node:
    """A node of this package, with what every one of them takes.

    Args:
        name: of node and executable.
        given: namespace, namespaced_tf, respawn and log_level.
        parameters: files and dictionaries, later ones winning.
    """
    return Node(
        package="aux_motion",
        executable=name,
        name=name,
        namespace=given["namespace"],
        parameters=[p for p in parameters if p],
        remappings=_TF_REMAPPINGS if switch(given["namespaced_tf"]) else [],
        ros_arguments=["--log-level", given["log_level"]] if given["log_level"] else [],
        respawn=switch(given["respawn"]),
        respawn_delay=_RESPAWN_S,
        output="screen",
        emulate_tty=True,
    )


def rviz(given: dict[str, str], fixed_frame: str) -> Node:
    """RViz with cell.rviz, in a frame.

    Args:
        given: namespace, namespaced_tf and use_sim_time.
        fixed_frame: to show all in; empty: that of the file.

    Raises:
        RuntimeError: RViz is not installed; one line.
    """
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        raise RuntimeError("rviz:=true, but rviz2 is not installed: apt install ros-$ROS_DISTRO-rviz2") from None
    return Node(
        package="rviz2",
        executable="rviz2",
        name="aux_motion_rviz",
        namespace=given["namespace"],
        arguments=["-d", str(share() / "config" / "cell.rviz"), *(["-f", fixed_frame] if fixed_frame else [])],
        parameters=[{"use_sim_time": switch(given["use_sim_time"])}],
        remappings=_TF_REMAPPINGS if switch(given["namespaced_tf"]) else [],
        output="screen",
    )


def include(file: str, arguments: dict[str, str]) -> IncludeLaunchDescription:
    """Another launch file of this package."""
    source = PythonLaunchDescriptionSource(str(share() / "launch" / file))
    return IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))


def parameter(file: str, node: str, namespace: str, name: str) -> Any:
    """One parameter of a node in a ROS parameter file; None: it does not say.

    Raises:
        RuntimeError: the file cannot be read; one line.
    """
    try:
        found = values_for(read_sections(Path(file)), node_name(node, namespace))
    except ParameterFileError as error:
        raise RuntimeError(str(error)) from None
    return (found or {}).get(name)
