"""Work distributed to threads or processes, with results in order and bounded memory."""

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
    """(item, function(item)) in order, while the pool computes at most `depth` items ahead of the current one."""
    items = iter(items)
    waiting = deque((item, pool.submit(function, item)) for item in islice(items, depth))
    while waiting:
        item, future = waiting.popleft()
        result = future.result()
        waiting.extend((following, pool.submit(function, following)) for following in islice(items, 1))
        yield item, result


@contextmanager
def ending(pool: Executor) -> Iterator[Executor]:
    """The pool, which cancels what has not begun when the block ends, for whatever reason."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def processes(count: int, prepare: Callable[[], None]) -> ProcessPoolExecutor:
    """New processes that call `prepare` first, and that end with this one even if it is killed.

    They are spawned, not forked, because a fork would copy the libraries' locks in whatever state they are.
    Ctrl-C does not reach them: the first process handles it.
    """
    context = multiprocessing.get_context("spawn")
    return _Processes(count, mp_context=context, initializer=_begin, initargs=(prepare,))


class _Processes(ProcessPoolExecutor):
    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future:
        """As in every executor. Processes are started here, and inherit the blocked SIGINT."""
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


def cores(workers: int) -> int:
    """The number of workers to start: as given, or for 0 one for each core that this process may use."""
    return workers or len(os.sched_getaffinity(0))
