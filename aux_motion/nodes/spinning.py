"""What every node's process does around its node: start, spin until a signal, end with one line for what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.signals import uninstall_signal_handlers


def spin(executor: Executor) -> None:
    """Spin until a signal or a shutdown.

    After Python raised KeyboardInterrupt, rclpy's signal thread may still trigger the executor's guard conditions:
    freed before, they end the process with SIGSEGV. So that thread is ended while the executor lives.

    Raises:
        KeyboardInterrupt: SIGINT.
        ExternalShutdownException: the context was shut down.
    """
    try:
        executor.spin()
    finally:
        uninstall_signal_handlers()


def in_thread(work: Callable[[], Any]) -> Callable[[], None]:
    """The work of a thread beside the main one: that a signal shuts the context down under it is its end, no error."""

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
        name: begins the line that says what is wrong.
        arguments: command line with ROS arguments; None: the process' own.
        make: gives the node; a ValueError or rclpy's ParameterException says why there is none.
        run: spins the node (by `spin`); may return an exit status before a signal comes.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not be made, else what `run` returned.
    """
    node = None
    try:
        try:
            rclpy.init(args=arguments)
        except Exception as error:  # wrong ROS arguments or parameter file
            print(f"{name}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
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
