# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Time of each tracker's adapter for one message of four people.

    .venv/bin/python tools/bench_adapters.py --json docs/benchmarks/adapters.json

Messages are rclpy's where their package is installed, else those that rosbags makes of a bag; bytes for the trackers
whose live messages are taken as bytes, which saves making a message of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import tracker_messages as make  # noqa: E402

from aux_motion_core import trackers  # noqa: E402
from aux_motion_core.bags.definitions import SKELETONS, build_message, typestore  # noqa: E402
from aux_motion_core.testing import synthetic  # noqa: E402
from aux_motion_core.trackers.joint_maps import SOURCES  # noqa: E402
from aux_motion_core.wire.messages import frame_fields  # noqa: E402

PEOPLE, STAMPS, RATE_HZ = 4, 40, 30.0


def receiver(msgtype: str) -> tuple[Callable[[bytes], object], str]:
    """What makes a message of its bytes as a node or a bag's reader does, and its name."""
    package, _, name = msgtype.split("/")
    try:
        kind = getattr(import_module(f"{package}.msg"), name)
        from rclpy.serialization import deserialize_message

        return lambda raw: deserialize_message(raw, kind), "rclpy"
    except ImportError:
        return lambda raw: typestore().deserialize_cdr(raw, msgtype), "rosbags"


def messages(tracker: str) -> list[object]:
    """A second of four walking people; for ros4hri the transforms of each stamp."""
    out = []
    for k in range(STAMPS):
        ns, at = make.NS + round(k * 1e9 / RATE_HZ), k / RATE_HZ
        people = {i: [make.person(j, at, float(i)) for j in ("zed38", "k4a32", "coco17")] for i in range(PEOPLE)}
        if tracker == "zed":
            out.append(make.zed({i: p[0] for i, p in people.items()}, ns))
        elif tracker == "azure_kinect":
            out.append(make.azure_kinect({i: p[1] for i, p in people.items()}, ns))
        elif tracker == "yolo":
            out.append(make.yolo([(str(i), p[2]) for i, p in people.items()], ns))
        elif tracker == "hiros":
            named = {i: dict(zip(SOURCES["coco17"], p[2], strict=True)) for i, p in people.items()}
            out.append(make.hiros(named, ns, ns))
        elif tracker == "aux_motion":
            frame = synthetic.frames(PEOPLE, 0.5)[0]
            out.append(build_message(SKELETONS, frame_fields(frame)))
        elif tracker == "ros4hri":
            body = [
                item
                for i in range(PEOPLE)
                for item in [
                    ("camera", f"body_{i}", (at, 0.0, 2.0), ns),
                    *((f"body_{i}", f"{link}_{i}", (0.1, 0.1, 0.1), ns) for link in make.LINKS if link != "body"),
                ]
            ]
            out.append(make.transforms(body))
        elif tracker in ("ros_openpose", "openptrack", "jsk"):
            joints = {"ros_openpose": "openpose25", "openptrack": "openptrack15", "jsk": "openpose18"}[tracker]
            bodies = {i: make.person(joints, at, float(i)) for i in range(PEOPLE)}
            maker = getattr(make, tracker)
            out.append(maker(bodies if tracker == "openptrack" else list(bodies.values()), ns))
        elif tracker.startswith("mocap4r2"):
            worn = {f"{i}:{j}": p for i, b in people.items() for j, p in zip(SOURCES["coco17"], b[2], strict=True)}
            out.append((make.mocap_markers if tracker == "mocap4r2_markers" else make.mocap_bodies)(worn, ns))
        else:
            count = {"openpose": 25, "mediapipe": 33, "pose_array": 17}[tracker]
            joints = {25: "openpose25", 33: "mediapipe33", 17: "coco17"}[count]
            out.append(make.poses(np.concatenate([make.person(joints, at, float(i)) for i in range(PEOPLE)]), ns))
    return out


def measure(tracker: str, rounds: int) -> dict[str, object]:
    """Quantiles of one call, milliseconds."""
    joints = ("coco17",) if tracker == "pose_array" else ()
    if tracker.startswith("mocap4r2"):
        joints = tuple(f"{joint}={joint}" for joint in SOURCES["coco17"])
    adapter = trackers.make(tracker, **({"joints": joints} if joints else {}))
    msgtype = "tf2_msgs/msg/TFMessage" if tracker == "ros4hri" else adapter.msgtype
    receive, library = receiver(msgtype)
    sent = [bytes(typestore().serialize_cdr(m, msgtype)) for m in messages(tracker)]
    if tracker == "ros4hri":
        adapter.frames(make.ids([str(i) for i in range(PEOPLE)]))
    spent, seen = [], 0
    gc.disable()  # as the node does: it collects between frames
    for round_ in range(rounds + 2):
        gc.collect()
        adapter.reset()
        if tracker == "ros4hri":
            adapter.tf.clear()
            adapter.frames(make.ids([str(i) for i in range(PEOPLE)]))
        for raw in sent:
            # just before, as in life: it is in the CPU's cache
            message = None if adapter.takes_bytes else receive(raw)
            start = time.perf_counter()
            if tracker == "ros4hri":
                adapter.tf.add(message)
                frames = adapter.poll()
            elif adapter.takes_bytes:
                frames = adapter.frames_of_bytes(raw)
            else:
                frames = adapter.frames(message)
            if round_ > 1:
                spent.append(time.perf_counter() - start)
            seen += sum(len(f.person_ids) for f in frames)
    if not seen:
        raise SystemExit(f"{tracker}: nobody was seen, nothing to measure")
    p50, p95, p99 = (round(1e3 * float(v), 4) for v in np.percentile(spent, (50, 95, 99)))
    return {
        "tracker": tracker, "people": PEOPLE, "messages_of": "bytes" if adapter.takes_bytes else library,
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "calls": len(spent),
    }  # fmt: skip


def main() -> None:
    """Measure all, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    rows = [measure(tracker, given.rounds) for tracker in trackers.NAMES]
    for row in rows:
        print(f"{row['tracker']:18}{row['messages_of']:9} p50 {row['p50_ms']:.3f}  p99 {row['p99_ms']:.3f} ms")
    if given.json:
        about = {"python": platform.python_version(), "machine": platform.machine(), "numpy": np.__version__}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"about": about, "adapters": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
