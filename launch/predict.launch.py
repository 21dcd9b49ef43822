"""Starts the predictor: `ros2 launch aux_motion predict.launch.py fixed_frame:=map`.

The parameters come from the parameter file. An argument that is given wins over the file; one that is not
given changes nothing.
"""

from pathlib import Path
from typing import List  # noqa: UP035, launch knows this one

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

BOOLEAN = ["", "true", "false"]
SWITCH = [*BOOLEAN, "on", "off"]
TRACKERS = [
    "",
    "aux_motion",
    "zed",
    "azure_kinect",
    "orbbec",
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
]
#: (name, choices or None for any, what it is). Names of parameters are those of the node; "" leaves the file's value.
ARGUMENTS = (
    ("params_file", None, "ROS parameter file; empty: the package's predictor.yaml"),
    ("namespace", None, "Namespace of the node and its topics"),
    ("model", None, "Name of a shipped model or folder of an artefact"),
    ("tracker", TRACKERS, "What sends the skeletons (docs/trackers.md); aux_motion is this package's SkeletonArray"),
    ("tracker_joints", None, "Joints of pose_array and the like: a list such as coco17, or every joint, with commas"),
    ("input_topic", None, "Topic of the input; empty: the tracker's usual one"),
    ("input_topics", None, "Topics of several inputs, with commas"),
    ("input_trackers", None, "Trackers of input_topics, with commas"),
    ("input_frames", None, "Frames of the inputs, with commas, where their messages name wrong ones or none"),
    ("static_transforms", None, "Fixed cameras without TF: 'frame x y z qx qy qz qw', several with semicolons"),
    ("stamp_source", ["", "header", "receive"], "receive for a tracker whose stamps cannot be used"),
    ("fixed_frame", None, "Frame of the predictions: not accelerating, z up"),
    ("mix", SWITCH, "on: weigh the model and the baselines by their recent errors (topic self_check)"),
    ("learning", ["", "off", "shadow", "on"], "on: apply what is learnt from this tracker (docs/learning.md)"),
    ("learned_file", None, "Where what is learnt is kept over restarts (.npz)"),
    ("use_sim_time", BOOLEAN, "Take the time from /clock"),
    ("autostart", BOOLEAN, "Configure and activate the node at once"),
    ("log_level", ["", "debug", "info", "warn", "error", "fatal"], "Least severity that is logged"),
)
#: Arguments that are parameters as they are: texts and switches.
TEXTS = ("tracker", "input_topic", "fixed_frame", "stamp_source", "learning", "learned_file")
SWITCHES = ("mix", "use_sim_time", "autostart")
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
    share = Path(get_package_share_directory("aux_motion"))
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    params_file = (
        Path(given["params_file"]).expanduser() if given["params_file"] else share / "config" / "predictor.yaml"
    )
    if not params_file.is_file():
        raise RuntimeError(f"params_file {params_file} does not exist: give the path of a ROS parameter file")

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
            overrides[name] = given[name] in ("true", "on")
    return [
        Node(
            package="aux_motion",
            executable="aux_motion_predictor",
            name="aux_motion_predictor",
            namespace=given["namespace"],
            parameters=[str(params_file), overrides] if overrides else [str(params_file)],
            ros_arguments=["--log-level", given["log_level"]] if given["log_level"] else [],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description():
    """Called by `ros2 launch`."""
    declared = [
        DeclareLaunchArgument(name, default_value="", description=what, choices=choices)
        for name, choices, what in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=predictor)])
