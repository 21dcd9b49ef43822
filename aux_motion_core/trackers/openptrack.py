# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""OpenPTrack: `opt_msgs/SkeletonTrackArray` on `/tracker/skeleton_tracks`.

Facts (OpenPTrack/open_ptrack_v2): 15 joints in the order of `skeleton_base.h`, in the network's world frame. All of
them come from one Kalman filter each, which goes on where the detector saw nothing; their own visibility and
confidence are never set. The track's visibility tells whether the person was detected: VISIBLE 0, OCCLUDED 1,
NOT_VISIBLE 2. The message is stamped when it is published. It is sent only when some camera detected somebody, so it
never says "nobody".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.trackers.base import Adapter, joint_count, points
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

_VISIBLE = 0


class OpenPTrack(Adapter):
    """People of OpenPTrack."""

    name = "openptrack"
    msgtype = "opt_msgs/msg/SkeletonTrackArray"
    topic = "/tracker/skeleton_tracks"
    install = "build a ROS 2 port of opt_msgs of https://github.com/OpenPTrack/open_ptrack_v2 and source it"
    default_joints = "openptrack15"

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame; without tracks one that says that nobody is seen.

        Raises:
            MessageError: another number of joints.
        """
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        count = joint_count(self.joints or ())
        tracks = [track for track in message.tracks if len(track.joints)]
        unplaced = [str(track.id) for track in message.tracks if not len(track.joints)]
        if not tracks:
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        for track in tracks:
            if len(track.joints) != count:
                raise MessageError(f"track {track.id} has {len(track.joints)} joints: expected {count} of OpenPTrack")
        positions = points([joint for track in tracks for joint in track.joints]).reshape(len(tracks), count, 3)
        guessed = np.array([track.visibility != _VISIBLE for track in tracks])
        ids = [str(track.id) for track in tracks]
        return [self._frame(stamp_ns, frame_id, ids, positions, guessed=guessed, unplaced=unplaced)]
