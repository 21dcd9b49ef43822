# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""People as objects of MoveIt's planning scene (moveit_msgs, shape_msgs)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion

from aux_motion.nodes.planner_messages import header, upright_rotations
from aux_motion_core.safety.occupancy import Occupancy

#: Name of a predictor that is alone; its objects are named by the people only.
_USUAL = "/aux_motion_predictor"


def memory_of(node: str) -> Path:
    """Where the names of a node's objects are kept, below ROS_HOME (~/.ros).

    Args:
        node: fully qualified name.
    """
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    name = node.strip("/").replace("/", ".")
    return home / "aux_motion" / f"{name}.domain_{os.environ.get('ROS_DOMAIN_ID') or 0}.collision_objects"


class CollisionObjects:
    """People as objects of MoveIt's planning scene: each capsule a cylinder and two spheres.

    Args:
        messages: the module `moveit_msgs.msg`.
        node: fully qualified name; a second predictor's objects must not replace or remove those of the first.
        memory: file that keeps the names of the objects that are shown. An object stays in the scene until its REMOVE,
            so those of a run that was killed are removed by the next one. None: nothing is kept.

    Attributes:
        trouble: why the file cannot be used, in one line; empty: it can.
    """

    def __init__(self, messages: Any, memory: Path | None = None, node: str = _USUAL) -> None:
        self._kind = messages.CollisionObject
        self._prefix = "aux_motion" if node == _USUAL else f"aux_motion/{node.strip('/')}"
        self._memory, self.trouble = memory, ""
        self._shown: set[str] = set()
        if memory is not None:
            try:
                self._shown = {line for line in memory.read_text(encoding="utf-8").splitlines() if line}
            except FileNotFoundError:
                pass
            except (OSError, UnicodeDecodeError) as error:
                self._cannot("read", error)

    def update(self, occupancy: Occupancy) -> Iterator[Any]:
        """Messages that bring a planning scene up to date.

        An ADD for every person, which replaces the object, and a REMOVE for each who is no longer there.
        """
        ids = {f"{self._prefix}/{i}": k for k, i in enumerate(occupancy.person_ids)}
        for gone in sorted(self._shown - set(ids)):
            yield self._removal(gone, occupancy.frame_id, occupancy.stamp_ns)
        if self._shown != set(ids):
            self._shown = set(ids)
            self._keep()  # before the objects: one too many is removed for nothing, one too few stays for ever
        for name, k in ids.items():
            yield self._person(name, k, occupancy)

    def _keep(self) -> None:
        if self._memory is None:
            return
        part = self._memory.with_name(f"{self._memory.name}.part")
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            part.write_text("".join(f"{name}\n" for name in sorted(self._shown)), encoding="utf-8")
            part.replace(self._memory)
        except OSError as error:
            self._cannot("write", error)

    def _cannot(self, what: str, error: Exception) -> None:
        self.trouble = (
            f"cannot {what} {self._memory} ({getattr(error, 'strerror', None) or error}): after a crash, objects of "
            "people stay in the planning scene; set ROS_HOME to a folder that can be written"
        )

    def _removal(self, name: str, frame_id: str, stamp_ns: int) -> Any:
        message = self._kind(header=header(frame_id, stamp_ns), id=name)
        message.operation = self._kind.REMOVE
        return message

    def _person(self, name: str, k: int, occupancy: Occupancy) -> Any:
        from shape_msgs.msg import SolidPrimitive

        ends = occupancy.ends[k].reshape(-1, 2, 3).astype(np.float64)
        radius = occupancy.radius[k].reshape(-1).astype(np.float64)
        usable = np.isfinite(ends).all((1, 2)) & np.isfinite(radius)
        ends, radius = ends[usable], radius[usable]
        length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        rows = zip(
            ends.tolist(), ends.mean(1).tolist(), radius.tolist(), length.tolist(), upright_rotations(ends).tolist()
        )
        upright = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        shapes, poses = [], []
        for (a, b), middle, r, along, q in rows:
            if along > 1e-6:
                shapes.append(SolidPrimitive(type=SolidPrimitive.CYLINDER, dimensions=[along, r]))
                turned = Quaternion(x=q[0], y=q[1], z=q[2], w=q[3])
                poses.append(Pose(position=Point(x=middle[0], y=middle[1], z=middle[2]), orientation=turned))
            for x, y, z in (a, b):
                shapes.append(SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[r]))
                poses.append(Pose(position=Point(x=x, y=y, z=z), orientation=upright))
        message = self._kind(header=header(occupancy.frame_id, occupancy.stamp_ns), id=name)
        message.pose.orientation.w = 1.0
        message.primitives, message.primitive_poses = shapes, poses
        message.operation = self._kind.ADD
        return message
