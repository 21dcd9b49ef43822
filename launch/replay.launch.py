# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Plays a bag to the predictor and records what it says: `ros2 launch aux_motion replay.launch.py bag:=cell_4.mcap`.

All of it runs by the time of the bag (/clock), and on a ROS domain of its own: a recorded human must never reach a
robot that works. `ros2 bag play` plays where rosbag2 is installed, otherwise `aux-motion play` does; that one also
plays bags that are cut off.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration

from aux_motion.commands.processes import private_domain
from aux_motion.nodes import launching

#: (name, default, what it is); those of predict.launch.py are passed on to it.
ARGUMENTS = (
    ("bag", None, "Bag folder, .mcap or .db3 file"),
    ("topic", "", "Topic with people; needed where the bag has several"),
    ("rate", "1.0", "Speed: 2 is twice as fast"),
    ("loop", "false", "Start again at the end: true or false"),
    ("start", "0.0", "Seconds to leave out at the beginning"),
    ("out", "", "New .mcap file to record to; empty: named after the present time, none: do not record"),
    ("player", "auto", "ros2 (ros2 bag play), own (aux-motion play), auto: ros2 where it takes the bag"),
    ("domain", "", "ROS_DOMAIN_ID of it all; empty: a private one on this machine; same: that of the environment"),
    ("tracker", "", "Tracker that sent the messages; empty: told by their type"),
    ("tracker_joints", "", "Joint list of a tracker whose messages name none, with commas"),
    ("static_transforms", "", "As predict.launch.py takes them"),
    ("fixed_frame", "", "Frame of the predictions, not accelerating, z up; empty: the bag's own"),
    ("model", "", "Name of a shipped model or folder of an artefact"),
    ("params_file", "", "ROS parameter file; empty: the package's predictor.yaml"),
    ("log_level", "", "Least severity that the node logs"),
)
CHOICES = {"loop": ["true", "false"], "player": ["auto", "ros2", "own"]}
PASSED_ON = ("tracker", "tracker_joints", "static_transforms", "fixed_frame", "model", "params_file", "log_level")
#: Rate of /clock by the time of the bag, Hz, and most of it by the wall's.
CLOCK_HZ, MOST_CLOCK_HZ = 100.0, 1000.0
#: The command line of this package; empty: the one that is installed.
AUX_MOTION: list = []
#: ros2 bag play does not wait for subscribers.
READY_S = "3"


def has_rosbag2():
    """Whether `ros2 bag play` can be called."""
    try:
        get_package_prefix("ros2bag")
        get_package_prefix("rosbag2_transport")
    except PackageNotFoundError:
        return False
    return shutil.which("ros2") is not None


def known_to_rosbag2(bag):
    """Whether a bag is of a kind that `ros2 bag play` takes."""
    return (bag / "metadata.yaml").is_file() if bag.is_dir() else bag.suffix in (".mcap", ".db3")


def number(given, name, least):
    """An argument that is a number, as it was written."""
    try:
        value = float(given[name])
    except ValueError:
        value = float("nan")
    if not value >= least:
        raise RuntimeError(f"{name}:={given[name]}: expected a number from {least:g}")
    return given[name]


def ros2_command(given):
    """`ros2 bag play` for the topic with people and the transforms."""
    storage = {".mcap": ["--storage", "mcap"], ".db3": ["--storage", "sqlite3"]}.get(Path(given["bag"]).suffix, [])
    command = ["ros2", "bag", "play", given["bag"], *storage, "--clock", clock_hz(given), "--rate", given["rate"]]
    command += ["--start-offset", given["start"], "--delay", READY_S, "--disable-keyboard-controls"]
    command += ["--loop"] if given["loop"] == "true" else []
    return [*command, "--topics", given["topic"], "/tf", "/tf_static"]


def own_command(given, subscribers):
    """`aux-motion play` for the same."""
    command = [*aux_motion(), "play", given["bag"], "--topic", given["topic"], "--to", given["topic"]]
    command += [
        "--tracker",
        given["tracker"],
        "--clock",
        clock_hz(given),
        "--rate",
        given["rate"],
        "--start",
        given["start"],
    ]
    command += ["--loop"] if given["loop"] == "true" else []
    return [*command, "--wait-for", str(subscribers)]


def aux_motion():
    """The command line of this package."""
    return AUX_MOTION or [str(Path(get_package_prefix("aux_motion")) / "lib" / "aux_motion" / "aux-motion")]


def clock_hz(given):
    """Rate of /clock, such that faster play has no coarser time."""
    return f"{min(CLOCK_HZ * max(float(given['rate']), 1.0), MOST_CLOCK_HZ):g}"


def look_at(given):
    """What `aux-motion describe` says of the bag. This interpreter has no library that reads bags."""
    command = [*aux_motion(), "describe", given["bag"], "--json"]
    for option, name in (("--topic", "topic"), ("--tracker", "tracker"), ("--joints", "tracker_joints")):
        command += [option, given[name]] if given[name] else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{command[0]} ended with status {done.returncode}"]
        raise RuntimeError(said[-1].removeprefix("aux-motion: error: "))
    return json.loads(done.stdout)


def replay(context):
    """Player, predictor and recorder."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    given["bag"] = str(Path(given["bag"]).expanduser())
    number(given, "rate", 0.01)
    number(given, "start", 0.0)
    if given["domain"] == "":
        private_domain()
    elif given["domain"].isdigit() and int(given["domain"]) <= 232:
        os.environ["ROS_DOMAIN_ID"] = given["domain"]
    elif given["domain"] != "same":
        raise RuntimeError(f"domain:={given['domain']}: expected a number from 0 to 232, same, or nothing")
    found = look_at(given)
    given |= {"topic": found["topic"], "tracker": found["tracker"]}
    given["fixed_frame"] = given["fixed_frame"] or found["fixed_frame"]
    whole = not found["damage"] and known_to_rosbag2(Path(given["bag"]))
    ros2 = given["player"] == "ros2" or (given["player"] == "auto" and whole and has_rosbag2())
    records = given["out"] != "none"
    command = ros2_command(given) if ros2 else own_command(given, 1 + records)

    player = ExecuteProcess(name="player", cmd=command, output="screen")
    actions = [
        LogInfo(
            msg=f"replay of {found['topic']} [{found['msgtype']}] in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}"
        ),
        launching.include(
            "predict.launch.py",
            {
                **{name: given[name] for name in PASSED_ON},
                "input_topic": found["topic"],
                "use_sim_time": "true",
                "autostart": "true",
            },
        ),
        player,
    ]
    if records:
        out = ["--out", str(Path(given["out"]).expanduser())] if given["out"] else []
        command = [*aux_motion(), "record", *out, "--sim-time"]
        actions.append(ExecuteProcess(name="recorder", cmd=command, output="screen"))

    def ended(event, context):
        """The end of the bag is the end; that of another process before is an error."""
        if context.is_shutdown:
            return []
        if event.action is player and event.returncode == 0:
            return [TimerAction(period=1.5, actions=[Shutdown(reason="the bag has come to its end")])]
        raise RuntimeError(f"{event.process_name} ended with status {event.returncode}: see what it said above")

    return [RegisterEventHandler(OnProcessExit(on_exit=ended)), *actions]


def generate_launch_description():
    """Called by `ros2 launch`."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=CHOICES.get(name))
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=replay)])
