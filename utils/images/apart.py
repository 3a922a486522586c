"""Pictures of strangers, decoded in a process of its own within a limit of processor time.

A decoder that crashes on a hostile file, or takes longer than it may, ends this process and not the site; the next
picture starts another. The kernel counts the time, so a busy machine refuses no more pictures than an idle one.
"""

import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from utils import images
from utils.images.problem import ImageProblem

ROOT = Path(__file__).resolve().parents[2]


class Decoder:
    """A process that decodes one picture at a time, started with the first; threads wait for their turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None

    def load(
        self,
        content: bytes,
        *,
        seconds: int,
        setting: str,
        limits: Mapping[str, int | str],
        notes: list[str] | None = None,
    ) -> np.ndarray:
        """What `images.load` returns of the bytes of a file.

        seconds: of processor time. setting: the name of this limit, for the sentence that refuses a picture.
        limits: the other arguments of `images.load`, but for its notes.
        Raises ImageProblem where the picture cannot be used, takes too long, or makes its decoder crash.
        """
        asked = json.dumps({"bytes": len(content), "seconds": seconds, "limits": limits}).encode() + b"\n"
        with self._lock:
            process = self._started()
            assert process.stdin and process.stdout
            try:
                process.stdin.write(asked)
                process.stdin.write(content)
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                if "problem" in answer:
                    raise ImageProblem(answer["problem"])
                raw = process.stdout.read(math.prod(answer["shape"]))
                pixels = np.frombuffer(bytearray(raw), np.uint8).reshape(answer["shape"])
            except (OSError, EOFError, ValueError):
                code = self._ended(process)
            except ImageProblem:
                raise
            except BaseException:  # Ctrl-C: what is still to come must not be taken for the next picture
                process.kill()
                self._ended(process)
                raise
            else:
                if notes is not None:
                    notes += answer["notes"]
                return pixels
        if code == -signal.SIGXCPU:
            raise ImageProblem(f"takes longer to decode than is allowed ({seconds} seconds, {setting})")
        raise ImageProblem("damaged or cut off")

    def _started(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", __name__]
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._process

    def _ended(self, process: subprocess.Popen) -> int:
        """The exit code of a process that is no longer wanted."""
        self._process = None
        for pipe in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError):
                pipe.close()
        return process.wait()


def main() -> None:
    """Answer until there is nothing more to read; the other end is closed when the site ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the site, too, which then ends this
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        content = sys.stdin.buffer.read(asked["bytes"])
        notes: list[str] = []
        try:
            with _at_most(asked["seconds"]):
                pixels = images.load(content, **asked["limits"], notes=notes)
            answers.write(json.dumps({"shape": pixels.shape, "notes": notes}).encode() + b"\n")
            answers.write(pixels.data.cast("B"))
        except ImageProblem as problem:
            answers.write(json.dumps({"problem": str(problem)}).encode() + b"\n")
        answers.flush()


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """End this process by SIGXCPU once the block has taken so much processor time, in all its threads."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    least = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (least if hard == resource.RLIM_INFINITY else min(least, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


if __name__ == "__main__":
    main()
