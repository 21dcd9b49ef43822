"""Starts the speed and separation monitor: `ros2 launch aux_motion ssm.launch.py robot:=my_robot.yaml`.

It takes `occupancy` of the predictor (parameter publish_occupancy). Not a certified safety function: docs/planners.md.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """The monitor with its parameter file."""
    parameters = Path(get_package_share_directory("aux_motion")) / "config" / "ssm.yaml"
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", description="Robot description (YAML): capsules and stopping data."),
            DeclareLaunchArgument("params_file", default_value=str(parameters), description="Parameter file (YAML)."),
            DeclareLaunchArgument("namespace", default_value="", description="ROS namespace of the node."),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock."),
            DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
            Node(
                package="aux_motion",
                executable="aux_motion_ssm",
                name="aux_motion_ssm",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "robot": ParameterValue(LaunchConfiguration("robot"), value_type=str),
                        "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
                    },
                ],
                arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
            ),
        ]
    )
