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
]
#: Arguments that are lists: by what their parts are separated.
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
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in (
            "params_file",
            "namespace",
            "model",
            "tracker",
            "input_topic",
            "fixed_frame",
            "stamp_source",
            "mix",
            "use_sim_time",
            "autostart",
            "log_level",
            *LISTS,
        )
    }
    params_file = (
        Path(given["params_file"]).expanduser() if given["params_file"] else share / "config" / "predictor.yaml"
    )
    if not params_file.is_file():
        raise RuntimeError(f"params_file {params_file} does not exist: give the path of a ROS parameter file")

    overrides = {}
    for name in ("tracker", "input_topic", "fixed_frame", "stamp_source"):
        if given[name]:
            overrides[name] = ParameterValue(given[name], value_type=str)
    for name, separator in LISTS.items():
        if parts := [part.strip() for part in given[name].split(separator) if part.strip()]:
            overrides[name] = ParameterValue(parts, value_type=List[str])  # noqa: UP006
    if given["model"]:
        overrides["model_dir"] = ParameterValue(model_folder(given["model"], share), value_type=str)
    for name in ("mix", "use_sim_time", "autostart"):
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
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value="",
                description="ROS parameter file; empty: the package's predictor.yaml",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics"),
            DeclareLaunchArgument(
                "model", default_value="", description="Name of a shipped model or folder of an artefact"
            ),
            DeclareLaunchArgument(
                "tracker",
                default_value="",
                choices=TRACKERS,
                description="What sends the skeletons (docs/trackers.md); aux_motion is our own SkeletonArray",
            ),
            DeclareLaunchArgument(
                "tracker_joints",
                default_value="",
                description="Joints of pose_array and the like: a list such as coco17, or every joint, with commas",
            ),
            DeclareLaunchArgument(
                "input_topic",
                default_value="",
                description="Topic of the input; empty: the tracker's usual one",
            ),
            DeclareLaunchArgument(
                "input_topics", default_value="", description="Topics of several inputs, with commas"
            ),
            DeclareLaunchArgument(
                "input_trackers", default_value="", description="Trackers of input_topics, with commas"
            ),
            DeclareLaunchArgument(
                "input_frames",
                default_value="",
                description="Frames of the inputs, with commas, where their messages name wrong ones or none",
            ),
            DeclareLaunchArgument(
                "static_transforms",
                default_value="",
                description="Fixed cameras without TF: 'frame x y z qx qy qz qw', several with semicolons",
            ),
            DeclareLaunchArgument(
                "stamp_source",
                default_value="",
                choices=["", "header", "receive"],
                description="receive for a tracker whose stamps cannot be used",
            ),
            DeclareLaunchArgument(
                "fixed_frame",
                default_value="",
                description="Frame of the predictions: not accelerating, z up",
            ),
            DeclareLaunchArgument(
                "mix",
                default_value="",
                choices=SWITCH,
                description="on: weigh the model and the baselines by their recent errors (topic self_check)",
            ),
            DeclareLaunchArgument(
                "use_sim_time", default_value="", choices=BOOLEAN, description="Take the time from /clock"
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="",
                choices=BOOLEAN,
                description="Configure and activate the node at once",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="",
                choices=["", "debug", "info", "warn", "error", "fatal"],
                description="Least severity that is logged",
            ),
            OpaqueFunction(function=predictor),
        ]
    )
