# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Starts the speed and separation monitor: `ros2 launch aux_motion ssm.launch.py robot:=my_robot.yaml`.

It takes `occupancy` of the predictor (parameter publish_occupancy). Not a certified safety function: docs/planners.md.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.parameter_descriptions import ParameterValue

from aux_motion.nodes import launching
from aux_motion.nodes.parameter_files import read_sections

BOOLEAN = ["", "true", "false"]
#: (name, default, choices or None for any, what it is); "" leaves the file's value.
ARGUMENTS = (
    ("robot", "", None, "Required. Robot description (YAML): capsules and stopping data"),
    ("ssm_params_file", "", None, "ROS parameter file of the monitor; empty: the package's ssm.yaml"),
    ("namespace", "", None, "Namespace of the node and its topics"),
    ("autostart", "", BOOLEAN, "Configure and activate the node at once; false: a lifecycle manager does it"),
    ("use_sim_time", "", BOOLEAN, "Take the time from /clock"),
    ("namespaced_tf", "false", ["true", "false"], "TF is on tf and tf_static of the namespace, not on /tf"),
    ("respawn", "false", ["true", "false"], "Start the node again when it died"),
    ("log_level", "", ["", "debug", "info", "warn", "error", "fatal"], "Least severity that is logged"),
)


def names(path):
    """Parameters that a file gives to whatever node."""
    return {name for section in read_sections(Path(path)).values() for name in section}


def refuse_the_predictors(context, own, predictors):
    """params_file was the monitor's until 0.1.0: a file that is meant for it must not be passed over."""
    given = context.launch_configurations.get("params_file", "")
    if given and Path(given).is_file() and names(given) & (names(own) - names(predictors)):
        raise RuntimeError(f"params_file:={given} has parameters of the monitor: its file is ssm_params_file:=")


def monitor(context):
    """The node, with the arguments that were given."""
    config, given = launching.share() / "config", launching.values(context, ARGUMENTS)
    robot = launching.existing_file("robot", given["robot"], None, "a robot description (YAML), as robot_example.yaml")
    params_file = launching.existing_file("ssm_params_file", given["ssm_params_file"], config / "ssm.yaml")
    if not given["ssm_params_file"]:
        refuse_the_predictors(context, params_file, config / "predictor.yaml")
    overrides = {"robot": ParameterValue(robot, value_type=str)}
    for name in ("autostart", "use_sim_time"):
        if given[name]:
            overrides[name] = launching.switch(given[name])
    return [launching.node("aux_motion_ssm", given, [params_file, overrides])]


def generate_launch_description():
    """Called by `ros2 launch`."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=monitor)])
