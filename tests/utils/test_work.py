"""Work shared out: results in order, no more ahead than allowed, nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from utils import work

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_results_come_in_order_however_long_each_takes(depth):
    delays = random.Random(depth)

    def square(number: int) -> int:
        time.sleep(delays.random() / 500)
        return number**2

    with ThreadPoolExecutor(8) as pool:
        assert list(work.ahead(pool, square, range(50), depth)) == [(i, i**2) for i in range(50)]


def test_no_more_is_begun_than_the_depth_allows():
    begun = []
    with ThreadPoolExecutor(4) as pool:
        results = work.ahead(pool, lambda number: number, (begun.append(i) or i for i in range(100)), 5)
        assert begun == []  # nothing before the first is asked for
        for i in range(100):
            assert next(results) == (i, i)
            assert len(begun) == min(i + 6, 100)  # this one and five ahead of it
        assert list(results) == []


def test_nothing_to_do_gives_nothing():
    with ThreadPoolExecutor(1) as pool:
        assert list(work.ahead(pool, str, [], 3)) == []
        assert list(work.ahead(pool, str, [], 0)) == []


def test_what_one_item_raises_arrives_in_its_turn():
    def invert(number: int) -> float:
        return 1 / number

    with ThreadPoolExecutor(2) as pool:
        results = work.ahead(pool, invert, [1, 2, 0, 4], 4)
        assert [next(results), next(results)] == [(1, 1.0), (2, 0.5)]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_what_was_not_begun_is_dropped_when_the_block_ends():
    started, go_on = threading.Event(), threading.Event()
    done = []

    def wait(number: int) -> None:
        started.set()
        go_on.wait(20)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), work.ending(ThreadPoolExecutor(1)) as pool:
        futures = [pool.submit(wait, number) for number in range(20)]
        assert started.wait(20)
        futures[-1].add_done_callback(lambda _: go_on.set())
        raise KeyboardInterrupt
    assert done == [0]
    assert all(future.cancelled() for future in futures[1:])


def test_as_many_workers_as_asked_or_one_a_core():
    assert work.cores(3) == 3
    assert work.cores(0) == len(os.sched_getaffinity(0))


PARENT = """
import os, sys, time
from functools import partial
from pathlib import Path
from utils import work

def prepare(folder):
    (folder / str(os.getpid())).touch()

def busy(_):
    time.sleep(600)

def idle(_):
    return os.getpid()

if __name__ == "__main__":
    pool = work.processes(2, partial(prepare, Path(sys.argv[1])))
    if sys.argv[2] == "busy":
        try:
            futures = [pool.submit(busy, i) for i in range(5)]
            time.sleep(600)
        except KeyboardInterrupt:
            os._exit(7)
    with work.ending(pool):
        seen = {pid for _, pid in work.ahead(pool, idle, range(40), 4)}
    print(len(seen), os.getpid() in seen)
"""


def ended(pid: int) -> bool:
    """Whether a process runs no more; one that nobody has waited for yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for(condition, what: str, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.005)


def test_processes_end_when_the_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    noted = tmp_path / "pids"
    noted.mkdir()
    command = [sys.executable, tmp_path / "parent.py", noted, "busy"]
    with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}) as parent:
        wait_for(lambda: len(list(noted.iterdir())) == 2, "two processes")
        pids = [int(file.name) for file in noted.iterdir()]
        assert parent.pid not in pids and not any(map(ended, pids))
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: all(map(ended, pids)), "the processes' end")


def children(pid: int) -> int:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_ctrl_c_does_not_reach_the_processes_not_even_while_they_start(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, tmp_path / "parent.py", tmp_path, "busy"]
    with subprocess.Popen(
        command, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, start_new_session=True
    ) as parent:
        wait_for(lambda: children(parent.pid) >= 2, "the first process")  # beside the one that keeps the books
        time.sleep(0.1)  # into its start; whatever the moment, the outcome is the same
        os.killpg(parent.pid, signal.SIGINT)
        _, told = parent.communicate(timeout=60)
    assert parent.returncode == 7
    assert b"Traceback" not in told and b"KeyboardInterrupt" not in told


def test_each_process_is_prepared_once_and_does_the_work(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    noted = tmp_path / "pids"
    noted.mkdir()
    command = [sys.executable, tmp_path / "parent.py", noted, "idle"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    workers, parent_works = done.stdout.split()
    assert 1 <= int(workers) <= len(list(noted.iterdir())) <= 2 and parent_works == "False"
    assert all(ended(int(file.name)) for file in noted.iterdir())
