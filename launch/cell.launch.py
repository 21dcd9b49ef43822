# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Starts a cell: predictor, monitor and RViz.

    ros2 launch aux_motion cell.launch.py fixed_frame:=map tracker:=zed robot:=my_robot.yaml rviz:=true

The monitor starts where `robot` is given: it must not guess what stands beside people. All arguments of
predict.launch.py and ssm.launch.py are taken too. Include it in a group of its own (`GroupAction([...],
scoped=True)`) for each of several cells.
"""

from launch import LaunchDescription
from launch.actions import LogInfo, OpaqueFunction

from aux_motion.nodes import launching

#: (name, default, choices or None for any, what it is); all others are those of predict.launch.py and ssm.launch.py.
ARGUMENTS = (
    ("fixed_frame", "", None, "Frame of the predictions: not accelerating, z up. Required, here or in params_file"),
    ("robot", "", None, "Robot description (YAML) of the monitor; empty: no monitor"),
    ("namespace", "", None, "Namespace of all nodes and their topics"),
    ("namespaced_tf", "false", ["true", "false"], "TF is on tf and tf_static of the namespace, not on /tf"),
    ("publish_occupancy", "true", ["true", "false"], "Publish occupancy, which the monitor takes"),
    ("rviz", "false", ["true", "false"], "Show people, predictions, occupancy, swept volume and robot in RViz"),
    ("respawn", "false", ["true", "false"], "Start a node again when it died"),
    ("use_sim_time", "", ["", "true", "false"], "Take the time from /clock"),
    ("params_file", "", None, "ROS parameter file of the predictor; empty: the package's predictor.yaml"),
    ("ssm_params_file", "", None, "ROS parameter file of the monitor; empty: the package's ssm.yaml"),
    ("log_level", "", ["", "debug", "info", "warn", "error", "fatal"], "Least severity that is logged"),
)
PREDICTOR = ("fixed_frame", "publish_occupancy", "params_file")
MONITOR = ("robot", "ssm_params_file")
BOTH = ("namespace", "namespaced_tf", "respawn", "use_sim_time", "log_level")


def frame_of(given):
    """The fixed frame, as the predictor will have it."""
    default = str(launching.share() / "config" / "predictor.yaml")
    file = given["params_file"] or default
    name = "fixed_frame"
    return given[name] or launching.parameter(file, "aux_motion_predictor", given["namespace"], name) or ""


def cell(context):
    """What was asked for."""
    given = launching.values(context, ARGUMENTS)
    shown = {"publish_occupancy_markers": "true", "publish_swept_volume": "true"} if given["rviz"] == "true" else {}
    arguments = {name: given[name] for name in (*PREDICTOR, *BOTH)}
    actions = [launching.include("predict.launch.py", {**arguments, **shown})]
    if given["robot"]:
        actions.append(launching.include("ssm.launch.py", {name: given[name] for name in (*MONITOR, *BOTH)}))
    else:
        actions.append(LogInfo(msg="no robot:= was given: the monitor (aux_motion_ssm) is not started"))
    if given["rviz"] == "true":
        actions.append(launching.rviz(given, frame_of(given)))
    return actions


def generate_launch_description():
    """Called by `ros2 launch`."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=cell)])
