"""test_with_statistics.py with the stand-in in the engine's place."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import test_with_statistics
from database import kept
from database.catalog import Work as Row
from models.answer import Verdict
from models.evaluation.queries import groups
from models.verdict.calibration import Calibration
from tests.evaluation.stand_in import IMAGES, answer, candidate, paint
from utils.errors import WrongUse


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
    written = {"queries.csv", "summary.json", "report.html", "pictures", "answers.csv", "answers.xlsx"}
    assert {file.name for file in place.iterdir()} == written
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"6 queries, 3 wrong answers, 1 skipped; report: {place / 'report.html'}"
    assert any(line.split() == ["after", "re-ranking", "0.667", "1.000", "1.000", "0.722", "0.244"] for line in lines)


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
    first, second = (groups(tmp_path / "output" / "statistics" / name) for name in ("first", "second"))
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
    assert lines[-1].endswith("1 right.png: found (a/one.png, probability 0.950) in 2.00 s")
    assert any("network 0.250" in line for line in lines)
    assert "works on the picture:" in lines
    assert lines[lines.index("works on the picture:") + 1].split()[:6] == [
        "1",
        "found",
        "0.950",
        "30",
        "inliers",
        "a/one.png",
    ]
    with pytest.raises(WrongUse, match="not a picture"):
        script(["-i", str(museum / "7 text.jpg")])


def test_script_prints_all_works_of_a_picture(script, engine, museum, capsys):
    one, two, three, five = (candidate(IMAGES, image) for image in IMAGES)
    said = answer(Verdict.FOUND, [one, two, three, five], others=[three, five])
    corners = np.float32([[10, 20], [30, 20], [30, 50], [10, 50]])
    works = [replace(work, outline=corners) for work in said.works]
    engine.answers["1 right.png"] = replace(said, works=works, unknown=[corners, corners])
    script(["-i", str(museum / "1 right.png")])
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("works on the picture:") + 1
    assert [line.split()[0] for line in lines[first : first + 3]] == ["1", "2", "3"]
    assert "a/one.png, corners at 10,20 30,20 30,50 10,50" in lines[first]
    assert "b/<three> & four.png" in lines[first + 1] and "b/five.png" in lines[first + 2]
    assert lines[first + 3] == "looks like a work, but leads to none: 2 places"
    script(["-i", str(museum / "3 missed.png")])
    assert "works on the picture: none" in capsys.readouterr().out.splitlines()


def test_script_prints_what_the_register_says_of_the_works(script, museum, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_DATABASE", str(tmp_path))
    rows = [
        Row(number="1921.2", author="Dürer", title="Hare\non a lawn", file="a/one.png"),
        Row(title="x", file="no.png"),
    ]
    kept.write(tmp_path / kept.NAME, rows)
    script(["-i", str(museum / "1 right.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("a/one.png") and lines[2] == "    1921.2, Dürer, Hare on a lawn"


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
    assert done.stderr.startswith("test_with_statistics.py: '../up' cannot be the name of a run")
    assert len(done.stderr.splitlines()) == 1
