# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 nodes and what they are made of."""
