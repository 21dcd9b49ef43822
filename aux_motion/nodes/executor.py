# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An executor that delivers a node's input at once; rclpy handles everything else.

rclpy builds a new wait set for every callback and checks every entity after it, about 0.4 ms on a robot's computer.
Here the wait set is kept, and messages of the inputs are taken from it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy

#: Longest wait, nanoseconds.
_LONGEST_NS = 1_000_000_000


class InputExecutor(SingleThreadedExecutor):
    """Spins one node.

    Args:
        node: to spin.
        inputs: called for the subscriptions that go first; their callbacks take message and info and are no coroutines.
        context: of the node; None: the default one.
    """

    def __init__(self, node: Any, inputs: Callable[[], Iterable[Any]], context: Any = None) -> None:
        self._sigint_gc = None  # rclpy's __del__ asks for it, also where its __init__ failed
        super().__init__(context=context)
        self.add_node(node)
        self._of, self._inputs = node, inputs
        self._handle: Any = None if self._context is None else self._context.handle
        self._made_for: tuple[Any, ...] = ()
        self._wait_set: Any = None

    def spin(self) -> None:
        """Until the context is shut down.

        Raises:
            ExternalShutdownException: it was, from outside.
        """
        if not self._known():
            return super().spin()  # an rclpy with other internals
        while self._context.ok() and not self._is_shutdown:
            if not self._wait():
                return super().spin()
            self.spin_once(timeout_sec=0)
        return None

    def _known(self) -> bool:
        """Whether everything that `_wait` uses of rclpy's inside is there."""
        own = all(hasattr(self, name) for name in ("_guard", "_sigint_gc", "_is_shutdown"))
        guards = all(hasattr(g, "_executor_triggered") for g in self._of.guards)
        inputs = all(hasattr(s, "callback") and hasattr(s.handle, "take_message") for s in self._inputs())
        waits = ("clear_entities", "add_subscription", "get_ready_entities", "wait")
        return own and guards and inputs and all(hasattr(getattr(_rclpy, "WaitSet", None), name) for name in waits)

    def _entities(self) -> tuple[list[Any], ...]:
        node = self._of
        parts = (node.subscriptions, node.guards, node.timers, node.clients, node.services, node.waitables)
        return tuple(list(part) for part in parts)

    def _set(self, entities: tuple[list[Any], ...], guards: list[Any]) -> Any:
        """The wait set with all of these in it."""
        subscriptions, _, timers, clients, services, waitables = entities
        key = tuple(map(id, chain.from_iterable(entities)))
        if key != self._made_for:
            more = [w.get_num_entities() for w in waitables]
            self._wait_set = _rclpy.WaitSet(
                len(subscriptions) + sum(m.num_subscriptions for m in more),
                len(guards) + sum(m.num_guard_conditions for m in more),
                len(timers) + sum(m.num_timers for m in more),
                len(clients) + sum(m.num_clients for m in more),
                len(services) + sum(m.num_services for m in more),
                sum(m.num_events for m in more),
                self._handle,
            )
            self._made_for = key
        found = self._wait_set
        found.clear_entities()
        for add, part in (
            (found.add_subscription, subscriptions),
            (found.add_guard_condition, guards),
            (found.add_timer, timers),
            (found.add_client, clients),
            (found.add_service, services),
        ):
            for entity in part:
                add(entity.handle)
        for waitable in waitables:
            waitable.add_to_wait_set(found)
        return found

    def _wait(self) -> bool:
        """Hand inputs over until something else is ready; False where this rclpy cannot be waited for like this."""
        while True:
            entities = self._entities()
            guards = [*entities[1], *(g for g in (self._guard, self._sigint_gc) if g is not None)]
            for guard in entities[1]:
                if guard._executor_triggered:
                    return True
            try:
                with self._handle:
                    waits = self._set(entities, guards)
            except (AttributeError, TypeError):
                return False
            waits.wait(_LONGEST_NS)
            if self._is_shutdown:
                return True
            if not self._context.ok():
                raise ExternalShutdownException
            ready = set(waits.get_ready_entities("subscription"))
            if not ready:
                # a timer that was set anew wakes the wait, and nothing is ready
                if self._mark(waits, entities[1]) or self._others(waits, entities[5]):
                    return True
                continue
            for subscription in self._inputs():
                pointer = subscription.handle.pointer
                if pointer in ready:
                    ready.discard(pointer)
                    with subscription.handle:
                        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                    if taken is not None:
                        subscription.callback(*taken)
            if self._mark(waits, entities[1]) or ready or self._others(waits, entities[5]):
                return True

    @staticmethod
    def _mark(waits: Any, guards: list[Any]) -> bool:
        """Waiting took what guard conditions had to say: it is noted, as rclpy does."""
        fired = set(waits.get_ready_entities("guard_condition"))
        for guard in guards:
            if guard.handle.pointer in fired:
                guard._executor_triggered = True
        return bool(fired)

    @staticmethod
    def _others(waits: Any, waitables: list[Any]) -> bool:
        kinds = ("timer", "service", "client")
        return any(waits.get_ready_entities(kind) for kind in kinds) or any(w.is_ready(waits) for w in waitables)
