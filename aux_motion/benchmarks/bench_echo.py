# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A node that only answers, `python -m aux_motion.benchmarks.bench_echo FILE`: what DDS alone costs."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import rclpy
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from rclpy.executors import ExternalShutdownException
from rclpy.serialization import deserialize_message

from aux_motion.nodes import spinning
from aux_motion.nodes.qos import input_qos, output_qos

#: Its topics, and the name of its records' backend.
ECHO_IN, ECHO_OUT, FLOOR = "echo_skeletons", "echo_predictions", "echo"


def echo(file: Path) -> None:
    """Answer every message with as many people's prediction, made before; nothing is computed."""
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
    try:
        with spinning.executing(node) as executor:
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    echo(Path(sys.argv[1]))
