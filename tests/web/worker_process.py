"""A worker in a process of its own, as `python app.py worker` is one, with an engine that finds nothing.

    python -m tests.web.worker_process DATABASE QUEUE DATABASE_URL STUCK_AT

At the photograph STUCK_AT, from 1, the engine never answers, and says so on the standard output; 0: it always does.
"""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from app import create_app
from config import Settings
from models.answer import Answer, Verdict
from web import jobs
from web.service import Service

NOTHING = Answer(Verdict.NOT_FOUND, [], [], 0, (60, 80), {"network": 0.01}, np.zeros((2, 2), np.uint8))


class Engine:
    """Stands in for the real one, which takes long to load."""

    def __init__(self, stuck_at: int):
        self.stuck_at, self.asked, self.images = stuck_at, 0, {}

    def is_current(self) -> bool:
        return True

    def ask(self, picture: np.ndarray) -> Answer:
        self.asked += 1
        if self.asked == self.stuck_at:
            print("stuck", flush=True)
            threading.Event().wait()
        return NOTHING


def main() -> None:
    database, queue, url, stuck_at = sys.argv[1:]
    settings = replace(Settings(), database=Path(database), queue=queue, database_url=url)
    app = create_app(settings, Service(lambda: Engine(int(stuck_at)), 1, 1))
    with app.app_context():
        jobs.work()


if __name__ == "__main__":
    main()
