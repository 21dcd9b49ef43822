# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Numbers that every room uses and none may set on its own."""

from __future__ import annotations

#: Nanoseconds in a second.
NS = 1_000_000_000
#: Horizons at which predictions are judged, seconds.
HORIZONS_S: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
