"""The report: what it shows, what it escapes, and that it loads nothing."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

from models.answer import Verdict
from tests.evaluation.stand_in import IMAGES, answer, candidate, paint, run
from utils.statistics import wilson


class Page(HTMLParser):
    def __init__(self, file: Path):
        super().__init__()
        self.tags, self.sources, self.images = [], [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.sources += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "img":
            self.images.append(attributes)


def test_report_shows_every_wrong_answer_and_loads_nothing_from_elsewhere(engine, museum, place):
    run(engine, museum, place)
    page = Page(place / "report.html")
    every = [[f"pictures/{n:06}-{what}.jpg" for what in ("photograph", "work", "answered")] for n in range(1, 7)]
    assert [image["src"] for image in page.images] == [
        "pictures/000002-answered.jpg",  # wrong first, beside what was expected
        "pictures/000002-expected.jpg",
        "pictures/000004-answered.jpg",  # false found
        "pictures/000003-answered.jpg",  # missed
        *chain.from_iterable(every),  # each photograph beside its work, with the evidence
    ]
    assert all(image["alt"] for image in page.images)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all((place / source).is_file() for source in page.sources if not source.startswith("#"))
    assert "url(" not in (place / "report.html").read_text() and "@import" not in (place / "report.html").read_text()
    assert {file.name for file in (place / "pictures").iterdir()} == {
        image["src"].removeprefix("pictures/") for image in page.images
    }


def test_report_draws_how_reliable_the_probabilities_are(engine, museum, place):
    run(engine, museum, place)
    text = (place / "report.html").read_text(encoding="utf-8")
    assert "Calibrated on a &lt;run&gt;." in text
    assert text.count("<circle") == 3
    # 0.95 predicted, a third right: 34 + 240 * 0.95 to the right, two thirds of 240 below the top at 8.
    assert '<circle class="is-time" cx="262.0" cy="168.0" r="4"><title>3 queries: predicted 0.950, right 0.333' in text
    low, high = (8 + 240 * (1 - end) for end in wilson(1, 3))
    assert f'x1="262.0" x2="262.0" y1="{low:.1f}" y2="{high:.1f}"' in text


def test_without_probabilities_there_is_no_diagram(engine, museum, place):
    engine.answers = {
        name: said if isinstance(said, BaseException) else replace(said, probability=None)
        for name, said in engine.answers.items()
    }
    summary = run(engine, museum, place)
    assert summary["verdict"]["reliability"] == [] and summary["verdict"]["calibration_error"] is None
    assert "<circle" not in (place / "report.html").read_text()


def test_names_from_outside_are_escaped(engine, place, tmp_path):
    folder = tmp_path / "queries"
    names = ["<script>alert(1)</script>.png".replace("/", "_"), '"><b>.png', os.fsdecode(b"\xff\n.png")]
    for name in names:
        paint(folder / name, 1)
        engine.answers[name] = answer(Verdict.FOUND, [candidate(IMAGES, 5)])
    (folder / "ground_truth.csv").write_bytes(
        b"query,relevant\n" + b"".join(b'"' + os.fsencode(name).replace(b'"', b'""') + b'",one.png\n' for name in names)
    )
    summary = run(engine, folder, place)
    assert summary["wrong_answers"]["wrong first"] == 3
    text = (place / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text and "<b>" not in text and "<three>" not in text
    assert "&lt;three&gt; &amp; four.png" in text
    assert r"\xff" in text
    assert all(re.fullmatch(r"\d{6}-\w+\.jpg", file.name) for file in (place / "pictures").iterdir())
