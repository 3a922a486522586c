"""Runs commands of app.py as real processes, without each having to import everything.

One process imports app.py, and waits; for each command it forks, so a command starts at once and in a clean state.
"""

import atexit
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAITING = """
import json, os, sys

import app
from utils import script

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        for number, name in enumerate(("given", "out", "err")):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(os.path.join(asked["folder"], name), flags), number)
        sys.stdin = open(0)
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv[:] = ["app.py", *asked["arguments"]]
        try:
            script.run(app.main)
        except SystemExit as end:
            sys.stdout.flush()
            code = end.code
        except BaseException:
            import traceback
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_waiting: list[subprocess.Popen] = []


def run(*arguments: object, environment: Mapping[str, str], given: str = "") -> subprocess.CompletedProcess:
    """python app.py ARGUMENTS, with this environment and this on standard input."""
    if not _waiting:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(process.kill)
        _waiting.append(process)
    process = _waiting[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "given").write_text(given)
        asked = {"folder": folder, "environment": dict(environment), "arguments": list(map(str, arguments))}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        out, err = ((Path(folder) / name).read_text(errors="replace") for name in ("out", "err"))
    return subprocess.CompletedProcess(["app.py", *arguments], code, out, err)
