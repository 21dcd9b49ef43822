# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion calibrate-cameras`: where trackers are to each other, from somebody who walks in front of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion.commands.files import write_text
from aux_motion_core import trackers
from aux_motion_core.bags.files import BagError, Topic
from aux_motion_core.bags.inputs import choose, read_frames
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.space.frames import Frames, static_transforms
from aux_motion_core.space.registration import PersonStream, Registration, RegistrationError, register
from aux_motion_core.trackers.settings import InputConfig
from aux_motion_core.types import SkeletonFrame

#: Somebody else may be seen in so many frames, and the walk is still one person's; so many people are tried else.
_OTHERS_SHARE, _TRIED = 0.1, 3
#: A larger clock offset moves a walking person by centimetres.
_CLOCK_S = 0.02
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Camera:
    """A tracker and where it is.

    Attributes:
        topic: of its messages.
        frame_id: of its positions.
        fixed_frame: where it was brought to.
        reference: topic of the tracker that it was compared with.
        found: rotation, translation, clock offset and residual.
        others: `static_transforms` of other frames that the parameter file has.
    """

    topic: str
    frame_id: str
    fixed_frame: str
    reference: str
    found: Registration
    others: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The pose of its frame in the fixed frame, as `static_transforms` takes it."""
        turned = Rotation.from_matrix(self.found.rotation).as_quat()
        turned = turned if turned[3] >= 0.0 else -turned
        numbers = " ".join(f"{v:.4f}" for v in self.found.translation) + " " + " ".join(f"{v:.6f}" for v in turned)
        return f"{self.frame_id} {numbers}"


def calibrate(
    bag: Path,
    topics: Sequence[str] = (),
    names: Sequence[str] = (),
    joints: Sequence[str] = (),
    frames: Sequence[str] = (),
    parameters: dict[str, Any] | None = None,
    fixed_frame: str | None = None,
    max_offset_s: float = 1.0,
) -> list[Camera]:
    """Compare every tracker of a bag with the first one.

    Args:
        bag: folder or file.
        topics: of the trackers, the reference first; empty: all of types that only trackers of people send.
        names: tracker of each topic, or one for all; empty: by the types.
        joints: joint list of a tracker whose messages name none.
        frames: frame of the positions of each topic, or one for all; empty: the messages'.
        parameters: of the node, as a parameter file has them: where the reference camera is.
        fixed_frame: where to bring the others; None: as in `parameters`, else the reference camera's frame.
        max_offset_s: clock offsets up to this are tried.

    Raises:
        ValueError: the bag or the walk does not tell; one line.
    """
    values = {k: v for k, v in (parameters or {}).items() if k in InputConfig.model_fields and v != ""}
    given = fixed_frame or values.get("fixed_frame")
    config = InputConfig.model_validate({**values, "fixed_frame": given or _UNKNOWN})
    chosen = _choose(bag, topics, names)
    if len(frames) not in (0, 1, len(chosen)):
        raise BagError(f"--frames has {len(frames)} names: expected none, one, or {len(chosen)} as there are topics")
    named = list(frames) * len(chosen) if len(frames) == 1 else list(frames) or [""] * len(chosen)
    made = None
    if given:
        more = static_transforms(config.given("static_transforms"))
        made = Frames(
            given, config.static_transform_frame, config.static_transform, more, no_tf=f"bag {bag} has no /tf"
        )
    given_lines = config.given("static_transforms")
    (first, _), *others = chosen
    reference = _read(bag, chosen[0], joints, named[0], made)
    out = []
    for one, frame_id in zip(others, named[1:], strict=True):
        second = _read(bag, one, joints, frame_id, None)
        if second.frame_id == (given or reference.frame_id):
            raise BagError(
                f"{one[0].name} and {first.name} both name frame {second.frame_id} for their positions: give each "
                "camera's own with --frames"
            )
        found = _register(reference, second, max_offset_s)
        kept = tuple(line for line in given_lines if line.split()[0].strip("/,") != second.frame_id)
        out.append(Camera(one[0].name, second.frame_id, given or reference.frame_id, first.name, found, kept))
    return out


def _choose(bag: Path, topics: Sequence[str], names: Sequence[str]) -> list[tuple[Topic, str]]:
    """Topics and their trackers, the reference first."""
    with BagReader(bag, on_damage=lambda line: None) as reader:
        if not topics:
            telling = _telling()
            found = [(t, telling[t.msgtype]) for t in reader.topics if t.msgtype in telling and t.count]
            if len(found) < 2:
                there = ", ".join(map(str, reader.topics)) or "no topics at all"
                raise BagError(
                    f"bag {bag}: expected topics of two or more trackers, got {len(found)}: record both, or name them "
                    f"with --topics and --trackers; it has: {there}"
                )
            return found
        if len(topics) < 2:
            raise BagError("--topics has one topic: expected two or more, the reference first")
        if len(names) not in (0, 1, len(topics)):
            raise BagError(f"--trackers has {len(names)} names: expected none, one, or {len(topics)} as --topics")
        each = list(names) * len(topics) if len(names) == 1 else list(names) or [None] * len(topics)
        return [choose(reader, topic, name) for topic, name in zip(topics, each, strict=True)]


def _telling() -> dict[str, str]:
    """Types that one tracker only sends, and its name."""
    kinds = {t for kind in trackers.NAMES.values() for t in kind.types()}
    only = {t: found[0] for t in kinds if len(found := trackers.for_type(t)) == 1}
    return {t: name for t, name in only.items() if not trackers.NAMES[name].needs_tf}


@dataclass
class _Walk:
    """What one tracker saw."""

    topic: str
    frame_id: str
    frames: list[SkeletonFrame]

    def streams(self) -> list[PersonStream]:
        """The person that it saw; several where it is not clear who that was, the one who was seen most first."""
        counts = Counter(i for frame in self.frames for i in frame.person_ids)
        several = sum(len(frame.person_ids) > 1 for frame in self.frames)
        if several <= _OTHERS_SHARE * sum(bool(frame.person_ids) for frame in self.frames):
            return [self._stream({i: rank for rank, (i, _) in enumerate(counts.most_common())})]
        return [self._stream({i: 0}) for i, _ in counts.most_common(_TRIED)]

    def _stream(self, rank: dict[str, int]) -> PersonStream:
        """One person of each frame: of those asked for the first in rank."""
        times, places, seen = [], [], []
        for frame in sorted(self.frames, key=lambda f: f.stamp_ns):
            rows = [(rank[i], row) for row, i in enumerate(frame.person_ids) if i in rank]
            if not rows or (times and frame.stamp_ns * 1e-9 <= times[-1]):
                continue
            row = min(rows)[1]
            status = frame.status[row]
            real = (status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED)
            real &= np.isfinite(frame.positions[row]).all(-1)
            times.append(frame.stamp_ns * 1e-9)
            places.append(np.where(real[:, None], frame.positions[row], 0.0))
            seen.append(real)
        if not times:
            raise RegistrationError(f"{self.topic} saw nobody: record somebody who walks where both trackers see them")
        return PersonStream(np.array(times), np.stack(places), np.stack(seen))


def _read(bag: Path, one: tuple[Topic, str], joints: Sequence[str], frame_id: str, frames: Frames | None) -> _Walk:
    topic, name = one
    wanted = joints if trackers.adapter_class(name).takes_joints else ()
    errors: list[ValueError] = []
    found = [
        f
        for _, f in read_frames(
            bag, topic.name, name, wanted, frame_id, frames, on_bad=errors.append, on_damage=lambda line: None
        )
    ]
    if not any(f.person_ids for f in found):
        why = f": {' '.join(str(errors[0]).split())}" if errors else ""
        raise RegistrationError(f"{topic.name} saw nobody{why or ': record somebody who walks where both see them'}")
    named = Counter(f.frame_id.lstrip("/") for f in found if f.person_ids)
    if len(named) > 1:
        raise RegistrationError(
            f"{topic.name} names several frames: {', '.join(named)}; expected a camera that is fixed"
        )
    frame = next(iter(named))
    if not frame:
        raise RegistrationError(f"{topic.name} names no frame for its positions: give it with --frames")
    return _Walk(topic.name, frame, found)


def _register(first: _Walk, second: _Walk, max_offset_s: float) -> Registration:
    """The best of all pairs of people that may be one.

    Raises:
        RegistrationError: none of them determines the transform.
    """
    found: list[Registration] = []
    refused: list[RegistrationError] = []
    for a in first.streams():
        for b in second.streams():
            try:
                found.append(register(a, b, max_offset_s))
            except RegistrationError as error:
                refused.append(error)
    if not found:
        raise RegistrationError(f"{second.topic} to {first.topic}: {refused[0]}")
    return min(found, key=lambda r: r.residual_m)


def text(cameras: list[Camera]) -> str:
    """The answer for people, with the lines to paste."""
    lines = []
    for c in cameras:
        offset_ms, found = 1e3 * c.found.offset_s, c.found
        lines += [
            f"{c.topic} to {c.reference}, from {found.pairs} joints in {found.seconds:.1f} s",
            f"  residual      {1e3 * found.residual_m:.0f} mm (root mean square; parts of the recording differ by at "
            f"most {1e3 * found.spread_m:.0f} mm)",
            f"  clock offset  {offset_ms:+.0f} ms (stamps of {c.topic} minus those of {c.reference})",
        ]
        if abs(found.offset_s) > _CLOCK_S:
            lines.append(
                f"                somebody who walks is {abs(1.3 * offset_ms) / 10:.0f} cm elsewhere: synchronise the "
                "clocks (chrony, PTP), or have both stamped when the picture is taken"
            )
        if found.other_offset_s is not None:
            lines.append(
                f"                {1e3 * found.other_offset_s:+.0f} ms fits as well: the steps repeat; walk less "
                "evenly, turn, stop, or limit it with --max-offset"
            )
    fixed = cameras[0].fixed_frame
    lines += ["", f"for the parameter file, with fixed_frame: {fixed} (its z must point up):"]
    measured = {c.frame_id for c in cameras}
    kept = [line for line in cameras[0].others if line.split()[0].strip("/,") not in measured]
    lines.append("    static_transforms: [" + ", ".join(map(json.dumps, [*kept, *(c.line for c in cameras)])) + "]")
    return "\n".join(lines)


def write_json(cameras: list[Camera], path: Path) -> None:
    """Write the answer as JSON.

    Raises:
        EvaluateError: it cannot be written.
    """
    plain: list[dict[str, Any]] = [
        {
            "topic": c.topic,
            "reference": c.reference,
            "frame_id": c.frame_id,
            "fixed_frame": c.fixed_frame,
            "static_transform": c.line,
            "rotation": c.found.rotation.tolist(),
            "translation_m": c.found.translation.tolist(),
            "clock_offset_s": c.found.offset_s,
            "residual_m": c.found.residual_m,
            "spread_m": c.found.spread_m,
            "pairs": c.found.pairs,
            "seconds": c.found.seconds,
        }
        for c in cameras
    ]
    write_text(path, json.dumps(plain, indent=1) + "\n")
