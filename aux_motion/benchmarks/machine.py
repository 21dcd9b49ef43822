# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """CPU, cores, versions of what is loaded, and the load of the machine."""
    names: dict[str, str] = {}
    for module in ("numpy", "onnxruntime", "torch", "openvino"):
        if module in sys.modules:
            names[module] = sys.modules[module].__version__
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about: dict[str, Any] = {"cpu": cpu, "cores": cores, "python": platform.python_version(), **names}
    return {**about, "load": round(os.getloadavg()[0], 2)}
