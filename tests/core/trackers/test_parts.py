# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A body that its detector reports as two people is one; two people are two."""

import numpy as np
from support import tracker_messages as make

from aux_motion_core import trackers

NS = make.NS


def split(person):
    upper, lower = person.copy(), person.copy()
    upper[11:], lower[:11] = 0.0, 0.0
    return upper, lower


def ids(messages):
    adapter = trackers.make("pose_array", joints=("coco17",))
    return [adapter.frames(m)[0] for m in messages]


def test_an_upper_and_a_lower_half_of_one_body_are_one_person():
    rng = np.random.default_rng(3)
    messages = []
    for i in range(60):
        person = make.person("coco17", i / 30)
        rows = [person] if i % 3 else list(rng.permutation(split(person)))
        messages.append(make.poses(np.concatenate(rows), NS + i * NS // 30))
    assert len({f.person_ids for f in ids(messages)[4:]}) == 1  # though it began as two
    frames = ids(messages[1:])
    assert {f.person_ids for f in frames} == {("0",)}
    assert len({tuple(f.status[0]) for f in frames}) == 1  # no joint is lost on the way


def test_halves_that_were_never_one_body_stay_two_people():
    upper, lower = split(make.person("coco17", 0.0))
    frames = ids(make.poses(np.concatenate([upper, lower]), NS + i * NS // 30) for i in range(5))
    assert all(len(f.person_ids) == 2 for f in frames)


def test_somebody_half_hidden_who_stands_beside_is_not_joined():
    a, b = make.person("coco17", 0.0), make.person("coco17", 0.0) + (0.5, 0.0, 0.0)
    upper, _ = split(a)
    _, lower = split(b)
    messages = [make.poses(np.concatenate([a, b]), NS), make.poses(np.concatenate([upper, lower]), NS + NS // 30)]
    first, second = ids(messages)
    assert second.person_ids == first.person_ids and len(second.person_ids) == 2
