# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""ROS4HRI (REP-155): body ids on `/humans/bodies/tracked`, their joints by TF.

Facts (REP-155, ros4hri/hri_body_detect): there is no message of a 3D skeleton. A body `<id>` is `body_<id>` in the
sensor's frame and the links `head_<id>`, `l_shoulder_<id>` and so on below it, by a robot_state_publisher of its own.
Ids are not persistent: who is lost comes back under another one. The last transforms stay in TF's buffer after a body
is gone, so only the list of ids tells who is there, and only a new stamp is a new observation.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from aux_motion_core.space.tf import Pose, TfBuffer, TfError, multiply, rotate
from aux_motion_core.trackers.base import Adapter
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import stamp_to_ns

#: Link -> joint. `body` is the middle of the hips; `torso` lies at the height of the chest, at no joint of ours.
LINKS: dict[str, str] = {
    "body": "pelvis",
    "head": "head",
    **{
        f"{letter}_{part}": f"{side}_{part}"
        for letter, side in (("l", "left"), ("r", "right"))
        for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    },
}
_JOINTS = tuple(LINKS.values())
_NOWHERE = (float("nan"),) * 3
_Place: TypeAlias = tuple[float, float, float]
#: Longer than this a link that lags behind the others is not waited for, nanoseconds.
_LAG_NS = 200_000_000
#: Stamps this much older than what was told are of a clock that was set back, nanoseconds.
_BACK_NS = 1_000_000_000


class Ros4Hri(Adapter):
    """Bodies of ROS4HRI. Feed `tf` with /tf and /tf_static, then ask `poll`.

    Args:
        tf: buffer that is fed elsewhere (the node's); None: one of its own, `self.tf`.
    """

    name = "ros4hri"
    msgtype = "hri_msgs/msg/IdsList"
    topic = "/humans/bodies/tracked"
    install = "apt install ros-$ROS_DISTRO-hri-msgs, or build https://github.com/ros4hri/hri_msgs (humble-devel)"
    needs_tf = True

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "", tf: TfBuffer | None = None) -> None:
        super().__init__(joints, frame_id)
        self.tf: TfBuffer = tf if tf is not None else TfBuffer()
        self.reset()

    def reset(self) -> None:
        """Forget who is there."""
        self._ids: tuple[str, ...] = ()
        self._told_ns: dict[str, int] = {}
        self._trees: dict[str, tuple[int, list[tuple[str, int, int, bool]]]] = {}

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """Take in the list of ids, and what `poll` then gives; nobody is a frame without people."""
        self._ids = tuple(str(i) for i in message.ids)
        for gone in [i for i in self._told_ns if i not in self._ids]:
            del self._told_ns[gone]
            self._trees.pop(gone, None)
        if not self._ids:
            return [self._nobody(stamp_to_ns(message.header.stamp), str(message.header.frame_id))]
        return self.poll()

    def poll(self) -> list[SkeletonFrame]:
        """Bodies of whom TF tells a new pose, one frame per sensor frame and stamp."""
        groups: dict[tuple[int, str], list[tuple[str, list[_Place | None]]]] = {}
        for person_id in self._ids:
            root = self.tf.edge(f"body_{person_id}")
            if root is None or root.static:
                self.counters["ros4hri_body_without_tf"] += 1
                continue
            newest, told = root.stamps[-1], self._told_ns.get(person_id, 0)
            if newest < told - _BACK_NS:
                told = 0  # the clock was set back
            if newest <= told:
                continue
            tree = self._tree(person_id)
            # the links come from another process than the body: as new as all of them, but who is long behind
            stamp_ns = newest
            for frame, *_ in tree[1:]:
                edge = self.tf.edge(frame)
                if edge is not None and not edge.static and newest - _LAG_NS < edge.stamps[-1] < stamp_ns:
                    stamp_ns = edge.stamps[-1]
            if stamp_ns <= told:
                continue
            places = self._places(tree, stamp_ns)
            if sum(p is not None for p in places) <= 1 < len(tree):
                continue  # links that are not there yet
            self._told_ns[person_id] = stamp_ns
            groups.setdefault((stamp_ns, root.parent), []).append((person_id, places))
        frames = []
        for (stamp_ns, sensor), people in groups.items():
            positions = np.array([[_NOWHERE if p is None else p for p in places] for _, places in people])
            frames.append(self._frame(stamp_ns, sensor, [i for i, _ in people], positions, joints=_JOINTS))
        return sorted(frames, key=lambda f: f.stamp_ns)

    def _tree(self, person_id: str) -> list[tuple[str, int, int, bool]]:
        """From the body down to all known links: (frame, place of its parent in this list, row of its joint or -1,
        whether none of them is below it)."""
        count = len(self.tf)
        known = self._trees.get(person_id)
        if known is not None and known[0] == count:
            return known[1]
        root = f"body_{person_id}"
        tree, at = [(root, -1, _JOINTS.index(LINKS["body"]))], {root: 0}
        row = {f"{link}_{person_id}": _JOINTS.index(joint) for link, joint in LINKS.items()}
        for link in row:
            chain = []
            frame: str | None = link
            while frame is not None and frame not in at and frame not in chain:
                chain.append(frame)
                frame = self.tf.parent(frame)
            if frame not in at:
                continue  # not below this body
            for frame in reversed(chain):
                at[frame] = len(tree)
                tree.append((frame, at[self.tf.parent(frame) or ""], row.get(frame, -1)))
        above = {place for _, place, _ in tree}
        ended = [(*entry, at not in above) for at, entry in enumerate(tree)]
        self._trees[person_id] = count, ended
        return ended

    def _places(self, tree: list[tuple[str, int, int, bool]], stamp_ns: int) -> list[_Place | None]:
        """The 13 joints in the sensor's frame, None where a link is not known at that time."""
        poses: list[Pose | None] = []
        out: list[_Place | None] = [None] * len(_JOINTS)
        for frame, above, row, last in tree:
            edge = self.tf.edge(frame)
            pose: Pose | None
            if edge is None:
                pose = None
            elif edge.static or edge.stamps[-1] == stamp_ns:
                pose = edge.poses[-1]
            else:
                try:
                    pose = self.tf.pose_in_parent(frame, stamp_ns)
                except TfError:
                    pose = None
            parent = None if above < 0 else poses[above]
            if above >= 0 and (parent is None or pose is None):
                pose = None
            elif last and parent is not None and pose is not None:  # nobody asks how it is turned
                x, y, z = rotate(parent, pose)
                out[row], pose = (x + parent[0], y + parent[1], z + parent[2]), None
            else:
                pose = pose if parent is None or pose is None else multiply(parent, pose)
                if row >= 0 and pose is not None:
                    out[row] = pose[:3]
            poses.append(pose)
        return out

    def trouble(self) -> str:
        """Says when listed bodies have no transforms."""
        without = [i for i in self._ids if self.tf.parent(f"body_{i}") is None]
        if not without:
            return ""
        return (
            f"no transform of body_{without[0]} on /tf: ROS4HRI's bodies need their TF frames "
            "(hri_body_detect with a robot_state_publisher for each body)"
        )
