"""End to end over DDS: the node against a node that only answers, in turns, at several rates and numbers of people."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion.commands import processes
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.testing import synthetic

FRAME = "map"
#: The node that only answers: its topics, and the name of its records' backend.
ECHO_IN, ECHO_OUT, FLOOR = "echo_skeletons", "echo_predictions", "echo"
#: A turn begins with frames that are not counted: people come back, caches are warm again; seconds.
_LEAD_IN_S = 0.6
#: How long the last answers of a turn are waited for; seconds.
_LAST_WAIT_S = 1.0
#: Turns of each of the two.
_TURNS = 2
_NS = 1_000_000_000

Record = dict[str, Any]


def templates(model_dir: str, backend: str, people: list[int]) -> dict[int, bytes]:
    """For each number of people a serialised prediction as the node would send it."""
    from rclpy.serialization import serialize_message

    from aux_motion.nodes.conversion import prediction_message
    from aux_motion_core.config import PredictorConfig
    from aux_motion_core.predictor import Predictor, make_backend

    made = {}
    used = make_backend(backend, model_dir)
    for n in people:
        predictor = Predictor(used, PredictorConfig(max_people=max(people)), FRAME)
        for frame in synthetic.frames(n, 0.6, 30.0, frame_id=FRAME):
            predictor.add(frame)
        made[n] = serialize_message(prediction_message(predictor.predict(frame.stamp_ns)))
    used.close()
    return made


def echo(file: Path) -> None:
    """Answer every message with as many people's prediction, made before; nothing is computed."""
    import rclpy
    from aux_motion_msgs.msg import PredictionArray, SkeletonArray
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.serialization import deserialize_message

    from aux_motion.nodes import spinning
    from aux_motion.nodes.predictor_node import input_qos, output_qos

    texts = json.loads(file.read_text(encoding="utf-8"))
    answers = {int(n): deserialize_message(base64.b64decode(t), PredictionArray) for n, t in texts.items()}
    rclpy.init(args=[])
    node = rclpy.create_node("aux_motion_bench_echo")
    publisher = node.create_publisher(PredictionArray, ECHO_OUT, output_qos(10.0))

    def on_skeletons(message: SkeletonArray) -> None:
        answer = answers[len(message.person_ids)]
        answer.people[0].stamp = message.header.stamp
        publisher.publish(answer)

    node.create_subscription(SkeletonArray, ECHO_IN, on_skeletons, input_qos())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        spinning.spin(executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


@dataclass
class Side:
    """One of the two that answer: stamps that were sent and when they were answered, nanoseconds."""

    sent: list[int] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)


class Client:
    """Publishes people who walk, and notes when predictions of them come back; rclpy must be initialised."""

    def __init__(self) -> None:
        import rclpy
        from aux_motion_msgs.msg import PredictionArray, SkeletonArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
        from rclpy.serialization import deserialize_message

        from aux_motion.nodes.spinning import in_thread

        self.sides = {"node": Side(), FLOOR: Side()}
        self._node = node = rclpy.create_node("aux_motion_bench")
        self._publishers = {
            "node": node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data),
            FLOOR: node.create_publisher(SkeletonArray, ECHO_IN, qos_profile_sensor_data),
        }
        self._stop = False

        def hear(side: Side, raw: bytes) -> None:
            now_ns = time.time_ns()  # the message is there; what follows is the bench's own work
            message = deserialize_message(raw, PredictionArray)
            for person in message.people:
                if person.state in PREDICTED:
                    side.answered.setdefault(person.stamp.sec * _NS + person.stamp.nanosec, now_ns)
                    break

        qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        for topic, name in (("predictions", "node"), (ECHO_OUT, FLOOR)):
            side = self.sides[name]
            node.create_subscription(PredictionArray, topic, lambda raw, s=side: hear(s, raw), qos, raw=True)
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def spin() -> None:
            while not self._stop:
                executor.spin_once(timeout_sec=0.1)

        self._executor = executor
        self._thread = threading.Thread(target=in_thread(spin), name="client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give back node and thread."""
        from rclpy.signals import uninstall_signal_handlers

        uninstall_signal_handlers()  # rclpy's signal thread uses the executor, see spinning.spin
        self._stop = True
        self._thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def messages(self, people: int, rate_hz: float, seconds: float = 20.0) -> list[Any]:
        """Frames to play, made before the clock runs."""
        from aux_motion.nodes.conversion import skeleton_message

        return [skeleton_message(f) for f in synthetic.frames(people, seconds, rate_hz, frame_id=FRAME)]

    def send(self, name: str, message: Any) -> int:
        """Stamp a message with the present and publish it to "node" or the floor; returns the stamp."""
        stamp_ns = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, _NS)
        self._publishers[name].publish(message)
        return stamp_ns

    def turn(self, name: str, messages: list[Any], rate_hz: float, seconds: float) -> None:
        """Play for so long to one side; what was sent after the lead-in is noted in its `sent`."""
        side = self.sides[name]
        start = time.perf_counter()
        stamp_ns, index = 0, 0
        while True:
            due = start + index / rate_hz
            now = time.perf_counter()
            if due > start + _LEAD_IN_S + seconds:
                break
            if due > now:
                time.sleep(due - now)
            stamp_ns = self.send(name, messages[index % len(messages)])
            if due >= start + _LEAD_IN_S:
                side.sent.append(stamp_ns)
            index += 1
        end = time.perf_counter() + _LAST_WAIT_S
        while stamp_ns not in side.answered and time.perf_counter() < end:
            time.sleep(0.005)


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds; NaN where /proc does not tell."""
    import os

    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    model: Path | None,
    folder: str,
    backend: str,
    people: list[int],
    rates_hz: list[int],
    seconds: float,
    threads: int = 1,
) -> list[Record]:
    """Node and echo, each in a process of its own, in turns; rclpy must be initialised, on a private domain.

    Args:
        model: folder given to the node; None: the shipped one.
        folder: the same, resolved.
        backend: of the node.
        people: numbers of people.
        rates_hz: of the input.
        seconds: for each of the two at each rate and number of people.
        threads: of the node's backend.

    Returns:
        Records of stage "end_to_end", latency from before publishing skeletons to having the prediction. `missed` are
        frames that got no prediction of their own, of `sent`. Those of the node have `above_floor_p50_ms` and
        `above_floor_p99_ms`, and the node's processor time as a share of one core; the first has the node's start-up
        time (from the start of its process, the people already walking) and resident memory.
    """
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        made = templates(folder, backend, sorted({1, *people}))
        file = scratch / "templates.json"
        file.write_text(json.dumps({n: base64.b64encode(b).decode() for n, b in made.items()}))
        client = Client()
        try:
            with (
                processes.Process("aux_motion.benchmarks.bench_dds", [str(file)], scratch / "echo.log") as echoing,
                processes.predictor_process(FRAME, scratch / "node.log", model, backend, threads) as node,
            ):
                about = _start(client, echoing, node)
                cells = [(rate, n) for n in people for rate in rates_hz]
                for rate, n in tqdm(cells, unit=" cells", disable=None):
                    messages = client.messages(n, rate)
                    spent_s = [0.0, 0.0]
                    for side in client.sides.values():
                        side.sent.clear()
                        side.answered.clear()
                    for _ in range(_TURNS):
                        cpu, start = _cpu_s(node.popen.pid), time.perf_counter()
                        client.turn("node", messages, rate, seconds / _TURNS)
                        spent_s[0] += _cpu_s(node.popen.pid) - cpu
                        spent_s[1] += time.perf_counter() - start
                        client.turn(FLOOR, messages, rate, seconds / _TURNS)
                        node.check()
                        echoing.check()
                    floor, own = (_row(client.sides[s], n, rate) for s in (FLOOR, "node"))
                    row = {
                        "stage": "end_to_end",
                        "backend": backend,
                        "people": n,
                        "threads": threads,
                        "rate_hz": rate,
                        **own,
                        "above_floor_p50_ms": round(own["p50_ms"] - floor["p50_ms"], 4),
                        "above_floor_p99_ms": round(own["p99_ms"] - floor["p99_ms"], 4),
                        "node_cpu_share": round(spent_s[0] / spent_s[1], 3),
                        **about,
                    }
                    about = {}
                    base = {"stage": "end_to_end", "backend": FLOOR, "people": n, "threads": 1, "rate_hz": rate}
                    records += [row, {**base, **floor}]
                records[0]["node_rss_mib"] = round(node.resident_mib(), 1)
        finally:
            client.close()
    return records


def _start(client: Client, echoing: processes.Process, node: processes.Process) -> Record:
    """Play until both answer; the node's start-up time."""
    messages = client.messages(1, 30.0)
    end = time.monotonic() + processes.STARTUP_TIMEOUT_S
    index = 0
    while not all(side.answered for side in client.sides.values()):
        for name, process in (("node", node), (FLOOR, echoing)):
            process.check()
            client.send(name, messages[index % len(messages)])
        if time.monotonic() > end:
            raise processes.LiveError(
                f"no prediction within {processes.STARTUP_TIMEOUT_S:.0f} s (node: {node.last_line()})"
            )
        index += 1
        time.sleep(1.0 / 30.0)
    first_ns = min(client.sides["node"].answered.values())
    return {"start_to_first_prediction_s": round((first_ns - node.started_ns) * 1e-9, 3)}


def _row(side: Side, people: int, rate_hz: float) -> Record:
    late_s = [(side.answered[s] - s) * 1e-9 for s in side.sent if s in side.answered]
    if not late_s:
        raise processes.LiveError(
            f"no prediction came back of {len(side.sent)} messages ({people} people, {rate_hz} Hz)"
        )
    p50, p95, p99 = (round(1e3 * float(q), 4) for q in np.percentile(late_s, (50, 95, 99)))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "sent": len(side.sent), "missed": len(side.sent) - len(late_s)}


if __name__ == "__main__":
    echo(Path(sys.argv[1]))
