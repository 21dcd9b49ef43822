# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How fast joints of people can move, and how far limbs reach."""

from __future__ import annotations

import numpy as np

from aux_motion_core.skeleton import JOINTS

#: Fastest motion of people, metres a second, by group of joints.
#: trunk: Bolt's 44.7 km/h between 60 and 80 m in Berlin 2009, the fastest that was measured; Coh et al., "Kinematics
#: of Usain Bolt's maximal sprint velocity", Kinesiology 50 (2018), have 12.14 m/s. hand: single maximal punches of
#: 9.26 m/s, standard deviation 2.09, at contact (Piorkowski, Lees, Barton, "Single maximal versus combination punch
#: kinematics", Sports Biomechanics 10 (2011)) and three standard deviations. foot: stands still for half of a
#: sprinter's step and so swings at twice the trunk's speed, which is above kicks (13 m/s in the CMU recordings). elbow
#: and knee: halfway between the trunk and the end of the limb.
SPEED_LIMITS_MPS = {"trunk": 12.4, "elbow": 14.2, "hand": 16.0, "knee": 18.6, "foot": 24.8}
_GROUP_OF = {"elbow": "elbow", "wrist": "hand", "hand": "hand", "knee": "knee", "ankle": "foot", "foot": "foot"}
#: (20,) of each joint.
JOINT_LIMITS_MPS = np.array([SPEED_LIMITS_MPS[_GROUP_OF.get(j.split("_")[-1], "trunk")] for j in JOINTS])

#: Two poses of one limb are no farther apart than this: twice the length of an arm; metres.
LIMB_SPAN_M = 1.5
