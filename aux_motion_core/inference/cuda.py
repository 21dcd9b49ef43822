# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The CUDA driver through PyCUDA, no more than inference needs. A stand-in with these methods takes its place in tests.

PyCUDA is imported when a GPU is opened, never before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np


class GpuError(RuntimeError):
    """The GPU cannot be used, or no longer: what came and what to do, in one line."""


class Gpu:
    """One GPU with its primary context retained; it is current only inside `current`.

    Args:
        index: which GPU.

    Raises:
        GpuError: no PyCUDA, no driver, or no GPU.
    """

    def __init__(self, index: int = 0) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the ImportError says it too
                import pycuda.driver as driver
        except ModuleNotFoundError:
            raise GpuError("PyCUDA is not installed: pip install 'aux_motion[cuda]'") from None
        except ImportError as error:
            said = str(error).split("/")[-1]
            raise GpuError(
                f"PyCUDA cannot be loaded ({said}): install the NVIDIA driver and CUDA's libraries"
            ) from None
        self._driver = driver
        try:
            driver.init()
            self._device = driver.Device(index)
            self._context = self._device.retain_primary_context()
        except driver.Error as error:
            raise GpuError(f"no GPU answers ({error}): see nvidia-smi") from None
        self.name = self._device.name()
        self.sm = "sm{}{}".format(*self._device.compute_capability())

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context is current in this thread.

        Raises:
            GpuError: the driver refused something inside.
        """
        context, driver = self._context, self._driver
        try:
            context.push()
        except driver.Error as error:
            raise GpuError(f"the GPU is lost ({error}): see nvidia-smi and dmesg") from None
        try:
            yield
        except driver.MemoryError as error:
            raise GpuError(f"too little GPU memory ({error}): end other programs on the GPU") from None
        except driver.Error as error:
            raise GpuError(f"the GPU is lost ({error}): see nvidia-smi and dmesg") from None
        finally:
            with suppress(driver.Error):
                driver.Context.pop()

    def free_bytes(self) -> int:
        """Memory that is free on the GPU."""
        return int(self._driver.mem_get_info()[0])

    def host(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """A page-locked array; its memory is given back with its last reference."""
        return self._driver.pagelocked_empty(shape, dtype)

    def device(self, nbytes: int) -> Any:
        """Device memory; `int()` of it is its address, `free()` gives it back."""
        return self._driver.mem_alloc(nbytes)

    def stream(self) -> Any:
        """A stream; `handle` is its address."""
        return self._driver.Stream()

    def event(self) -> Any:
        """An event to `record(stream)` and `query()`."""
        return self._driver.Event(self._driver.event_flags.DISABLE_TIMING)

    def to_device(self, target: Any, source: np.ndarray, stream: Any) -> None:
        """Start to copy a page-locked array to the device."""
        self._driver.memcpy_htod_async(target, source, stream)

    def to_host(self, target: np.ndarray, source: Any, stream: Any) -> None:
        """Start to copy from the device into a page-locked array."""
        self._driver.memcpy_dtoh_async(target, source, stream)

    def close(self) -> None:
        """Release the primary context."""
        if self._context is not None:
            context, self._context = self._context, None
            with suppress(self._driver.Error):  # a lost GPU refuses this too
                context.detach()
