"""Somebody else's executor: how many workers it has, how a plan gets to them, and whether it still lives."""

import hashlib
import pickle
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Final

from qfast.engine.machine import default_threads
from qfast.engine.plan import Plan

__all__ = ["Pulse", "count_workers", "hand_out", "is_dask", "unpack"]

#: Seconds without any worker after which a pool is asked for one, and again after which it is given up.
_PATIENCE: Final = 3.0
#: Plans that a worker remembers.
_PLANS_KEPT: Final = 16


def _dask_client(executor: Executor) -> Any:
    """The client behind ``Client.get_executor()``; nothing is imported to find out."""
    return executor._client if type(executor).__module__.startswith("distributed.") else None  # type: ignore[attr-defined]


def is_dask(executor: Executor) -> bool:
    """Whether it is Dask's."""
    return _dask_client(executor) is not None


def count_workers(executor: Executor) -> int:
    """Count the tasks that an executor can run at once; where it does not say, this machine's processors.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(3) as pool:
    ...     count_workers(pool)
    3
    """
    client = _dask_client(executor)
    if client is not None:
        return max(1, sum(map(int, client.nthreads().values())))
    workers = getattr(executor, "_max_workers", None)  # of both pools of the standard library, and of many others
    return workers if isinstance(workers, int) and workers > 0 else default_threads()


@dataclass(frozen=True, eq=False)
class _Packed:
    """A plan as it travels; each worker unpacks it once."""

    key: str
    content: bytes


def hand_out(executor: Executor, plan: Plan) -> tuple[str, Any]:
    """Bring a plan to the workers: as a future on Dask, which every task names; else as bytes in every task.

    Gives the plan's key, and what tasks take along, which they turn back by `unpack`.
    """
    if isinstance(executor, ThreadPoolExecutor):  # the plan itself, whatever is in it
        return f"plan-{id(plan)}", plan
    content = pickle.dumps(plan.shared(), protocol=pickle.HIGHEST_PROTOCOL)
    packed = _Packed(hashlib.sha256(content).hexdigest(), content)
    client = _dask_client(executor)
    # A task, not scattered data: the scheduler can make it again when the worker that holds it dies.
    handle = packed if client is None else client.submit(unpack, packed, key=f"qfast-plan-{packed.key}")
    return packed.key, handle


_PLANS: dict[str, Plan] = {}  # without a lock: a forked child would wait for one that a thread held


def unpack(packed: _Packed | Plan) -> Plan:
    """A plan that was handed out."""
    if isinstance(packed, Plan):
        return packed
    plan = _PLANS.get(packed.key)
    if plan is None:
        plan = pickle.loads(packed.content)  # noqa: S301 - from this run's own main process
        with suppress(KeyError, RuntimeError, StopIteration):  # another thread did it
            while len(_PLANS) >= _PLANS_KEPT:
                _PLANS.pop(next(iter(_PLANS)))
        _PLANS[packed.key] = plan
    return plan


class Pulse:
    """Watches an executor while its results are waited for: futures of one that died would wait for ever.

    A process pool notices workers that are killed.  It does not notice that it has none left, which happens where
    workers are replaced after some tasks (``max_tasks_per_child``) and the new one cannot be started, or is thought
    not to be needed (CPython issue 115634).
    """

    def __init__(self, executor: Executor) -> None:
        self._executor, self._client = executor, _dask_client(executor)
        self._lifeless_since: float | None = None
        self._asked = False

    def check(self) -> None:
        """Raise what tells that an executor is gone, ConnectionError or BrokenProcessPool; called again and again."""
        if self._client is not None and self._client.status in ("closed", "closing"):
            raise ConnectionError("the connection to Dask's scheduler is closed")
        manager = getattr(self._executor, "_executor_manager_thread", None)
        if manager is None:
            return
        if not manager.is_alive():
            raise BrokenProcessPool("the thread that looks after the pool's processes has died")
        if _any_alive(self._executor):
            self._lifeless_since, self._asked = None, False
            return
        now = time.monotonic()
        if self._lifeless_since is None:
            self._lifeless_since = now
        elif now - self._lifeless_since > _PATIENCE * (1 + self._asked):
            if self._asked:
                raise BrokenProcessPool("none of the pool's processes is alive")
            self._asked = True
            for _ in range(2 + getattr(self._executor, "_max_workers", 1)):  # each makes the pool look for a worker
                self._executor.submit(_nothing)


def _nothing() -> None:
    """A task that is done at once."""


def _any_alive(executor: Executor) -> bool:
    """Whether a process pool has a process; they are looked at without being waited for, which is the pool's to do."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    try:
        ended = connection.wait([process.sentinel for process in processes], timeout=0)
    except (OSError, ValueError):  # one was put away just now
        return True
    return len(ended) < len(processes)
