#!/usr/bin/env python3
# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The launch files with the real `ros2 launch`: run by hand, since launch, launch_ros and ros2cli have no wheels.

It needs: `ros2` with the commands launch, lifecycle, param and topic; tf2_msgs and rclpy in this interpreter; and this
package built and sourced (`cd ros2_ws && python -m colcon build && source install/setup.bash`). Then, from anywhere:

    python3 tests/ros/real_launch.py            # all; or the names of some

It runs on a private ROS domain on this machine only, and takes about a minute. Exit status 1: something fell short.
What can be tested without `ros2 launch` is in tests/ros/launch.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from aux_motion.commands.processes import private_domain

SHARE = Path(get_package_share_directory("aux_motion"))
ROBOT, SAMPLE = SHARE / "config" / "robot_example.yaml", SHARE / "samples" / "sports2d_demo.mcap"
WORK = Path(tempfile.mkdtemp(prefix="real_launch_"))
PATIENCE_S = 30.0
HEAD = f"""
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetRemap

def include(name, **given):
    source = PythonLaunchDescriptionSource("{SHARE}/launch/" + name + ".launch.py")
    return IncludeLaunchDescription(source, launch_arguments=given.items())

predictor, monitor = include("predict", fixed_frame="map", publish_occupancy="true"), include("ssm", robot="{ROBOT}")

def cell(name):
    remaps = [SetRemap("/tf", "tf"), SetRemap("/tf_static", "tf_static")]
    return GroupAction([*remaps, include("cell", namespace=name, fixed_frame="map", robot="{ROBOT}")])

def generate_launch_description():
"""
PUBLISHER = """
import sys, time, rclpy
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

rclpy.init()
node, heard = rclpy.create_node("publisher"), {}
for name in ("robot1", "robot2"):
    node.create_subscription(PredictionArray, f"/{name}/predictions", lambda m, n=name: heard.update({n: m}), 1)
skeletons = node.create_publisher(SkeletonArray, "/robot1/skeletons", 5)
tf = node.create_publisher(TFMessage, "/robot1/tf", 10)
end = time.monotonic() + 20.0
while time.monotonic() < end:
    stamp = node.get_clock().now().to_msg()
    item = TransformStamped(child_frame_id="camera")
    item.header.frame_id, item.header.stamp, item.transform.translation.x = "map", stamp, 5.0
    tf.publish(TFMessage(transforms=[item]))
    joints = ["pelvis", "neck", "left_hip", "right_hip", "left_shoulder", "right_shoulder", "left_knee", "right_knee"]
    message = SkeletonArray(joint_names=joints, person_ids=["1"])
    message.header.frame_id, message.header.stamp = "camera", stamp
    place = [0, 0, 0.95, 0, 0, 1.45, 0, 0.1, 0.92, 0, -0.1, 0.92, 0, 0.2, 1.4, 0, -0.2, 1.4, 0, 0.1, 0.5, 0, -0.1, 0.5]
    wobble = 0.001 * (time.monotonic() % 1.0)
    message.positions = [float(v) + wobble for v in place]
    skeletons.publish(message)
    rclpy.spin_once(node, timeout_sec=0.03)
    people = {name: [round(p.recovered[0]) for p in m.people] for name, m in heard.items()}
    if people.get("robot1") == [5] and people.get("robot2") == []:
        print("robot1 has the person 5 m away, robot2 has nobody")
        sys.exit(0)
print("heard", people)
sys.exit(1)
"""
CASES: dict[str, Callable[[], str]] = {}


class Shortfall(Exception):
    """What was expected did not come."""


def case(function: Callable[[], str]) -> Callable[[], str]:
    """Note a case; it returns what was seen, or raises Shortfall."""
    CASES[function.__name__] = function
    return function


class Launched:
    """`ros2 launch` in a process group of its own."""

    def __init__(self, *arguments: object) -> None:
        self.log = WORK / f"launch_{time.monotonic_ns()}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                ["ros2", "launch", *map(str, arguments)], stdout=out, stderr=out, start_new_session=True, cwd=WORK
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, text: str, count: int = 1) -> None:
        end = time.monotonic() + PATIENCE_S
        while len(re.findall(text, self.output())) < count:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Shortfall(f"waited for {text!r}:\n{self.output()[-1500:]}")
            time.sleep(0.1)

    def ended(self) -> int:
        return self.process.wait(90)

    def stop(self, everybody: bool = False) -> None:
        """As Ctrl-C: launch alone, or launch and all nodes, as from a terminal."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if everybody else os.kill)(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Shortfall(f"did not end:\n{self.output()[-1500:]}") from None
        said = self.output()
        if "Traceback" in said or "exit code" in said or "KeyboardInterrupt" in said:
            raise Shortfall(f"no clean end:\n{said[-1500:]}")


@contextlib.contextmanager
def launched(*arguments: object) -> Iterator[Launched]:
    """Started, and ended cleanly."""
    run = Launched(*arguments)
    try:
        yield run
        run.stop()
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)


def ros2(*arguments: str, expected: str, patience_s: float = PATIENCE_S) -> str:
    """The line of a command of ros2 that says what is expected; it is asked again until one does."""
    end, said = time.monotonic() + patience_s, ""
    while time.monotonic() < end:
        command = ["ros2", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s)
        said = (done.stdout + done.stderr).strip()
        if expected in said:
            return next(line for line in said.splitlines() if expected in line)
        time.sleep(0.3)
    raise Shortfall(f"ros2 {' '.join(arguments)}: expected {expected!r}, came {said!r}")


def own(body: str) -> Path:
    """A launch file of one's own."""
    file = WORK / f"own_{time.monotonic_ns()}.launch.py"
    file.write_text(HEAD + f"    return LaunchDescription({body})\n")
    return file


@case
def cell() -> str:
    with launched("aux_motion", "cell.launch.py", "fixed_frame:=map") as run:
        run.until("configured: body20_25hz")
        run.until("is not started")
        return ros2("lifecycle", "get", "/aux_motion_predictor", expected="active")


@case
def cell_with_a_robot() -> str:
    with launched("aux_motion", "cell.launch.py", "fixed_frame:=map", f"robot:={ROBOT}") as run:
        run.until("monitors 'example_arm'")
        run.until("VIEW_INCOMPLETE")
        ros2("lifecycle", "get", "/aux_motion_ssm", expected="active")
        fraction = ros2("topic", "echo", "--once", "/speed_fraction", "--field", "data", expected="0.0")
        return f"both are active, speed_fraction {fraction}: nobody was seen yet"


@case
def predictor_and_monitor_in_one_file() -> str:
    for order in ("[predictor, monitor]", "[monitor, predictor]"):
        with launched(own(order)) as run:
            run.until("configured: body20_25hz")
            run.until("monitors 'example_arm'")
    return "both orders: both nodes run"


@case
def two_cells_with_remapped_tf() -> str:
    with launched(own('[cell("robot1"), cell("robot2")]')) as run:
        run.until("configured: body20_25hz", 2)
        done = subprocess.run([sys.executable, "-c", PUBLISHER], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Shortfall(done.stdout + done.stderr + run.output()[-1500:])
        return done.stdout.strip()


@case
def a_parameter_file_with_nothing_but_the_frame() -> str:
    mine = WORK / "mine.yaml"
    mine.write_text("aux_motion_predictor:\n  ros__parameters: {fixed_frame: hall, stale_after: 0.5}\n")
    with launched("aux_motion", "predict.launch.py", f"params_file:={mine}") as run:
        run.until(r"stale_after \(did you mean stale_after_s\?\)")
        run.until("predictions in frame 'hall'")
    return "active in frame hall; the mistyped name is told"


@case
def a_forgotten_frame() -> str:
    with launched("aux_motion", "predict.launch.py") as run:
        run.until("fixed_frame is required")
        ros2("param", "set", "/aux_motion_predictor", "fixed_frame", "hall", expected="successful")
        run.until("predictions in frame 'hall'")
    return "asked for, and it starts when it is set"


@case
def bad_arguments() -> str:
    expected = {
        ("predict", "params_file:=absent.yaml"): "params_file:=absent.yaml does not exist",
        ("predict", "autostart:=maybe"): '"maybe" is not valid',
        ("ssm", "robot:=absent.yaml"): "robot:=absent.yaml does not exist",
        ("ssm", "use_sim_time:=maybe"): '"maybe" is not valid',
        ("replay", "bag:=nowhere.mcap"): "no such bag: nowhere.mcap",
    }
    for (name, argument), says in expected.items():
        run = Launched("aux_motion", f"{name}.launch.py", argument)
        if run.ended() == 0 or says not in run.output():
            raise Shortfall(f"{name} {argument}: expected {says!r}:\n{run.output()}")
    return f"{len(expected)} named in a line"


@case
def replay() -> str:
    out = WORK / "out.mcap"
    run = Launched("aux_motion", "replay.launch.py", f"bag:={SAMPLE}", f"out:={out}", "rate:=4", "player:=own")
    if run.ended() or "Traceback" in run.output():
        raise Shortfall(run.output()[-2000:])
    return next(line for line in run.output().splitlines() if "recorded " in line).partition("] ")[2]


@case
def interrupts_to_everybody() -> str:
    waits = (0.3, 0.6, 0.9, 1.2, 1.6, 2.5, 4.5)  # before that Python itself starts
    for wait_s in waits:
        run = Launched(own("[predictor, monitor]"))
        run.until("process started", 2)
        time.sleep(wait_s)
        run.stop(everybody=True)
    return f"clean after {', '.join(map(str, waits))} s"


@case
def respawn() -> str:
    with launched("aux_motion", "predict.launch.py", "fixed_frame:=map", "respawn:=true") as run:
        run.until("configured: body20_25hz")
        (pid,) = re.findall(r"started with pid \[(\d+)\]", run.output())
        os.kill(int(pid), signal.SIGTERM)  # one that was asked to end is started again too
        run.until("configured: body20_25hz", 2)
    return "started again"


def main(names: list[str]) -> int:
    """Run the cases; exit status."""
    print(f"ROS domain {private_domain()}, logs in {WORK}", flush=True)
    failed = 0
    for name in names or CASES:
        begin = time.monotonic()
        try:
            seen, verdict = CASES[name](), "ok"
        except Exception as error:
            seen, verdict = f"{type(error).__name__}: {error}", "FELL SHORT"
            failed += 1
        print(f"{verdict:10} {name} ({time.monotonic() - begin:.0f} s): {seen}", flush=True)
    subprocess.run(["ros2", "daemon", "stop"], capture_output=True)  # that of this domain
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
