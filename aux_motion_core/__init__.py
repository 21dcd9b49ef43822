# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Everything of aux_motion that runs at prediction time: no ROS, no torch."""

__version__ = "0.1.0"
