# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A planner in Python: how near people may come to the tool, and when it is safe to say that nobody is there.

python examples/python_planner.py            # plays the sample through a predictor of its own
python examples/python_planner.py --live     # listens to the predictor that runs on your robot
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rclpy
from aux_motion_msgs.msg import PredictionArray
from rclpy.node import Node

from aux_motion.commands.processes import Process, predictor_process, private_domain
from aux_motion_core.wire.views import PredictionView

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "sports2d_demo.mcap"
TOOL = np.array([0.0, 0.0, 1.0])  # in the fixed frame, metres
AHEAD_NS = 400_000_000
MAX_INPUT_AGE_S = 0.5


class Planner(Node):
    """Asks each prediction where people are when the robot will be there."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.heard = 0
        self.create_subscription(PredictionArray, "predictions", self.plan, 1)

    def plan(self, message: PredictionArray) -> None:
        """Decide with the newest prediction."""
        view = PredictionView(message)
        now_ns = self.get_clock().now().nanoseconds
        refusal = view.view.refusal(now_ns, MAX_INPUT_AGE_S)
        nearest_m = np.inf
        for person in view:
            if not person.covers(now_ns + AHEAD_NS):  # nothing is known of that time: keep out of everybody's reach
                nearest_m = 0.0
                continue
            joints = person.at(now_ns + AHEAD_NS)
            nearest_m = min(nearest_m, float(np.linalg.norm(joints - TOOL, axis=1).min()))
        self.heard += bool(len(view))
        if len(view) and self.heard % 30 == 1:
            note = f"; the view is not complete: {refusal}" if refusal else ""
            print(f"{len(view)} people, nearest joint {nearest_m:.2f} m from the tool in 0.4 s{note}")


@contextlib.contextmanager
def own_predictor() -> Iterator[None]:
    """A predictor and a player of the sample, on a private domain of this machine."""
    private_domain()
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        with predictor_process("camera_floor", logs / "predictor.log", None, "onnx"):
            time.sleep(4.0)
            with Process("aux_motion.cli", ["play", str(SAMPLE), "--wait-for", "1"], logs / "player.log"):
                yield


def main() -> None:
    """Plan for some seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    with contextlib.nullcontext() if arguments.live else own_predictor():
        rclpy.init()
        node = Planner()
        end_s = time.monotonic() + arguments.seconds
        while time.monotonic() < end_s:
            rclpy.spin_once(node, timeout_sec=0.1)
        heard = node.heard
        node.destroy_node()
        rclpy.try_shutdown()
    print(f"planned with {heard} predictions" if heard else "no prediction of anybody was heard")


if __name__ == "__main__":
    main()
