# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Parameters of the outputs for planners; `parameters.NodeParameters` includes them."""

from __future__ import annotations

from pydantic import Field

from aux_motion.nodes.declaration import AT_CONFIGURE
from aux_motion_core.safety.occupancy import OccupancyConfig


class PlannerOutputParameters(OccupancyConfig):
    """Parameters of the outputs for planners. All of them apply at configure."""

    publish_occupancy: bool = Field(
        False,
        description="Publish occupancy (aux_motion_msgs/OccupancyArray): capsules of every person and interval. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_occupancy_markers: bool = Field(
        False,
        description="Publish occupancy_markers (MarkerArray): the capsules for RViz. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_swept_volume: bool = Field(
        False,
        description="Publish swept_volume (sensor_msgs/PointCloud2): filled voxels of all capsules, for Nav2's "
        "obstacle layers and MoveIt's octomap. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    swept_volume_resolution_m: float = Field(
        0.05, ge=0.01, le=0.5, description="Edge of a voxel. Applied at configure.", json_schema_extra=AT_CONFIGURE
    )
    swept_volume_max_points: int = Field(
        200_000,
        ge=1_000,
        le=5_000_000,
        description="Points of swept_volume at most: where there would be more, voxels are twice as large. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_human_poses: bool = Field(
        False,
        description="Publish poses (geometry_msgs/PoseArray): joint positions as ssm_safety reads them. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    human_poses_ahead_s: float = Field(
        0.0,
        ge=0.0,
        le=2.0,
        description="Predicted joints up to this time are in poses too; 0: the present ones only. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_collision_objects: bool = Field(
        False,
        description="Publish collision_object (moveit_msgs/CollisionObject): the capsules of each person as an object "
        "of MoveIt's planning scene. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    coarse_interval_s: float = Field(
        0.2,
        ge=0.04,
        le=2.0,
        description="Interval of a capsule of the swept volume and the collision objects. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_people: bool = Field(
        False,
        description="Publish people (people_msgs/People) for Nav2's social layers. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    publish_tf: bool = Field(
        False,
        description="Publish the joints of people as TF frames, <link>_<id> by REP-155 (body_7, l_wrist_7). Applied at "
        "configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    tf_ahead_s: float = Field(
        0.5,
        ge=0.0,
        le=2.0,
        description="Predicted joints this long after what was seen are TF frames too, <link>_<id>_predicted; 0: none. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    tf_prefix: str = Field(
        "",
        description="Before the names of the TF frames; needed where the tracker (ros4hri) publishes the same names. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    planner_outputs_max_rate_hz: float = Field(
        10.0,
        ge=0.1,
        le=60.0,
        description="Most messages a second of each output but occupancy (collision objects: 10 at most). "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
