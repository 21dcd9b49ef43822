# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How thick the body is about its skeleton, from measured people.

Source: ANSUR II, the 2012 anthropometric survey of US Army personnel (Gordon et al., NATICK/TR-15/007, 2014), public
data of 4082 men and 1986 women. Each number below is a percentile of the published measurements, the larger one of men
and women. Soldiers are leaner than the public: hence the 99th percentile by default, and `clothing_m` comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from aux_motion_core.skeleton import BONES, JOINTS

#: Millimetres: 50th, 95th and 99th percentile, the larger one of men and women.
_ANSUR2_MM: dict[str, tuple[int, int, int]] = {
    "chest_depth": (253, 298, 321),
    "chest_breadth": (289, 320, 335),
    "waist_depth": (234, 300, 329),
    "waist_breadth": (325, 385, 413),
    "hip_breadth": (353, 400, 423),
    "buttock_depth": (246, 291, 313),
    "biceps_circumference_flexed": (357, 418, 448),
    "forearm_circumference_flexed": (310, 348, 365),
    "thigh_circumference": (624, 723, 774),
    "calf_circumference": (392, 443, 467),
    "hand_breadth": (88, 96, 99),
    "hand_length": (193, 210, 218),
    "foot_length": (271, 293, 302),
    "foot_breadth": (102, 111, 115),
    "tragion_to_top_of_head": (131, 141, 145),
    "cervicale_to_top_of_head": (239, 260, 270),  # stature less cervicale height
}
TABLES: dict[str, int] = {"ansur2_p50": 0, "ansur2_p95": 1, "ansur2_p99": 2}

#: Limbs whose lengths say whether somebody is larger or smaller than the table: 1st percentile of women and 99th of men
#: in metres (acromion to radiale, radiale to stylion, trochanterion to lateral epicondyle, epicondyle to malleolus).
_LIMB_RANGE_M = {"elbow": (0.271, 0.377), "wrist": (0.210, 0.308), "knee": (0.326, 0.479), "ankle": (0.345, 0.479)}
#: Joints of trackers are not the landmarks of the survey.
LANDMARK_TOLERANCE = 0.10
#: Nobody has limbs so many times as long as the longest of the table: such a skeleton is in another unit than metres.
LARGEST_SCALE = 2.0
#: The ankle joint is so far before the heel, as a share of the foot.
_HEEL_SHARE = 0.25
#: The spine joints of skeletons lie in the back third of the trunk.
_BELLY_SHARE = 2.0 / 3.0

_SEGMENT_OF = {
    "spine": "abdomen",
    "neck": "chest",
    "head": "head",
    "shoulder": "shoulder",
    "elbow": "upper_arm",
    "wrist": "forearm",
    "hand": "hand",
    "hip": "hip",
    "knee": "thigh",
    "ankle": "shank",
    "foot": "foot",
}


def _segment_name(joint: str) -> str:
    side, _, part = joint.rpartition("_")
    return f"{side}_{_SEGMENT_OF[part]}" if side else _SEGMENT_OF[part]


#: A body segment is a bone: (19, 2) joints at its two ends, and its name.
SEGMENT_JOINTS: np.ndarray = np.array(BONES)
SEGMENTS: tuple[str, ...] = tuple(_segment_name(JOINTS[child]) for _, child in BONES)
SEGMENT_INDEX: dict[str, int] = {name: i for i, name in enumerate(SEGMENTS)}

_LIMBS = np.array([i for i, (_, child) in enumerate(BONES) if JOINTS[child].split("_")[-1] in _LIMB_RANGE_M])
_LIMB_M = np.array([_LIMB_RANGE_M[JOINTS[BONES[i][1]].split("_")[-1]] for i in _LIMBS])
#: Segments of which the skeleton holds only the first part, and what the rest follows from.
ENDS: tuple[str, ...] = ("head", "left_hand", "right_hand", "left_foot", "right_foot")
_END_ROWS = np.array([SEGMENT_INDEX[name] for name in ENDS])


@dataclass(frozen=True)
class BodyShape:
    """Thickness of the body about its bones.

    Attributes:
        name: table and percentile.
        radius_m: (19,) least radius of each of `SEGMENTS`, clothes included.
        reach_m: (5,) from the first joint of each of `ENDS` to the tip of head, hand or foot (with what it carries).
        end_margin_m: (5,) clothes, and what a hand carries.
    """

    name: str
    radius_m: np.ndarray
    reach_m: np.ndarray
    end_margin_m: np.ndarray

    def radii(self, poses: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Radius of each segment that holds flesh, clothes and the parts beyond the last joint.

        A tip that is `reach` from the wrist is `reach - bone` from the hand joint when the hand is straight, and nearer
        when it is bent; so a tracker whose hand joint is near the wrist gets a larger ball.

        Args:
            poses: (P, S, 20, 3) metres.
            scale: (P,) factor of the thickness.

        Returns:
            (P, 19) metres.
        """
        start, end = SEGMENT_JOINTS[_END_ROWS].T
        bone = poses[:, :, end] - poses[:, :, start]
        shortest = np.sqrt(np.einsum("psec,psec->pse", bone, bone).min(1))
        out = np.multiply.outer(scale, self.radius_m)
        beyond = np.multiply.outer(scale, self.reach_m) - shortest + self.end_margin_m
        out[:, _END_ROWS] = np.maximum(out[:, _END_ROWS], beyond)
        return out


def body(
    table: str = "ansur2_p99",
    clothing_m: float = 0.02,
    hand_length_m: float = 0.0,
    head_length_m: float = 0.0,
    foot_length_m: float = 0.0,
    carried_object_m: float = 0.0,
) -> BodyShape:
    """The body of a table.

    Args:
        table: one of `TABLES`.
        clothing_m: added all round.
        hand_length_m: wrist to fingertip; 0: the table's.
        head_length_m: base of the neck to the top of the head; 0: the table's.
        foot_length_m: heel to toe; 0: the table's.
        carried_object_m: how far a tool or part reaches beyond the hand.

    Raises:
        ValueError: no such table.
    """
    if table not in TABLES:
        raise ValueError(f"anthropometry is {table!r}: expected one of {', '.join(TABLES)}")
    mm = {name: values[TABLES[table]] * 1e-3 for name, values in _ANSUR2_MM.items()}
    hand = hand_length_m or mm["hand_length"]
    head = head_length_m or mm["cervicale_to_top_of_head"]
    foot = foot_length_m or mm["foot_length"]
    thickness = {
        "abdomen": max(mm["waist_breadth"] / 2, mm["hip_breadth"] / 2, _BELLY_SHARE * mm["waist_depth"]),
        "chest": max(mm["chest_breadth"] / 2, _BELLY_SHARE * mm["chest_depth"]),
        "head": mm["tragion_to_top_of_head"],
        "shoulder": mm["chest_depth"] / 2,
        "upper_arm": mm["biceps_circumference_flexed"] / (2 * pi),
        "forearm": mm["forearm_circumference_flexed"] / (2 * pi),
        "hand": mm["hand_breadth"] / 2,
        "hip": mm["buttock_depth"] / 2,
        "thigh": mm["thigh_circumference"] / (2 * pi),
        "shank": mm["calf_circumference"] / (2 * pi),
        "foot": max(mm["foot_breadth"] / 2, _HEEL_SHARE * foot),
    }
    radius = np.array(
        [thickness[name.split("_", 1)[1] if name[:5] in ("left_", "right") else name] for name in SEGMENTS]
    )
    hands = np.array([name.endswith("hand") for name in SEGMENTS])
    radius = radius + clothing_m + np.where(hands, carried_object_m, 0.0)
    reach = np.array([head, hand, hand, (1 - _HEEL_SHARE) * foot, (1 - _HEEL_SHARE) * foot])
    margin = clothing_m + np.array([0.0, carried_object_m, carried_object_m, 0.0, 0.0])
    return BodyShape(table, radius, reach, margin)


def body_scale(pose: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Whether people are larger or smaller than the people of the table, by the lengths of their limbs.

    Args:
        pose: (P, 20, 3) metres.
        seen: (P, 20) bool; limbs with an unseen end are not measured.

    Returns:
        (P,) 1 where the limbs are within the 1st percentile of women and the 99th of men, with a tolerance of 10 %;
        larger than 1: limbs over the largest; below 1: limbs over the smallest.
    """
    start, end = SEGMENT_JOINTS[_LIMBS].T
    bone = pose[:, end] - pose[:, start]
    length = np.sqrt(np.einsum("plc,plc->pl", bone, bone))
    measured = seen[:, start] & seen[:, end]
    total = np.where(measured, length, 0.0).sum(1)
    least, most = (measured @ _LIMB_M).T
    with np.errstate(invalid="ignore", divide="ignore"):
        larger, smaller = total / most, total / least
    large = larger > 1.0 + LANDMARK_TOLERANCE
    small = smaller < 1.0 - LANDMARK_TOLERANCE
    return np.where(large, larger, np.where(small, smaller, 1.0))
