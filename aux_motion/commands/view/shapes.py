# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Sticks, balls and capsules as batches of viser: one draw call for all of a kind, moved in place."""

from __future__ import annotations

from typing import Any

import numpy as np

Colour = tuple[int, int, int]
#: Where what is not needed is put: of no size, far below.
_AWAY_M = -1e3
_LEAST_M = 1e-6


def tube_mesh(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Open tube of radius and length 1 along z, centred: vertices (V, 3), faces (F, 3)."""
    angle = 2.0 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    low, high = np.full((sides, 1), -0.5), np.full((sides, 1), 0.5)
    vertices = np.concatenate([np.hstack([ring, low]), np.hstack([ring, high])])
    here = np.arange(sides)
    after = (here + 1) % sides
    faces = np.concatenate(
        [np.stack([here, after, here + sides], 1), np.stack([after, after + sides, here + sides], 1)]
    )
    return vertices.astype(np.float32), faces.astype(np.uint32)


def ball_mesh(rings: int, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Sphere of radius 1 by latitude and longitude: vertices (V, 3), faces (F, 3)."""
    polar = np.pi * np.arange(1, rings) / rings
    angle = 2.0 * np.pi * np.arange(sides) / sides
    around = np.stack(
        [
            np.outer(np.sin(polar), np.cos(angle)),
            np.outer(np.sin(polar), np.sin(angle)),
            np.repeat(np.cos(polar)[:, None], sides, 1),
        ],
        -1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0.0, 0.0, 1.0]], around, [[0.0, 0.0, -1.0]]])
    here = np.arange(sides)
    after = (here + 1) % sides
    faces = [np.stack([np.zeros(sides, int), 1 + here, 1 + after], 1)]
    for ring in range(rings - 2):
        a = 1 + ring * sides
        faces.append(np.stack([a + here, a + sides + here, a + after], 1))
        faces.append(np.stack([a + after, a + sides + here, a + sides + after], 1))
    last = 1 + (rings - 2) * sides
    faces.append(np.stack([last + here, np.full(sides, len(vertices) - 1), last + after], 1))
    return vertices.astype(np.float32), np.concatenate(faces).astype(np.uint32)


def turns(along: np.ndarray) -> np.ndarray:
    """(N, 4) quaternions w x y z that turn +z to unit vectors (N, 3)."""
    w = 1.0 + along[:, 2]
    quaternion = np.stack([w, -along[:, 1], along[:, 0], np.zeros(len(along))], 1)
    down = w < 1e-6
    quaternion[down] = (0.0, 1.0, 0.0, 0.0)
    return quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)


def capsule_mesh(rings: int, sides: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Capsule along z of radius 1: directions (V, 3) from its end, the end of each (V,) 0 or 1, faces (F, 3)."""
    ball, faces = ball_mesh(2 * rings + 1, sides)
    # the ball is cut at its widest: the upper half belongs to the second end, and a band joins the halves
    return ball, (ball[:, 2] > 0.0).astype(int), faces


_CAPSULE = capsule_mesh(4, 14)


def outside(ends: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface of a body of capsules: what of each capsule's surface lies in no other one.

    Args:
        ends: (N, 2, 3) metres.
        radius: (N,) metres.

    Returns:
        Vertices (V, 3) float32 metres and faces (F, 3) uint32.
    """
    if not len(ends):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint32)
    direction, end, faces = _CAPSULE
    way = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(way, axis=1)
    along = np.where(length[:, None] > 1e-9, way / np.maximum(length, 1e-9)[:, None], (0.0, 0.0, 1.0))
    helper = np.where(np.abs(along[:, 2:]) < 0.9, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    across = np.cross(helper, along)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    axes = np.stack([across, np.cross(along, across), along], 1)  # (N, 3, 3)
    points = ends[:, end] + radius[:, None, None] * (direction @ axes)  # (N, V, 3)
    n, v = points.shape[:2]
    flat = points.reshape(-1, 3)
    # squared distance of every vertex to every capsule's axis, by products of matrices
    first = ends[:, 0]
    towards = flat @ way.T - np.einsum("nc,nc->n", first, way)
    place = np.clip(towards / np.maximum(length**2, 1e-12), 0.0, 1.0)
    apart = (flat * flat).sum(1)[:, None] - 2.0 * (flat @ first.T) + (first * first).sum(1)
    apart += place * (place * length**2 - 2.0 * towards)
    deep = np.maximum(radius - 1e-4, 0.0) ** 2 - apart
    deep[np.arange(n * v), np.repeat(np.arange(n), v)] = -np.inf  # its own
    hidden = (deep > 0.0).any(1)
    every = (faces[None] + (np.arange(n) * v)[:, None, None]).reshape(-1, 3)
    kept = every[~hidden[every].all(1)]
    used, index = np.unique(kept, return_inverse=True)
    return flat[used].astype(np.float32), index.reshape(-1, 3).astype(np.uint32)


class _Batch:
    """Copies of one mesh; there is room for more than are shown, so that the page keeps its buffers."""

    def __init__(
        self, server: Any, name: str, mesh: tuple[np.ndarray, np.ndarray], colour: Colour, opacity: float
    ) -> None:
        self._server, self._name, self._mesh, self._colour = server, name, mesh, colour
        self._opacity = None if opacity >= 1.0 else opacity
        self._room = 0
        self._handle: Any = None
        self._shown = False

    def show(self, middle: np.ndarray, turn: np.ndarray, scale: np.ndarray, colours: np.ndarray | None = None) -> None:
        """Show N copies: middles (N, 3), turns (N, 4), scales (N, 3), colours (N, 3) or the own one."""
        n = len(middle)
        if not n and not self._shown:
            return
        self._shown = n > 0
        if n > self._room:
            self._room = max(2 * self._room, n, 16)
            if self._handle is not None:
                self._handle.remove()
            self._handle = None
        rest = self._room - n
        middle = np.concatenate([middle, np.full((rest, 3), _AWAY_M)]).astype(np.float32)
        turn = np.concatenate([turn, np.tile((1.0, 0.0, 0.0, 0.0), (rest, 1))]).astype(np.float32)
        scale = np.concatenate([scale, np.full((rest, 3), _LEAST_M)]).astype(np.float32)
        colour: Any = self._colour
        if colours is not None:
            colour = np.concatenate([colours, np.zeros((rest, 3))]).astype(np.uint8)
        if self._handle is None:
            self._handle = self._server.scene.add_batched_meshes_simple(
                self._name, *self._mesh, turn, middle, batched_scales=scale, batched_colors=colour,
                opacity=self._opacity, lod="off", material="toon5", cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            return
        handle = self._handle
        handle.batched_positions, handle.batched_wxyzs, handle.batched_scales = middle, turn, scale
        if colours is not None:
            handle.batched_colors = colour


class Skin:
    """A mesh that changes: one body at a time, see `outside`.

    Args:
        server: of viser.
        name: in the scene's tree.
        colour: RGB, 0 to 255.
        opacity: 0 to 1.
    """

    def __init__(self, server: Any, name: str, colour: Colour, opacity: float) -> None:
        self._server, self._name, self._colour, self._opacity = server, name, colour, opacity
        self._handle: Any = None

    def show(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Show vertices (V, 3) and faces (F, 3)."""
        if not len(faces):
            if self._handle is not None:
                self._handle.visible = False
            return
        if self._handle is None:
            self._handle = self._server.scene.add_mesh_simple(
                self._name, vertices, faces, color=self._colour, opacity=self._opacity, material="toon5",
                cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            return
        self._handle.vertices, self._handle.faces, self._handle.visible = vertices, faces, True


class Sticks:
    """Lines with a thickness between pairs of points, with balls at their ends where asked.

    Args:
        server: of viser.
        name: in the scene's tree.
        colour: RGB, 0 to 255.
        opacity: 0 to 1.
        ends: capsules: a ball at each end.
        sides: of the tubes.
    """

    def __init__(
        self, server: Any, name: str, colour: Colour, opacity: float = 1.0, ends: bool = False, sides: int = 6
    ) -> None:
        self._tubes = _Batch(server, f"{name}/tubes", tube_mesh(sides), colour, opacity)
        self._balls = (
            _Batch(server, f"{name}/balls", ball_mesh(max(sides // 2, 4), sides), colour, opacity) if ends else None
        )

    def show(self, ends: np.ndarray, radius: np.ndarray | float, colours: np.ndarray | None = None) -> None:
        """Show N sticks; what is not finite is left out.

        Args:
            ends: (N, 2, 3) metres.
            radius: (N,) metres, or one for all.
            colours: (N, 3) RGB; None: the own one.
        """
        ends = np.asarray(ends, float).reshape(-1, 2, 3)
        radius = np.broadcast_to(np.asarray(radius, float), (len(ends),))
        good = np.isfinite(ends).all((1, 2)) & np.isfinite(radius)
        ends, radius = ends[good], radius[good]
        colours = None if colours is None else np.asarray(colours)[good]
        way = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(way, axis=1)
        along = np.where(length[:, None] > 1e-9, way / np.maximum(length, 1e-9)[:, None], (0.0, 0.0, 1.0))
        scale = np.stack([radius, radius, np.maximum(length, _LEAST_M)], 1)
        self._tubes.show(ends.mean(1), turns(along), scale, colours)
        if self._balls is not None:
            both = np.concatenate([ends[:, 0], ends[:, 1]])
            upright = np.tile((1.0, 0.0, 0.0, 0.0), (len(both), 1))
            wide = np.repeat(np.tile(radius, 2)[:, None], 3, 1)
            self._balls.show(both, upright, wide, None if colours is None else np.tile(colours, (2, 1)))
