# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is learnt on line in the cell: a correction of the network's answer, judged before it is used."""
