#!/usr/bin/env bash
# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0
# Makes the virtual environment $1 with a Python that the ROS wheels exist for (3.10 to 3.13); $PYTHON is tried first.
set -eu
venv=$1
for python in "${PYTHON:-}" python3 python3.12 python3.11 python3.13 python3.10; do
  [ -n "$python" ] || continue
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
  "$python" -m venv --clear "$venv" && exit 0
  echo "$python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2
  exit 1
done
echo "no Python 3.10 to 3.13 found: install one, or name it: make PYTHON=/path/to/python3.12" >&2
exit 1
