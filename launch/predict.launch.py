# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Starts the predictor: `ros2 launch aux_motion predict.launch.py fixed_frame:=map`.

The parameters come from the parameter file. An argument that is given wins over the file; one that is not
given changes nothing. Arguments of the launch files of this package that have one name mean the same, so they can be
included together.
"""

from pathlib import Path
from typing import List  # noqa: UP035, launch knows this one

from launch import LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.parameter_descriptions import ParameterValue

from aux_motion.nodes import launching

BOOLEAN = ["", "true", "false"]
SWITCH = [*BOOLEAN, "on", "off"]
TRACKERS = [
    "",
    "aux_motion",
    "zed",
    "azure_kinect",
    "orbbec",
    "femto",
    "k4a",
    "yolo",
    "ros4hri",
    "hiros",
    "pose_array",
    "openpose",
    "mediapipe",
    "ros_openpose",
    "openptrack",
    "jsk",
    "mocap4r2_markers",
    "mocap4r2_bodies",
    "optitrack",
]
#: (name, default, choices or None for any, what it is). Names of parameters are those of the node; "" leaves the
#: file's value.
ARGUMENTS = (
    ("params_file", "", None, "ROS parameter file of the predictor; empty: the package's predictor.yaml"),
    ("namespace", "", None, "Namespace of the node and its topics"),
    ("model", "", None, "Name of a shipped model or folder of an artefact"),
    (
        "tracker",
        "",
        TRACKERS,
        "What sends the skeletons (docs/trackers.md); aux_motion is this package's SkeletonArray",
    ),
    (
        "tracker_joints",
        "",
        None,
        "Joints of pose_array and the like: a list such as coco17, or every joint, with commas",
    ),
    ("input_topic", "", None, "Topic of the input; empty: the tracker's usual one"),
    ("input_topics", "", None, "Topics of several inputs, with commas"),
    ("input_trackers", "", None, "Trackers of input_topics, with commas"),
    ("input_frames", "", None, "Frames of the inputs, with commas, where their messages name wrong ones or none"),
    ("static_transforms", "", None, "Fixed cameras without TF: 'frame x y z qx qy qz qw', several with semicolons"),
    ("stamp_source", "", ["", "header", "receive"], "receive for a tracker whose stamps cannot be used"),
    ("fixed_frame", "", None, "Frame of the predictions: not accelerating, z up. Required, here or in params_file"),
    ("mix", "", SWITCH, "on: weigh the model and the baselines by their recent errors (topic self_check)"),
    ("learning", "", ["", "off", "shadow", "on"], "on: apply what is learnt from this tracker (docs/learning.md)"),
    ("learned_file", "", None, "Where what is learnt is kept over restarts (.npz)"),
    ("publish_occupancy", "", BOOLEAN, "Publish occupancy, which the monitor takes"),
    ("publish_occupancy_markers", "", BOOLEAN, "Publish occupancy_markers for RViz, while somebody looks"),
    ("publish_swept_volume", "", BOOLEAN, "Publish swept_volume, while somebody listens"),
    ("autostart", "", BOOLEAN, "Configure and activate the node at once; false: a lifecycle manager does it"),
    ("use_sim_time", "", BOOLEAN, "Take the time from /clock"),
    ("namespaced_tf", "false", ["true", "false"], "TF is on tf and tf_static of the namespace, not on /tf"),
    ("respawn", "false", ["true", "false"], "Start the node again when it died"),
    ("log_level", "", ["", "debug", "info", "warn", "error", "fatal"], "Least severity that is logged"),
)
#: Arguments that are parameters as they are: texts and switches.
TEXTS = ("tracker", "input_topic", "fixed_frame", "stamp_source", "learning", "learned_file")
SWITCHES = (
    "mix",
    "publish_occupancy",
    "publish_occupancy_markers",
    "publish_swept_volume",
    "use_sim_time",
    "autostart",
)
#: Arguments that are parameters with several values, and what separates these.
LISTS = {
    "tracker_joints": ",",
    "input_topics": ",",
    "input_trackers": ",",
    "input_frames": ",",
    "static_transforms": ";",
}


def model_folder(model: str, share: Path) -> str:
    """Folder of a model artefact: the name of a shipped model, or a path."""
    shipped = share / "models" / model
    return str(shipped if shipped.is_dir() else Path(model).expanduser())


def predictor(context):
    """The node, with the arguments that were given."""
    share, given = launching.share(), launching.values(context, ARGUMENTS)
    params_file = launching.existing_file("params_file", given["params_file"], share / "config" / "predictor.yaml")
    overrides = {}
    for name in TEXTS:
        if given[name]:
            overrides[name] = ParameterValue(given[name], value_type=str)
    for name, separator in LISTS.items():
        if parts := [part.strip() for part in given[name].split(separator) if part.strip()]:
            overrides[name] = ParameterValue(parts, value_type=List[str])  # noqa: UP006
    if given["model"]:
        overrides["model_dir"] = ParameterValue(model_folder(given["model"], share), value_type=str)
    for name in SWITCHES:
        if given[name]:
            overrides[name] = launching.switch(given[name])
    return [launching.node("aux_motion_predictor", given, [params_file, overrides])]


def generate_launch_description():
    """Called by `ros2 launch`."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=predictor)])
