"""The job that brings the index in step with the pictures: it runs the very scripts, in a process of their own.

The job itself only looks after that process for a moment, and then lets other jobs have their turn. Whoever runs a
script holds the lock file, which the script inherits: so there is one at a time, whichever worker started it, and what
a worker left that was killed is seen. The scripts continue where they stopped.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from flask import Flask, current_app

from config import Settings
from database.tables import Indexing, changed, db
from utils import files
from utils.errors import Failed, WrongUse
from web import jobs
from web.jobs import Alive
from web.service import without_folders

KIND = "indexing"
SCRIPTS = (("create_list.py",), ("train.py", "--update"), ("pre_compute_descriptor.py", "--update"))
NAMES = ("Looking at the pictures", "Describing them", "Finding their local features")  # of these steps, for people
FOLDER = "indexing"  # beside the database: a log for each run, and the lock file
LOGS = 10  # that are kept
TAIL = 20_000  # bytes of a log that are shown
ATTEMPTS = 3  # after which a process that is ended from outside is not started again
TURN_SECONDS = 2.0  # that the job waits before other jobs have their turn
LOOK_SECONDS = 1.0  # between two looks whether a script has ended, or shall stop
PATIENCE_SECONDS = 30.0  # until a script that was asked to stop is killed
INTERRUPTED = "Interrupted. Finished work is kept"  # as utils/script.py says it
AGAIN = "Then choose “Go on”: what is finished is kept."

log = logging.getLogger(__name__)


def start() -> Indexing:
    """Have the index brought in step; a run that still waits is taken for it. Commits."""
    asked = db.select(Indexing).where(Indexing.state == "waiting", ~Indexing.stop).order_by(Indexing.created_at)
    run = db.session.scalars(asked.limit(1)).first()
    if run is None:
        run = Indexing()
        db.session.add(run)
        db.session.commit()
    jobs.start(KIND, run.id)
    return run


def stop() -> bool:
    """Have what runs and what waits stop; whether there was any. Commits."""
    open_ = Indexing.state.in_(("waiting", "running"))
    stopped = changed(db.update(Indexing).where(open_).values(stop=True))
    changed(db.update(Indexing).where(Indexing.state == "waiting").values(state="stopped"))
    db.session.commit()
    return stopped > 0


def current() -> Indexing | None:
    """The run that is under way, or waits, or else the last one."""
    is_running = db.case((Indexing.state == "running", 0), (Indexing.state == "waiting", 1), else_=2)
    asked = db.select(Indexing).order_by(is_running, Indexing.created_at.desc())
    return db.session.scalars(asked.limit(1)).first()


def progress(run: Indexing | None) -> dict:
    """How far a run is: state, step, steps, name of the step, the last line of its log, problem."""
    if run is None:
        return {"state": "none", "step": 0, "steps": len(SCRIPTS), "name": "", "line": "", "problem": ""}
    name = NAMES[run.step - 1] if run.step else ""
    lines = read_log(run).splitlines()
    said = {"state": run.state, "step": run.step, "steps": len(SCRIPTS), "name": name, "problem": run.problem}
    return said | {"line": _shown(lines[-1]) if lines else ""}


def read_log(run: Indexing) -> str:
    """The end of what the scripts have said; empty where nothing is kept."""
    try:
        with _log_of(run.id).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _log_of(id: str) -> Path:
    return current_app.extensions["settings"].database / FOLDER / f"{id}.log"


def _shown(line: str) -> str:
    """A line of a script, without the folders of the server."""
    settings: Settings = current_app.extensions["settings"]
    line = without_folders(line, settings)
    for folder, name in ((settings.dataset, "the folder of pictures"), (settings.lists, "lists")):
        line = line.replace(str(folder), name)
    return line


# The job


@jobs.job(KIND)
def look_after(id: str, alive: Alive) -> bool:
    """See that a run goes on, for a moment; whether it is still under way. Raises Failed with what to do."""
    alive()
    run = db.session.get(Indexing, id, populate_existing=True)
    if run is not None and run.state in ("waiting", "running"):
        held = _hold()
        if held is not None:
            _begin(run, held)
        db.session.rollback()  # ends the reading
        threading.Event().wait(TURN_SECONDS)  # the process works, not we; other jobs come next
        db.session.refresh(run)
    if run is not None and run.state == "failed":
        raise Failed(run.problem)
    return run is not None and run.state in ("waiting", "running")


def _hold() -> IO | None:
    """The lock file, held; None while a script of another run, or of another worker, holds it."""
    folder = current_app.extensions["settings"].database / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("a")
    try:
        files.hold(file, "")
    except WrongUse:
        file.close()
        return None
    return file


def _begin(run: Indexing, held: IO) -> None:
    """Run the scripts in a thread, which closes the lock file at the end."""
    if run.attempts >= ATTEMPTS:
        _end(
            run.id,
            "failed",
            f"It was ended from outside {ATTEMPTS} times, most often because memory ran out. Please close other "
            f"programs, or give the computer more memory. {AGAIN}",
        )
        held.close()
        return
    run.state, run.attempts = "running", run.attempts + 1
    db.session.commit()
    _delete_old_logs()
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # it is a proxy
    threading.Thread(target=_run, args=(app, run.id, held), name=KIND, daemon=True).start()


def _delete_old_logs() -> None:
    folder = current_app.extensions["settings"].database / FOLDER
    logs = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[LOGS:]:
        path.unlink(missing_ok=True)


def _run(app: Flask, id: str, held: IO) -> None:
    with app.app_context(), held:
        try:
            for step, script in enumerate(SCRIPTS, 1):
                if _wants_stop(id):
                    _end(id, "stopped")
                    return
                changed(db.update(Indexing).where(Indexing.id == id).values(step=step))
                db.session.commit()
                code = _carry_out(_command(script), id, held)
                if code and not _wants_stop(id):
                    _tell(id, step, code)
                    return
            _end(id, "stopped" if code else "done")
        except Exception:  # nobody else would hear of it
            log.exception("The indexing failed.")
            db.session.rollback()
            _end(id, "failed", f"{jobs.BROKEN} {AGAIN}")


def _command(script: Sequence[str]) -> list[str]:
    settings: Settings = current_app.extensions["settings"]
    name, *options = script
    folders = [f"--{folder}={getattr(settings, folder).absolute()}" for folder in ("dataset", "lists", "output")]
    if not (settings.output / "collection.lmdb").exists():
        options = []  # the first time there is nothing to update
    return [sys.executable, str(Path(current_app.root_path) / name), *options, *folders]


def _carry_out(command: list[str], id: str, held: IO) -> int:
    """Run a script until it ends, or until somebody wants it to stop; its exit code."""
    with _log_of(id).open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=current_app.root_path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[held.fileno()],
        )
    os.setpriority(os.PRIO_PROCESS, process.pid, jobs.NICE)
    asked = 0.0  # seconds since it was asked to stop
    while True:
        try:
            return process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        if asked or _wants_stop(id):
            if not asked:
                process.send_signal(signal.SIGINT)
            elif asked > PATIENCE_SECONDS:
                process.kill()
            asked += LOOK_SECONDS


def _wants_stop(id: str) -> bool:
    wants = db.session.scalar(db.select(Indexing.stop).where(Indexing.id == id))
    db.session.rollback()  # ends the reading; the script may take hours
    return wants is not False


def _tell(id: str, step: int, code: int) -> None:
    """Say why a script has failed and what to do."""
    name = SCRIPTS[step - 1][0]
    run = db.session.get(Indexing, id)
    assert run is not None
    lines = read_log(run).splitlines()
    said = lines[-1] if lines else ""
    where = f"Step {step} of {len(SCRIPTS)} ({NAMES[step - 1].lower()}) has failed."
    if INTERRUPTED in said:
        # The worker is being ended, too; the next one goes on.
        changed(db.update(Indexing).where(Indexing.id == id).values(attempts=Indexing.attempts - 1))
        db.session.commit()
    elif said.startswith(f"{name}: "):
        _end(id, "failed", f"{where} {_shown(said.removeprefix(f'{name}: '))} {AGAIN}")
    elif code < 0:
        _end(
            id,
            "failed",
            f"{where} It was ended from outside (signal {-code}), most often because memory ran out: please close "
            f"other programs. {AGAIN}",
        )
    else:
        _end(id, "failed", f"{where} The log says why; please tell who maintains this program, if you cannot.")


def _end(id: str, state: str, problem: str = "") -> None:
    changed(db.update(Indexing).where(Indexing.id == id).values(state=state, problem=problem, stop=False))
    db.session.commit()
