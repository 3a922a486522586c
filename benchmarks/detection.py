"""Measures whether both works on a photograph are found, each as one of the paintings detected in it.

Examples:
  python benchmarks/museum.py && python benchmarks/detection.py
  python benchmarks/detection.py --sets pairs      a quick look

A person who asks the site is shown the outlines of paintings and chooses one; here all of them are queried, on those
of the museum's photographs (RETRIEVAL_DATA) that show two works or more of the collection.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from benchmarks.museum import SETS, folder_of
from config import Settings
from models.answer import Verdict
from models.engine import Engine
from models.evaluation.queries import Query, folder_queries
from models.local import outlines
from models.local.detection import paintings, straighten
from utils import script
from utils.script import progress


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    folder = folder_of(settings) / "queries"
    engine = Engine.open(options.output, options.output / "images", settings)
    rows = []
    for name in options.sets:
        queries = folder_queries(folder / name, None, engine.images)
        several = [query for query in queries if query.expected and len(query.expected) > 1]
        rows.append(row(name, several, engine))
    print(f"{measure.machine()}; {len(engine.images)} images")
    heads = ["set", "photographs of two works", "paintings detected", "both found", "one found", "wrong found"]
    total = ["all", *(str(sum(int(row[column]) for row in rows)) for column in range(1, len(heads)))]
    print(measure.table(heads, [*rows, total]))


def row(name: str, queries: list[Query], engine: Engine) -> list[str]:
    """What was found on the photographs of a set."""
    detected, both, one, wrong = 0, 0, 0, 0
    for query in progress(queries, what=name):
        works, count = identified(query.path, engine)
        detected += count
        right = len(works & query.expected)
        both += right == len(query.expected)
        one += 0 < right < len(query.expected)
        wrong += len(works - query.expected)
    return [name, *map(str, (len(queries), detected, both, one, wrong))]


def identified(photograph: Path, engine: Engine) -> tuple[set[int], int]:
    """The works that are found on the paintings of a photograph, and how many paintings were queried."""
    works, count = set(), 0
    pixels = engine.reading.decode(photograph)
    height, width = pixels.shape[:2]
    for corners in paintings(pixels):
        count += 1
        answer = engine.ask(straighten(pixels, outlines.clip(corners, width, height)))
        if answer.verdict is Verdict.FOUND:
            works.add(answer.after[0].id)
    return works, count


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default=Path("output/museum"), metavar="DIR", help="(%(default)s)")
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help="of queries (all: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)
