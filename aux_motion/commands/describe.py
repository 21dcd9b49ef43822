# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion describe`: where the people of a bag are, who sent them, and in which frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aux_motion_core.bags.inputs import Recorded, choose
from aux_motion_core.bags.reader import BagReader


@dataclass(frozen=True)
class Description:
    """People in a bag.

    Attributes:
        topic: name.
        msgtype: of its messages.
        tracker: that sent them.
        fixed_frame: frame of the people; empty: it is not named.
        damage: what is wrong with the bag, in one line; empty: nothing.
    """

    topic: str
    msgtype: str
    tracker: str
    fixed_frame: str
    damage: str

    def as_json(self) -> dict[str, str]:
        """As plain values."""
        return asdict(self)

    def text(self) -> str:
        """In one line."""
        frame = f"in frame {self.fixed_frame!r}" if self.fixed_frame else "in no frame that is named"
        line = f"{self.topic} [{self.msgtype}] of tracker {self.tracker}, {frame}"
        return f"{line}; damaged: {self.damage}" if self.damage else line


def describe(bag: Path, topic: str | None, tracker: str | None, joints: Sequence[str]) -> Description:
    """Look into a bag.

    Args:
        bag: folder or file.
        topic: with people; None: the only one.
        tracker: that sent them; None: told by their type.
        joints: joint list of a tracker whose messages name none.

    Raises:
        ValueError: nothing can be read, or no topic would do; one line.
    """
    with BagReader(bag, on_damage=lambda line: None) as reader:
        chosen, tracker = choose(reader, topic, tracker)
        damage = str(reader.trouble or "")
    try:
        frame = Recorded(bag, {}, chosen.name, tracker, list(joints)).config.fixed_frame
    except ValueError:
        frame = ""  # who uses it says what is wrong
    return Description(chosen.name, chosen.msgtype, tracker, frame, damage)
