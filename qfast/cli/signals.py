"""Ending as a Unix tool does: by the signal that ended it.

A shell stops a loop over commands at Ctrl-C only if the command *died* of SIGINT; one that exits with status 130
lets the loop go on. The shell shows 128 plus the signal's number in both cases. Dying also means that nothing waits
for blocks of agents which are still being computed.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt; give the numbers of those that arrive, the first one first.

    Training has a handler of its own for SIGINT, which keeps what is complete; SIGTERM is passed on to it. A signal
    that the caller's shell has ignored (``nohup``, ``&`` in a script) stays without effect.
    """
    arrived: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        at_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(at_ctrl_c) or at_ctrl_c is stop:
            raise KeyboardInterrupt
        at_ctrl_c(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield arrived
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Blocked, not ignored: with SIGINT ignored, training would set no handler, and SIGTERM would have none to use.
    blocked = before[signal.SIGINT] is signal.SIG_IGN and hasattr(signal, "pthread_sigmask")
    if blocked:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or (number == signal.SIGINT and blocked):
            signal.signal(number, stop)
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # SIG_IGN discards what is pending
        if blocked:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def die(number: int = signal.SIGINT) -> int:
    """End this process by a signal; where there are none (Windows), give the status that stands for it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if os.name == "posix":
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return 128 + number
