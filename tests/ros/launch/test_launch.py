"""The launch file: with the real `launch` where it is installed, else compiled and read."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args, get_origin

import pytest

try:
    # Not a bare `import launch`: the folder launch/ makes that succeed from the root.
    from launch import LaunchDescription  # noqa: F401
    from launch_ros.actions import Node  # noqa: F401

    HAS_LAUNCH = True
except ImportError:
    HAS_LAUNCH = False

ARGUMENTS = {
    "params_file",
    "namespace",
    "model",
    "tracker",
    "tracker_joints",
    "input_topic",
    "input_topics",
    "input_trackers",
    "input_frames",
    "static_transforms",
    "stamp_source",
    "mix",
    "learning",
    "learned_file",
    "fixed_frame",
    "use_sim_time",
    "autostart",
    "log_level",
}
needs_launch = pytest.mark.skipif(not HAS_LAUNCH, reason="launch and launch_ros are not installed")
RUNNER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [tuple(argument.split(":=", 1)) for argument in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture
def launch_file(root: Path) -> Path:
    """The file in the checkout."""
    return root / "launch" / "predict.launch.py"


def constants(file: Path) -> dict[str, object]:
    """What a launch file sets at its top, without importing launch."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found: dict[str, object] = {}
    code = ast.Module([n for n in tree.body if isinstance(n, ast.Assign)], type_ignores=[])
    exec(compile(code, str(file), "exec"), found)
    return found


def test_compiles_and_declares_its_arguments(launch_file: Path) -> None:
    compile(launch_file.read_text(encoding="utf-8"), str(launch_file), "exec")
    names = [name for name, _, _ in constants(launch_file)["ARGUMENTS"]]
    assert sorted(names) == sorted(ARGUMENTS)


def test_arguments_are_parameters_of_the_node(launch_file: Path) -> None:
    from aux_motion.nodes.parameters import NodeParameters
    from aux_motion_core.trackers import ALIASES, NAMES

    found, fields = constants(launch_file), NodeParameters.model_fields
    choices = {name: set(offered or ()) for name, offered, _ in found["ARGUMENTS"]}
    assert {*found["TEXTS"], *found["SWITCHES"], *found["LISTS"]} <= {*fields, "use_sim_time"}
    assert all(get_origin(fields[name].annotation) is list for name in found["LISTS"])
    other = {"params_file", "namespace", "model", "log_level"}
    assert set(choices) == other | {*found["TEXTS"], *found["SWITCHES"], *found["LISTS"]}
    assert {""} | set(NAMES) <= choices["tracker"] <= {"", *NAMES, *ALIASES}
    assert choices["stamp_source"] == {"", *get_args(fields["stamp_source"].annotation)}


def test_starts_the_installed_executable(launch_file: Path, root: Path) -> None:
    tree = ast.parse(launch_file.read_text(encoding="utf-8"))
    node = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Node")
    values = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
    assert values["package"] == "aux_motion"
    assert f"{values['executable']} = aux_motion.nodes.predictor_main:main" in (root / "setup.py").read_text()


@needs_launch
def test_description_shows_every_argument(launch_file: Path) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(launch_file))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert set(arguments) == ARGUMENTS
    assert all(argument.description for argument in arguments.values())


class Launched:
    """`ros2 launch aux_motion predict.launch.py` of a built workspace, in a process group of its own."""

    def __init__(self, workspace, tmp_path: Path, *arguments: str) -> None:
        runner = tmp_path / "runner.py"
        runner.write_text(RUNNER)
        file = workspace.install / "aux_motion" / "share" / "aux_motion" / "launch" / "predict.launch.py"
        self.log = tmp_path / "launch.log"
        env = {**workspace.env, "ROS_LOG_DIR": str(tmp_path), "HOME": os.environ.get("HOME", str(tmp_path))}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(runner), str(file), *arguments],
                env=env,
                cwd=tmp_path,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """As Ctrl-C does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


def spin_until(node, condition, launched: Launched, timeout_s: float = 40.0) -> None:
    """Spin a node until the condition holds."""
    import rclpy

    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, launched.output()[-3000:]
        rclpy.spin_once(node, timeout_sec=0.05)


@pytest.fixture
def listener(ros_domain_id: int):
    """A node on this run's domain."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(domain_id=ros_domain_id)
    node = rclpy.create_node("launch_test")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def call(node, launched: Launched, kind, name: str, request):
    """Answer of a service. Asked again each second: an answer can be lost while both sides get to know each other."""
    client = node.create_client(kind, name)
    spin_until(node, client.service_is_ready, launched)
    futures = []

    def answered() -> bool:
        if not futures or time.monotonic() - futures[-1][0] > 1.0:
            futures.append((time.monotonic(), client.call_async(request)))
        return any(future.done() for _, future in futures)

    spin_until(node, answered, launched)
    return next(future.result() for _, future in futures if future.done())


def parameters_of(node, launched: Launched, target: str, names: list[str]) -> list[object]:
    """Values of another node's parameters."""
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    request = GetParameters.Request(names=names)
    answer = call(node, launched, GetParameters, f"{target}/get_parameters", request)
    return [parameter_value_to_python(value) for value in answer.values]


@needs_launch
@pytest.mark.timeout(400)
def test_arguments_win_over_the_file_and_the_node_predicts(built_workspace, listener, tmp_path: Path) -> None:
    from aux_motion_msgs.msg import PredictionArray

    params = tmp_path / "own.yaml"
    params.write_text(
        "/**:\n  ros__parameters:\n    fixed_frame: world\n    backend: zero_velocity\n    autostart: true\n"
        "    input_topic: from_file\n    lost_after_s: 3.0\n"
    )
    heard: list[PredictionArray] = []
    listener.create_subscription(PredictionArray, "/cell_4/predictions", heard.append, 1)
    launched = Launched(
        built_workspace,
        tmp_path,
        f"params_file:={params}",
        "namespace:=cell_4",
        "fixed_frame:=123",
        "input_topic:=from_argument",
        "log_level:=info",
    )
    try:
        spin_until(listener, lambda: len(heard) > 2, launched)
        names = ["fixed_frame", "input_topic", "lost_after_s", "backend", "use_sim_time"]
        values = parameters_of(listener, launched, "/cell_4/aux_motion_predictor", names)
        topics = dict(listener.get_topic_names_and_types())
    finally:
        status = launched.stop()
    assert values == ["123", "from_argument", 3.0, "zero_velocity", False]
    assert heard[-1].header.frame_id == "123" and not heard[-1].people
    assert "/cell_4/from_argument" in topics
    assert status == 0, launched.output()


@needs_launch
@pytest.mark.timeout(400)
def test_without_arguments_the_shipped_model_runs(built_workspace, listener, root: Path, tmp_path: Path) -> None:
    from aux_motion_msgs.msg import PredictionArray

    if not (root / "models" / "body20_25hz" / "model.onnx").is_file():
        pytest.skip("no shipped model here")
    heard: list[PredictionArray] = []
    listener.create_subscription(PredictionArray, "/predictions", heard.append, 1)
    launched = Launched(built_workspace, tmp_path)
    try:
        spin_until(listener, lambda: len(heard) > 2, launched)
    finally:
        status = launched.stop()
    assert (heard[-1].header.frame_id, heard[-1].model_name) == ("map", "body20_25hz")
    assert status == 0, launched.output()


@needs_launch
@pytest.mark.timeout(400)
def test_without_autostart_the_node_waits(built_workspace, listener, tmp_path: Path) -> None:
    from lifecycle_msgs.msg import State
    from lifecycle_msgs.srv import GetState

    launched = Launched(built_workspace, tmp_path, "autostart:=false", "use_sim_time:=true")
    try:
        names = ["autostart", "use_sim_time"]
        values = parameters_of(listener, launched, "/aux_motion_predictor", names)
        answer = call(listener, launched, GetState, "/aux_motion_predictor/get_state", GetState.Request())
    finally:
        launched.stop()
    assert values == [False, True]
    assert answer.current_state.id == State.PRIMARY_STATE_UNCONFIGURED


@needs_launch
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("argument", "says"),
    [("params_file:=absent.yaml", "absent.yaml does not exist"), ("autostart:=maybe", "autostart")],
)
def test_bad_arguments_are_named(built_workspace, tmp_path: Path, argument: str, says: str) -> None:
    launched = Launched(built_workspace, tmp_path, argument)
    assert launched.process.wait(30) != 0
    assert says in launched.output()
