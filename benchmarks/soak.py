"""Whether the site's memory stays as it is over thousands of questions with pictures of every kind and size.

Examples:
  python benchmarks/soak.py                     5,000 questions over the demonstration: ./demo.sh --no-serve makes it
  python benchmarks/soak.py --queries 500       a shorter one
  python benchmarks/soak.py --output output/museum --dataset output/museum/pictures --photographs FOLDER

The site runs as `python app.py` does. Its photographs are asked as they are, larger, smaller, cropped, cut off, and as
PNG, WebP, TIFF and JPEG 2000, by a few people at once. Memory after a fifth of the questions is compared with memory at
the end: it may grow by three per cent.
"""

import argparse
import io
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
from PIL import Image

from benchmarks.load import PATIENCE, add_folders, memory, people, photographs_in, site
from benchmarks.measure import table
from config import Settings
from utils import script
from utils.errors import Failed

GROWTH = 0.03  # of the memory after a fifth of the questions
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "JPEG2000")
SIDES = (200, 3500)  # pixels of the long side
STEPS = 10  # rows of the table


def main(argv: Sequence[str] | None = None) -> None:
    settings = Settings.read()
    options = _options(argv)
    photographs = photographs_in(options.photographs)
    codes: Counter[int] = Counter()
    seen: list[tuple[int, int]] = []  # (questions, MiB)
    with tempfile.TemporaryDirectory() as scratch:
        database = Path(scratch)
        settings = replace(settings, dataset=options.dataset, output=options.output, database=database, database_url="")
        tokens = people(settings, options.people)
        with site(settings) as (address, process):
            left, lock = iter(range(options.queries)), threading.Lock()

            def person(token: str) -> None:
                while True:
                    with lock:
                        number = next(left, None)
                    if number is None:
                        return
                    codes[_ask(address, token, _picture(photographs, number))] += 1
                    if (number + 1) % max(1, options.queries // STEPS) == 0:
                        seen.append((number + 1, memory(process.pid)))
                        print(f"{seen[-1][0]:,} questions: {seen[-1][1]:,} MiB", file=sys.stderr, flush=True)

            with ThreadPoolExecutor(len(tokens)) as pool:
                list(pool.map(person, tokens))
    print(f"{options.people} people, {options.queries} questions; answers by status: {dict(sorted(codes.items()))}")
    print(
        table(["questions", "memory of the site, MiB"], [[f"{count:,}", f"{size:,}"] for count, size in sorted(seen)])
    )
    _judge(sorted(seen), options.queries)
    if set(codes) - {201, 400}:
        raise Failed("There were answers that are neither an answer nor a refusal of a picture.")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    parser.add_argument("--people", type=script.positive, default=3, help="who ask at once (%(default)s)")
    parser.add_argument("--queries", type=script.positive, default=5000, help="in all (%(default)s)")
    add_folders(parser)
    return parser.parse_args(argv)


def _picture(photographs: list[Path], number: int) -> bytes:
    """The picture of a question: the same for the same number."""
    chance = random.Random(number)
    content = photographs[number % len(photographs)].read_bytes()
    if chance.random() < 0.2:
        return content
    if chance.random() < 0.1:
        return content[: int(len(content) * chance.random())]  # cut off
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    left, top = (chance.uniform(0, 0.2) for _ in range(2))
    picture = picture.crop((int(left * width), int(top * height), width, height))
    scale = chance.uniform(*SIDES) / max(picture.size)
    picture = picture.resize((max(16, int(picture.width * scale)), max(16, int(picture.height * scale))))
    made = io.BytesIO()
    picture.save(made, chance.choice(FORMATS))
    return made.getvalue()


def _ask(address: str, token: str, content: bytes) -> int:
    """The status of the answer; comes back when told to."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        files = {"picture": ("picture", content)}
        answer = requests.post(f"{address}/api/v1/search", files=files, headers=headers, timeout=PATIENCE)
        if answer.status_code not in (429, 503):
            return answer.status_code
        time.sleep(int(answer.headers["Retry-After"]))


def _judge(seen: list[tuple[int, int]], queries: int) -> None:
    """Print by how much memory has grown. Raises Failed where that is too much."""
    early = next(size for count, size in seen if count >= queries / 5)
    growth = seen[-1][1] / early - 1
    print(f"from a fifth of the questions to the end: {growth:+.1%}")
    if growth > GROWTH:
        raise Failed(f"Memory has grown by more than {GROWTH:.0%}.")


if __name__ == "__main__":
    script.run(main)
