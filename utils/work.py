"""Work shared out to threads or processes, with the results in order and memory that does not grow."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Result]]:
    """(item, function(item)) in order, while the pool computes at most `depth` items ahead of the one asked for."""
    items = iter(items)
    waiting = deque((item, pool.submit(function, item)) for item in islice(items, depth))
    while waiting:
        item, future = waiting.popleft()
        result = future.result()
        waiting.extend((following, pool.submit(function, following)) for following in islice(items, 1))
        yield item, result


@contextmanager
def ending(pool: Executor) -> Iterator[Executor]:
    """The pool, which drops what it has not begun when the block ends, however it ends."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def processes(count: int, prepare: Callable[[], None]) -> ProcessPoolExecutor:
    """Fresh processes that call `prepare` first, and that end with this one even if it is killed.

    They are spawned, not forked: a fork would copy the threads' locks of the libraries in whatever state they are.
    Ctrl-C does not reach them: it is the first process's business.
    """
    context = multiprocessing.get_context("spawn")
    return _Processes(count, mp_context=context, initializer=_begin, initargs=(prepare,))


class _Processes(ProcessPoolExecutor):
    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future:
        """As every executor's. Processes are started here, and inherit that SIGINT is blocked."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(function, *arguments, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(prepare: Callable[[], None]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)


def cores(asked: int) -> int:
    """How many workers to start: as many as asked, or one for each core this process may use."""
    return asked or len(os.sched_getaffinity(0))
