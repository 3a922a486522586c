import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

import test_with_statistics
from config import Settings
from models.answer import Answer, Candidate, Evidence, Verdict
from models.evaluation import run as evaluation
from models.evaluation.fit_calibration import examples
from models.verdict.calibration import Calibration
from models.verdict.grounds import grounds_of
from utils.errors import WrongUse
from utils.images import ImageProblem
from utils.statistics import wilson

STAGES = ["decode", "network", "pooling", "search", "features", "reranking", "detection"]


class StandIn:
    """Gives hand-made answers: `answers` maps a query's file name, or "" for any other picture, to one."""

    def __init__(self, dataset: Path, images: dict[int, str], answers: dict):
        self.dataset, self.images, self.answers = dataset, images, answers
        self.fingerprint = {"weights": "none", "dimensions": 512}
        self.thresholds = {"similarity": 0.5, "inliers": 12}
        self.calibration = {"sentence": "Calibrated on a <run>.", "calibrated": True}
        self.versions = {"numpy": np.__version__}
        self.asked = []  # (file name, excluded ids)

    def twins(self, image):
        return set()

    def ask(self, picture, exclude=frozenset()):
        name = picture.name if isinstance(picture, Path) else ""
        self.asked.append((name, exclude))
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer(self, exclude) if callable(answer) else answer


def candidate(engine_images, image, similarity=0.8, inliers=30, score=1.0):
    points = np.float32([[10, 10], [40, 12], [38, 44]])
    evidence = Evidence(40, inliers, np.eye(3), 0.25, 0.5, points, points)
    return Candidate(image, engine_images[image], similarity, (60, 80), evidence, score)


SAID = {Verdict.FOUND: 0.95, Verdict.MAYBE: 0.5, Verdict.NOT_FOUND: 0.05}  # probabilities


def answer(verdict, before, after=None):
    after = after or before
    grounds = grounds_of(after, 123)
    said = SAID[verdict] if after else None
    stages = dict.fromkeys(STAGES, 0.25)
    return Answer(verdict, before, after, 123, (60, 80), stages, grounds=grounds, probability=said)


def paint(path: Path, seed: int):
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    _, data = cv2.imencode(".png", cv2.resize(small, (80, 60), interpolation=cv2.INTER_CUBIC))
    path.write_bytes(data.tobytes())


IMAGES = {1: "a/one.png", 2: "a/two.png", 5: "b/<three> & four.png", 8: "b/five.png"}


@pytest.fixture
def engine(tmp_path):
    for image, path in IMAGES.items():
        paint(tmp_path / "images" / path, image)
    return StandIn(tmp_path / "images", IMAGES, {})


@pytest.fixture
def museum(engine, tmp_path):
    """A folder of seven files with their answers: right, wrong first, missed, false, maybe, unknown, no picture."""
    similarities = {1: 0.9, 2: 0.7, 5: 0.6, 8: 0.5}
    one, two, three, five = (candidate(IMAGES, image, similarities[image]) for image in IMAGES)
    engine.answers = {
        "1 right.png": answer(Verdict.FOUND, [two, one, three], [one, two, three]),
        "2 wrong.png": answer(Verdict.FOUND, [three, one, two]),
        "3 missed.png": answer(Verdict.NOT_FOUND, [one, two]),
        "4 false.png": answer(Verdict.FOUND, [five, two]),
        "5 maybe.png": answer(Verdict.MAYBE, [five, two]),
        "6 unknown.png": answer(Verdict.MAYBE, [two]),
        "7 text.jpg": ImageProblem("not a picture"),
    }
    folder = tmp_path / "photographs"
    for number, name in enumerate(engine.answers):
        paint(folder / name, 100 + number)
    (folder / "ground_truth.csv").write_text(
        "query,relevant\n"
        "1 right.png,one.png\n"
        "2 wrong.png,two.png five.png\n"
        "3 missed.png,a/one.png\n"
        "4 false.png,\n"
        "5 maybe.png,\n"
    )
    return folder


def run(engine, folder, place, settings=None):
    queries = evaluation.folder_queries(folder, None, engine.images)
    return evaluation.evaluate(engine, queries, place, settings or Settings())


@pytest.fixture
def place(tmp_path):
    return tmp_path / "statistics" / "photographs"


def test_summary_holds_the_measures_worked_out_by_hand(engine, museum, place):
    run(engine, museum, place)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    summary = json.loads((place / "summary.json").read_text(), parse_constant=refuse)
    assert summary["queries"] == 6
    assert summary["in_collection"] == 3
    assert summary["not_in_collection"] == 2
    assert summary["without_ground_truth"] == 1
    assert summary["collection_size"] == 4
    assert summary["skipped"] == [{"file": "7 text.jpg", "reason": "not a picture"}]
    # Before: places 2, 3 (of two relevant images, one not on the shortlist), 1. After: 1, 3, 1.
    before, after = summary["before"], summary["after"]
    assert (before["recall@1"], before["recall@10"], before["recall@100"]) == pytest.approx((1 / 3, 1, 1))
    assert (after["recall@1"], after["recall@10"], after["recall@100"]) == pytest.approx((2 / 3, 1, 1))
    assert before["mAP"] == pytest.approx((1 / 2 + 1 / 6 + 1) / 3)
    assert after["mAP"] == pytest.approx((1 + 1 / 6 + 1) / 3)
    assert after["first_of_shortlisted"] == pytest.approx(2 / 3)
    assert summary["before_and_after"] == {"right_right": 1, "right_wrong": 0, "wrong_right": 1, "wrong_wrong": 1}
    verdict = summary["verdict"]
    assert (verdict["precision"], verdict["recall"]) == pytest.approx((1 / 3, 1 / 3))
    assert (verdict["false_found"], verdict["wrong_found"], verdict["maybe"]) == (1, 1, 1)
    assert verdict["thresholds"] == engine.thresholds
    assert verdict["calibration"] == engine.calibration
    assert summary["format"] == 2
    assert verdict["maybe_share"] == pytest.approx(1 / 5)
    assert verdict["precision_interval"] == pytest.approx(wilson(1, 3))
    assert verdict["recall_interval"] == pytest.approx(wilson(1, 3))
    # Said 0.95 of three, of which one is right; 0.5 of one that is wrong; 0.05 of one that is right.
    assert [bin["count"] for bin in verdict["reliability"]] == [1, 1, 3]
    assert verdict["calibration_error"] == pytest.approx((0.95 + 0.5 + 3 * (0.95 - 1 / 3)) / 5)
    assert summary["wrong_answers"] == {"wrong first": 1, "false found": 1, "missed": 1}
    assert list(summary["seconds"]) == ["mean", "p50", "p95", "stages"]
    assert list(summary["seconds"]["stages"]) == STAGES
    assert summary["seconds"]["stages"]["search"]["p95"] == 0.25
    assert summary["fingerprint"] == engine.fingerprint
    assert summary["versions"] == engine.versions


def test_table_has_a_row_a_query(engine, museum, place):
    run(engine, museum, place)
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert list(rows) == sorted(engine.answers)
    right = rows["1 right.png"]
    assert (right["expected"], right["in_collection"], right["result"]) == ("a/one.png", "yes", "right")
    assert (right["first_before"], right["first_before_similarity"]) == ("a/two.png", "0.7")
    assert (right["first_after"], right["first_after_score"], right["similarity"]) == ("a/one.png", "1.0", "0.9")
    assert (right["matches"], right["inliers"], right["query_area"], right["work_area"]) == ("40", "30", "0.25", "0.5")
    assert (right["keypoints"], right["verdict"], right["seconds_network"]) == ("123", "found", "0.25")
    assert (right["probability"], right["inlier_ratio"], right["lead"], right["group"]) == (
        "0.95",
        "0.75",
        "0",
        "a/one.png",
    )
    assert float(right["margin"]) == pytest.approx(0.2)
    # Less the mean of 0.7 and 0.6, in their standard deviation of 0.05.
    assert float(right["normalised"]) == pytest.approx((0.9 - 0.65) / 0.05)
    assert (rows["2 wrong.png"]["group"], rows["4 false.png"]["group"]) == ("a/two.png", "4 false.png")
    assert (rows["2 wrong.png"]["expected"], rows["2 wrong.png"]["result"]) == ("a/two.png b/five.png", "wrong first")
    assert [rows[name]["result"] for name in list(rows)[2:]] == ["missed", "false found", "right", "", ""]
    assert [rows[name]["in_collection"] for name in list(rows)[2:]] == ["yes", "no", "no", "", ""]
    assert rows["7 text.jpg"]["skipped"] == "not a picture"


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
    assert [image["src"] for image in page.images] == [
        "pictures/000002-answered.jpg",  # wrong first, beside what was expected
        "pictures/000002-expected.jpg",
        "pictures/000004-answered.jpg",  # false found
        "pictures/000003-answered.jpg",  # missed
    ]
    assert all(image["alt"] for image in page.images)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all((place / source).is_file() for source in page.sources if not source.startswith("#"))
    assert "url(" not in (place / "report.html").read_text() and "@import" not in (place / "report.html").read_text()
    assert sorted(file.name for file in (place / "pictures").iterdir()) == sorted(
        image["src"].removeprefix("pictures/") for image in page.images
    )


def test_the_table_holds_the_grounds_to_the_last_digit(engine, museum, place):
    run(engine, museum, place)
    kept = examples([place / "queries.csv"])
    known = list(engine.answers.values())[:5]
    assert kept.grounds == [one.grounds for one in known]
    assert kept.right.tolist() == [True, False, True, False, False]
    assert kept.inside.tolist() == [True, True, True, False, False]


def test_report_draws_how_reliable_the_probabilities_are(engine, museum, place):
    run(engine, museum, place)
    text = (place / "report.html").read_text(encoding="utf-8")
    assert "Calibrated on a &lt;run&gt;." in text
    assert text.count("<circle") == 3
    # 0.95 said, a third true: 34 + 240 * 0.95 to the right, two thirds of 240 below the top at 8.
    assert '<circle class="is-time" cx="262.0" cy="168.0" r="4"><title>3 queries: said 0.950, true 0.333' in text
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


def test_pictures_show_query_and_work_at_the_scale_of_their_frames(engine, museum, place):
    run(engine, museum, place)
    drawn = cv2.imread(str(place / "pictures" / "000004-answered.jpg"))
    assert drawn.shape[:2] == (60, 80 + 12 + 80)
    work = cv2.imread(str(engine.dataset / "b/five.png"))
    corner = (slice(30, 60), slice(50, 80))  # no points there
    assert np.abs(drawn[:, 92:][corner].astype(int) - work[corner]).mean() < 12


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


def test_without_ground_truth_there_are_answers_and_times_but_no_measures(engine, museum, place):
    (museum / "ground_truth.csv").unlink()
    summary = run(engine, museum, place)
    assert (summary["queries"], summary["without_ground_truth"], summary["in_collection"]) == (6, 6, 0)
    assert summary["after"]["recall@1"] is None and summary["after"]["mAP"] is None
    assert summary["verdict"]["precision"] is None
    assert summary["seconds"]["p50"] is not None
    assert "No ground truth" in evaluation.table(summary)
    assert not Page(place / "report.html").images


def test_a_folder_of_nothing_readable_still_gives_strict_json(engine, place, tmp_path):
    paint(tmp_path / "queries" / "x.png", 1)
    engine.answers["x.png"] = ImageProblem("broken")
    summary = run(engine, tmp_path / "queries", place)
    assert (summary["queries"], summary["seconds"]["p50"], len(summary["skipped"])) == (0, None, 1)
    assert "could be read" in evaluation.table(summary)
    assert json.loads((place / "summary.json").read_text()) == summary


def test_an_empty_shortlist_and_a_work_gone_from_the_dataset(engine, museum, place):
    (engine.dataset / "b/five.png").unlink()
    engine.answers["2 wrong.png"] = answer(Verdict.NOT_FOUND, [])
    engine.answers["1 right.png"] = answer(Verdict.FOUND, [candidate(IMAGES, 8)])
    summary = run(engine, museum, place)
    assert summary["wrong_answers"]["wrong first"] == 2
    assert summary["after"]["shortlisted"] == 1
    assert (place / "pictures" / "000001-answered.jpg").is_file()
    assert not (place / "pictures" / "000002-answered.jpg").exists()
    assert (place / "pictures" / "000002-expected.jpg").is_file()


def rows(place):
    """queries.csv without the one column that is measured anew each time."""
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_an_interrupted_run_goes_on_and_ends_with_the_same_answers(engine, museum, place):
    run(engine, museum, place)
    whole = rows(place)
    good = engine.answers["4 false.png"]
    engine.asked.clear()

    engine.answers["4 false.png"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    assert rows(place) == whole  # the earlier result stays
    log = place.parent / ".photographs.partial" / "answers.jsonl"
    with log.open("ab") as file:  # the line that was being written
        file.write(b'{"file": "4 fal')

    engine.answers["4 false.png"] = good
    engine.asked.clear()
    summary = run(engine, museum, place)
    assert [name for name, _ in engine.asked] == sorted(engine.answers)[3:]
    assert summary["queries"] == 6
    assert rows(place) == whole
    assert sorted(path.name for path in place.parent.iterdir()) == ["photographs"]
    assert not (place / "answers.jsonl").exists()


@pytest.mark.parametrize("change", ["thresholds", "calibration", "settings", "query", "ground truth", "collection"])
def test_an_interrupted_run_of_another_kind_starts_anew(engine, museum, place, change):
    good, engine.answers["4 false.png"] = engine.answers["4 false.png"], KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    engine.answers["4 false.png"] = good
    engine.asked.clear()
    settings = Settings()
    if change == "thresholds":
        engine.thresholds = {"similarity": 0.6}
    elif change == "calibration":
        engine.calibration = {"sentence": "Calibrated anew."}
    elif change == "settings":
        settings = Settings(keypoints=2000)
    elif change == "query":
        paint(museum / "1 right.png", 77)
    elif change == "ground truth":
        (museum / "ground_truth.csv").write_text("query,relevant\n1 right.png,\n")
    else:
        engine.images = IMAGES | {9: "c/new.png"}
    run(engine, museum, place, settings)
    assert len(engine.asked) == 7


def test_a_run_killed_while_swapping_brings_the_earlier_result_back(engine, museum, place):
    run(engine, museum, place)
    place.rename(place.parent / ".photographs.old")
    engine.answers["1 right.png"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    assert (place / "summary.json").is_file()


def test_a_second_run_on_the_same_place_is_refused(engine, museum, place):
    def meanwhile(engine, exclude):
        with pytest.raises(WrongUse, match="Another run"):
            run(engine, museum, place)
        return answer(Verdict.NOT_FOUND, [])

    engine.answers["1 right.png"] = meanwhile
    assert run(engine, museum, place)["queries"] == 6


def alone(image):
    """No image has a twin."""
    return set()


def test_twins_are_as_right_as_the_image_and_held_out_with_it():
    collection = {image: f"{image}.png" for image in range(10)}
    pairs = [image ^ 1 for image in range(10)]  # 0 and 1, 2 and 3, ...
    made = evaluation.transformed_queries(
        Path("d"), collection, lambda image: {pairs[image]}, sample=5, copies=1, absent=5, seed=3
    )
    assert {query.expected for query in made} - {frozenset()} <= {frozenset({n, n + 1}) for n in range(0, 10, 2)}
    for query in made:
        shown = int(query.path.stem)
        assert (query.expected or query.exclude) == {shown, shown ^ 1}
        assert query.group == f"{shown}.png"


def test_transformed_queries_are_seeded_and_keep_held_out_images_apart():
    collection = {image: f"{image}.png" for image in range(10, 60)}
    made = evaluation.transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=3)
    assert made == evaluation.transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=3)
    present = [query for query in made if query.expected]
    absent = [query for query in made if not query.expected]
    assert (len(present), len(absent)) == (20, 5)
    assert all(query.exclude == set() for query in present)
    assert all(len(query.exclude) == 1 and query.expected == set() for query in absent)
    assert not {image for query in present for image in query.expected} & {i for query in absent for i in query.exclude}
    assert {query.group for query in present} == {collection[image] for query in present for image in query.expected}
    assert {query.group for query in absent} == {collection[image] for query in absent for image in query.exclude}
    assert len({query.seed for query in made}) == len({query.name for query in made}) == 25
    other = evaluation.transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=4)
    assert [query.path for query in other] != [query.path for query in made]
    with pytest.raises(WrongUse, match="--absent"):
        evaluation.transformed_queries(Path("d"), collection, alone, sample=10, copies=1, absent=50, seed=0)


def test_copies_on_walls_are_photographs_of_the_framed_image(engine):
    sizes = {"sample": 3, "copies": 1, "absent": 1, "seed": 0}
    plain = evaluation.transformed_queries(engine.dataset, IMAGES, alone, **sizes)
    walls = evaluation.transformed_queries(engine.dataset, IMAGES, alone, **sizes, walls=True)
    assert [query.name for query in walls] == [query.name for query in plain]
    for query in walls:
        picture, changes = evaluation.shown(query, Settings())
        assert 800 <= max(picture.shape[:2]) <= 1000  # as transforms.photograph makes them
        assert changes == ["on a wall"]
        assert np.array_equal(picture, evaluation.shown(query, Settings())[0])
    assert evaluation._identity(engine, plain, Settings()) != evaluation._identity(engine, walls, Settings())


def test_transformed_copies_are_asked_as_pictures_in_memory(engine, place):
    def asked(engine, exclude):
        return answer(Verdict.FOUND, [candidate(IMAGES, image) for image in IMAGES if image not in exclude])

    engine.answers[""] = asked
    queries = evaluation.transformed_queries(engine.dataset, IMAGES, alone, sample=3, copies=2, absent=1, seed=0)
    summary = evaluation.evaluate(engine, queries, place, Settings())
    assert (summary["in_collection"], summary["not_in_collection"]) == (6, 1)
    assert summary["verdict"]["false_found"] == 1
    assert [len(exclude) for _, exclude in engine.asked] == [0] * 6 + [1]
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        assert all(row["changes"] for row in csv.DictReader(file))


def test_folders_that_cannot_be_asked(tmp_path):
    with pytest.raises(WrongUse, match="not a folder"):
        evaluation.folder_queries(tmp_path / "missing", None, {})
    with pytest.raises(WrongUse, match="no files"):
        evaluation.folder_queries(tmp_path, None, {})


# The script


@pytest.fixture
def script(engine, monkeypatch):
    """main() with the stand-in in the engine's place."""
    module = ModuleType("models.engine")
    module.Engine = type("Engine", (), {"open": staticmethod(lambda output, dataset, settings: engine)})
    monkeypatch.setitem(sys.modules, "models.engine", module)
    return test_with_statistics.main


def test_script_writes_the_folder_and_ends_with_one_summary_line(script, museum, tmp_path, capsys):
    script(["-n", str(museum), "--output", str(tmp_path / "output")])
    place = tmp_path / "output" / "statistics" / "photographs"
    assert {file.name for file in place.iterdir()} == {"queries.csv", "summary.json", "report.html", "pictures"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"6 queries, 3 wrong answers, 1 skipped; report: {place / 'report.html'}"
    assert any(line.split() == ["after", "re-ranking", "0.667", "1.000", "1.000", "0.722"] for line in lines)


def test_script_calibrates_on_the_run_that_it_asked(script, engine, tmp_path):
    folder = tmp_path / "evening"
    for number in range(12):  # every other one is right and has many inliers
        name = f"{number:02}.png"
        paint(folder / name, number)
        ranking = [candidate(IMAGES, 1, 0.6, 40) if number % 2 == 0 else candidate(IMAGES, 1, 0.2, 4)]
        engine.answers[name] = answer(Verdict.MAYBE, [*ranking, candidate(IMAGES, 2, 0.3, 3)])
    truth = [f"{number:02}.png,{'' if number % 2 else 'one.png'}" for number in range(12)]
    (folder / "ground_truth.csv").write_text("\n".join(["query,relevant", *truth]))
    with pytest.raises(WrongUse, match="too few"):  # six right ones, all of one work
        script(["-n", str(folder), "--output", str(tmp_path / "output"), "--calibrate"])
    assert not (tmp_path / "output" / "verdict.json").exists()
    engine.images = {image: f"{image}.png" for image in range(1, 13)}
    truth = [f"{number:02}.png,{'' if number % 2 else f'{number + 1}.png'}" for number in range(12)]
    (folder / "ground_truth.csv").write_text("\n".join(["query,relevant", *truth]))
    for number in range(0, 12, 2):
        said = [candidate(engine.images, number + 1, 0.6, 40), candidate(engine.images, 2, 0.3, 3)]
        engine.answers[f"{number:02}.png"] = answer(Verdict.MAYBE, said)
    script(["-n", str(folder), "--output", str(tmp_path / "output"), "--calibrate"])
    rule = Calibration.read(tmp_path / "output")
    assert (rule.runs, rule.fingerprint, rule.measured["queries"]) == (["evening"], engine.fingerprint, 12)
    assert rule.measured["precision"] == 1


def test_script_keeps_apart_from_the_images_of_another_run(script, engine, tmp_path):
    engine.answers[""] = lambda engine, exclude: answer(Verdict.NOT_FOUND, [candidate(IMAGES, 1)])
    options = ["--output", str(tmp_path / "output"), "--absent", "1", "--sample", "1"]
    script(["-d", "--name", "first", *options])
    script(["-d", "--name", "second", "--apart-from", "first", *options])
    first, second = (evaluation.groups(tmp_path / "output" / "statistics" / name) for name in ("first", "second"))
    assert first | second == set(IMAGES.values()) and len(first) == len(second) == 2
    script(["-d", "--name", "second", "--apart-from", "first", *options])  # the same again
    with pytest.raises(WrongUse, match="lower --absent"):  # no image is left
        script(["-d", "--name", "third", *options, "--apart-from", "first", "second"])
    for missing in ("third", "../first"):
        with pytest.raises(WrongUse, match=r"third|first"):
            script(["-d", "--apart-from", missing, *options])


def test_script_prints_the_answer_to_one_picture(script, museum, capsys):
    script(["-i", str(museum / "1 right.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "0.900", "40", "30", "25%,", "50%", "a/one.png"]
    assert lines[-1].endswith("1 right.png: found (a/one.png, probability 0.950) in 1.75 s")
    assert any("network 0.250" in line for line in lines)
    with pytest.raises(WrongUse, match="not a picture"):
        script(["-i", str(museum / "7 text.jpg")])


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "with blank", "ü", "x" * 101, "a\n"])
def test_script_refuses_names_that_are_not_one_folder(script, museum, name):
    if not name:  # the folder's own name is the default, and must fit as well
        museum = museum.rename(museum.parent / "my photographs")
    with pytest.raises(WrongUse, match="--name"):
        script(["-n", str(museum), "--name", name])


@pytest.mark.parametrize("arguments", [[], ["-d", "-n", "x"], ["-d", "--ground-truth", "x"], ["-d", "--absent", "-1"]])
def test_script_takes_exactly_one_task_with_its_own_options(script, arguments):
    with pytest.raises(SystemExit) as end:
        script(arguments)
    assert end.value.code == 2


def test_script_tells_wrong_use_in_one_sentence_and_exits_with_2(tmp_path):
    command = [sys.executable, "test_with_statistics.py", "-n", str(tmp_path), "--name", "../up"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert done.stderr.startswith("test_with_statistics.py: '../up' cannot name the results")
    assert len(done.stderr.splitlines()) == 1


def test_hidden_files_and_sub_folders_are_no_queries(tmp_path):
    paint(tmp_path / "seen.png", 1)
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    assert [query.name for query in evaluation.folder_queries(tmp_path, None, {})] == ["seen.png"]
