# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Around the nodes of a process: start, spin until a signal, report errors in one line."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

from aux_motion.nodes.errors import one_line
from aux_motion.nodes.given import check_files


class _Interrupts:
    """What SIGINT does in a node's process.

    Before the node spins it raises KeyboardInterrupt, once. From then on it does nothing in Python: rclpy's own handler
    shuts the context down, and that ends the spinning. Ctrl-C under `ros2 launch` comes twice, from the terminal and
    from launch; a KeyboardInterrupt raised while the node is taken down, or inside a destructor, would be a traceback.
    """

    def __init__(self) -> None:
        self.came = self.spins = False

    def __call__(self, number: int, frame: Any) -> None:
        raises = not (self.came or self.spins)
        self.came = True
        if raises:
            raise KeyboardInterrupt

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handle SIGINT; afterwards as before where none came, else it is ignored, also while Python ends."""
        before = signal.getsignal(signal.SIGINT)
        ours = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
        self.came = self.spins = False
        if ours:
            signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.SIG_IGN if self.came else before)


_INTERRUPTS = _Interrupts()


def name_callers() -> None:
    """Tell `inspect` where this program's modules are: rclpy asks it who logs.

    It would resolve the paths of all modules for the first line that is logged, a tenth of a second of the start.
    """
    known: dict[str, str] = getattr(inspect, "modulesbyfile", {})
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] in ("rclpy", "aux_motion"):
            known.setdefault(os.path.abspath(file), name)


def end_signal_thread() -> None:
    """End rclpy's signal thread; to be called while every executor still lives.

    After Python raised KeyboardInterrupt that thread may still trigger the guard conditions of executors: where they
    were freed before, the process ends with SIGSEGV.
    """
    uninstall_signal_handlers()


def spin(executor: Executor) -> None:
    """Spin until a signal or a shutdown.

    Raises:
        KeyboardInterrupt: SIGINT, where `until_signal` did not start this.
        ExternalShutdownException: the context was shut down.
    """
    _INTERRUPTS.spins = True
    try:
        executor.spin()
    finally:
        end_signal_thread()


@contextmanager
def executing(node: Node, context: Context | None = None) -> Iterator[Executor]:
    """An executor of one node, shut down at the end in the order that rclpy needs.

    Args:
        node: to spin by the caller (`spin_once`).
        context: of the node; None: the default one.
    """
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield executor
    finally:
        end_signal_thread()
        executor.shutdown(timeout_sec=1.0)


class SpinThread:
    """Spins a node in a thread beside the main one.

    Args:
        node: of the default context.
        name: of the thread.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._stop = threading.Event()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=in_thread(self._run), name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """End the thread and the executor; the node lives on."""
        end_signal_thread()
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=1.0)


def in_thread(work: Callable[[], Any]) -> Callable[[], None]:
    """Wrap the work of a thread beside the main one: a signal that shuts the context down ends it without an error."""

    def run() -> None:
        try:
            work()
        except ExternalShutdownException:
            return
        except Exception:
            if rclpy.ok():
                raise

    return run


def until_signal(
    name: str, arguments: list[str] | None, make: Callable[[], Any], run: Callable[[Any], int | None]
) -> int:
    """Make a node and run it until SIGINT or SIGTERM.

    Args:
        name: begins the line of an error.
        arguments: command line with ROS arguments; None: the process' own.
        make: makes the node; raises ValueError or rclpy's ParameterException when it cannot.
        run: spins the node (by `spin`); may return an exit status before a signal comes.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not be made, else what `run` returned.
    """
    with _INTERRUPTS.handling():
        return _until_signal(name, arguments, make, run)


def _until_signal(
    name: str, arguments: list[str] | None, make: Callable[[], Any], run: Callable[[Any], int | None]
) -> int:
    node = None
    name_callers()
    try:
        try:
            check_files(sys.argv if arguments is None else arguments)  # in one line, where rcl takes several
            rclpy.init(args=arguments)
        except Exception as error:  # wrong ROS arguments or parameter file
            print(f"{name}: {one_line(error)}", file=sys.stderr)
            return 1
        try:
            node = make()
        except (ValueError, ParameterException) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        return run(node) or 0
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception:  # a signal invalidates the context under whatever runs just then
        if rclpy.ok():
            raise
        return 0
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
