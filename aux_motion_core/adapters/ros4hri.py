"""ROS4HRI (REP-155): body ids on `/humans/bodies/tracked`, their joints by TF.

Facts (REP-155, ros4hri/hri_body_detect): there is no message of a 3D skeleton. A body `<id>` is `body_<id>` in the
sensor's frame and the links `head_<id>`, `l_shoulder_<id>` and so on below it, by a robot_state_publisher of its own.
Ids are not persistent: who is lost comes back under another one. The last transforms stay in TF's buffer after a body
is gone, so only the list of ids tells who is there, and only a new stamp is a new observation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.adapters.base import Adapter
from aux_motion_core.messages import stamp_to_ns
from aux_motion_core.tf import Pose, TfBuffer, TfError, multiply
from aux_motion_core.types import SkeletonFrame

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
_NS = 1_000_000_000
#: Without a word of its id list a body is no longer there, nanoseconds.
_LIST_AGE_NS = 5 * _NS
#: Longer than this a link that lags behind the others is not waited for, nanoseconds.
_LAG_NS = 200_000_000


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
        self.tf = tf if tf is not None else TfBuffer()
        self.reset()

    def reset(self) -> None:
        """Forget who is there."""
        self._ids: tuple[str, ...] = ()
        self._told_ns: dict[str, int] = {}
        self._links: dict[str, tuple[int, dict[str, str]]] = {}

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """Take in the list of ids, and what `poll` then gives; nobody is a frame without people."""
        self._ids = tuple(str(i) for i in message.ids)
        for gone in [i for i in self._told_ns if i not in self._ids]:
            del self._told_ns[gone]
            self._links.pop(gone, None)
        if not self._ids:
            return [self._nobody(stamp_to_ns(message.header.stamp), str(message.header.frame_id))]
        return self.poll()

    def poll(self) -> list[SkeletonFrame]:
        """Bodies of whom TF tells a new pose, one frame per sensor frame and stamp."""
        groups: dict[tuple[int, str], list[tuple[str, np.ndarray]]] = {}
        for person_id in self._ids:
            root = f"body_{person_id}"
            sensor = self.tf.parent(root)
            newest = self.tf.newest_of(root)
            if sensor is None or newest is None:
                self.counters["ros4hri_body_without_tf"] += sensor is None
                continue
            if newest <= self._told_ns.get(person_id, 0):
                continue
            links = self._links_of(person_id)
            # the links come from another process than the body: all of them, or those that are not long behind
            times = [t for t in (self._newest(frame, root) for frame in links.values()) if t is not None]
            fresh = [t for t in times if t > newest - _LAG_NS]
            stamp_ns = min(newest, min(fresh, default=newest))
            if stamp_ns <= self._told_ns.get(person_id, 0):
                continue
            positions = self._positions(sensor, links, stamp_ns)
            if np.isfinite(positions).all(-1).sum() <= 1 < len(links):
                continue  # links that are not there yet
            self._told_ns[person_id] = stamp_ns
            groups.setdefault((stamp_ns, sensor), []).append((person_id, positions))
        frames = [
            self._frame(stamp_ns, sensor, [i for i, _ in people], np.stack([p for _, p in people]), joints=_JOINTS)
            for (stamp_ns, sensor), people in groups.items()
        ]
        return sorted(frames, key=lambda f: f.stamp_ns)

    def _links_of(self, person_id: str) -> dict[str, str]:
        """Joint -> frame of the links that TF knows."""
        count = len(self.tf)
        known = self._links.get(person_id)
        if known is None or known[0] != count:
            found = {joint: f"{link}_{person_id}" for link, joint in LINKS.items()}
            known = count, {joint: frame for joint, frame in found.items() if self.tf.parent(frame) is not None}
            self._links[person_id] = known
        return known[1]

    def _newest(self, frame: str, root: str) -> int | None:
        """Newest time of a link below the body, None where it is fixed to it."""
        newest = None
        while frame != root:
            told = self.tf.newest_of(frame)
            if told is not None:
                newest = told if newest is None else min(newest, told)
            parent = self.tf.parent(frame)
            if parent is None:
                return None
            frame = parent
        return newest

    def _positions(self, sensor: str, links: dict[str, str], stamp_ns: int) -> np.ndarray:
        """(14, 3) metres in the sensor's frame, NaN where a link is not known at that time."""
        poses: dict[str, Pose | None] = {}

        def pose(frame: str) -> Pose | None:
            if frame not in poses:
                poses[frame] = None  # also for loops
                parent = self.tf.parent(frame)
                try:
                    own = self.tf.pose_in_parent(frame, stamp_ns) if parent is not None else None
                except TfError:
                    own = None
                if own is not None and parent != sensor:
                    above = pose(parent)
                    own = None if above is None else multiply(above, own)
                poses[frame] = own
            return poses[frame]

        out = np.full((len(_JOINTS), 3), np.nan)
        for row, joint in enumerate(_JOINTS):
            found = pose(links[joint]) if joint in links else None
            if found is not None:
                out[row] = found[:3]
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
