"""Whether an executor still lives: the futures of one that died without a word would wait for ever."""

import time
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, Final

__all__ = ["Pulse", "dask_client"]

#: Seconds without any worker after which a pool is asked for one, and again after which it is given up.
_PATIENCE: Final = 3.0


def dask_client(executor: Executor) -> Any:
    """The client behind ``Client.get_executor()``; nothing is imported to find out."""
    return executor._client if type(executor).__module__.startswith("distributed.") else None  # type: ignore[attr-defined]


class Pulse:
    """Watches an executor while its results are waited for.

    A process pool notices workers that are killed.  It does not notice that it has none left, which happens where
    workers are replaced after some tasks (``max_tasks_per_child``) and the new one cannot be started, or is thought
    not to be needed (CPython issue 115634).

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor, self._client = executor, dask_client(executor)
        self._lifeless_since: float | None = None
        self._asked = False

    def check(self) -> None:
        """Raise what tells that an executor is gone; to be called again and again.

        Raises
        ------
        ConnectionError
            If the connection to a cluster is closed.
        BrokenProcessPool
            If no process is left in a pool, and none comes when there is more to do.
        """
        if self._client is not None and self._client.status in ("closed", "closing"):
            msg = "the connection to Dask's scheduler is closed"
            raise ConnectionError(msg)
        manager = getattr(self._executor, "_executor_manager_thread", None)
        if manager is None:
            return
        if not manager.is_alive():
            msg = "the thread that looks after the pool's processes has died"
            raise BrokenProcessPool(msg)
        if _any_alive(self._executor):
            self._lifeless_since, self._asked = None, False
            return
        now = time.monotonic()
        if self._lifeless_since is None:
            self._lifeless_since = now
        elif now - self._lifeless_since > _PATIENCE * (1 + self._asked):
            if self._asked:
                msg = "none of the pool's processes is alive"
                raise BrokenProcessPool(msg)
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
