"""What the benchmarks share: pictures to work on, times that can be compared, and plain tables."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from config import Settings

ROOT = Path(__file__).resolve().parent.parent
REST = 0.2  # seconds before a timed call: threads of the one before that still spin come to rest


def gallery(settings: Settings, count: int, scratch: Path) -> tuple[Path, list[str]]:
    """A folder, and the names of `count` pictures in it: the museum's where they are, else painted ones.

    scratch: a folder for the painted ones. There may be fewer than asked for.
    """
    museum = settings.data / "museum" / "gallery"
    if museum.is_dir():
        return museum, sorted(path.name for path in museum.glob("*.jpg"))[:count]
    from dataset import sample

    sample.make(sample.plan(), scratch / "images", scratch / "queries", scratch / "catalog.csv", os.cpu_count() or 1)
    names = sorted(path.relative_to(scratch / "images").as_posix() for path in (scratch / "images").rglob("*.jpg"))
    return scratch / "images", names[:count]


def timed(function: Callable, *arguments) -> tuple[float, object]:
    """Seconds and result of one call."""
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def alternating(functions: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each function returns (seconds), called in turn, A B C A B C: a busy machine hits all alike.

    Each is called once beforehand, for what only the first call costs.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            time.sleep(REST)
            value = function()
            if number:
                seconds[name].append(value)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is also plain to read: the first column to the left, figures to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (heads, rule, *rows):
        first, *rest = (
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("| " + " | ".join([first, *rest]) + " |")
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores and system in one line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def peak_megabytes() -> float:
    """The most memory this process has held, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(script: str, *arguments: str) -> dict:
    """Run a benchmark's script anew with these arguments; returns the JSON of its last line."""
    done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def databases() -> Iterator[tuple[str, Settings]]:
    """SQLite in a temporary folder, then the PostgreSQL that DATABASE_URL names, if it does: (name, settings) each."""
    for url in filter(None, ["sqlite", os.environ.get("DATABASE_URL")]):
        with tempfile.TemporaryDirectory() as folder:
            own = {"database": Path(folder), "output": Path(folder) / "output"}
            yield url.split(":")[0], replace(Settings(), **own, database_url="" if url == "sqlite" else url)
