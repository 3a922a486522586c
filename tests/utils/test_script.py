"""What every script shares: exit codes with one sentence, folder options, progress."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config import Settings
from utils import script

ROOT = Path(__file__).parents[2]


def process(tmp_path: Path, body: str, *arguments: str) -> subprocess.CompletedProcess:
    """A script whose `main` has these lines."""
    lines = "\n".join(f"    {line}" for line in body.strip().split("\n"))
    text = (
        f"import errno, os, signal, sys\nfrom utils import script\nfrom utils.errors import *\n\ndef main():\n{lines}\n"
    )
    (tmp_path / "step.py").write_text(f"{text}\nscript.run(main)\n")
    command = [sys.executable, tmp_path / "step.py", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=60)


GOES_ON = "repeat the command to continue."
LIFT = "lift a limit such as that of ulimit -v"
NO_MEMORY = f"step.py: There is not enough memory. Close other programs, or {LIFT}, and repeat.\n"


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("print('done')", 0, ""),
        ("raise WrongUse('No lists: run create_list.py first.')", 2, "step.py: No lists: run create_list.py first.\n"),
        ("raise Failed('No network.')", 1, "step.py: No network.\n"),
        ("os.kill(os.getpid(), signal.SIGINT)", 1, f"step.py: Interrupted. Finished work is kept: {GOES_ON}\n"),
        (
            "raise OSError(errno.ENOSPC, '', 'a b')",
            1,
            f"step.py: The disk is full (a b). Free some space and {GOES_ON}\n",
        ),
        ("raise OSError(errno.EDQUOT, '')", 1, f"step.py: The disk is full (output). Free some space and {GOES_ON}\n"),
        ("bytearray(1 << 60)", 1, NO_MEMORY),
        ("raise OSError(errno.ENOMEM, 'Cannot allocate memory')", 1, NO_MEMORY),
        (
            "raise PermissionError(errno.EACCES, '', 'a b')",
            2,
            "step.py: Not allowed to use a b: change its permissions or choose another folder.\n",
        ),
    ],
)
def test_each_ending_has_its_exit_code_and_one_sentence(tmp_path, body, code, told):
    done = process(tmp_path, body)
    assert (done.returncode, done.stderr.decode()) == (code, told)


def test_a_fault_of_ours_is_not_hidden(tmp_path):
    done = process(tmp_path, "print({}['missing'])")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr and b"KeyError" in done.stderr


def test_a_name_that_is_not_text_can_be_printed(tmp_path):
    done = process(tmp_path, "print(sys.argv[1])\nraise WrongUse(sys.argv[1])", b"caf\xe9.jpg")
    assert (done.returncode, done.stdout) == (2, rb"caf\udce9.jpg" + b"\n")
    assert done.stderr == rb"step.py: caf\udce9.jpg" + b"\n"


PROGRESS = """
from utils.script import progress
with progress(total={total}, what="Painting") as bar:
    for step in {steps}:
        bar.update(step)
print(list(progress(range({total}), total={total}, what="Looking", unit=" files")) == list(range({total})))
"""


def progress_lines(tmp_path: Path, total: int, steps: list[int]) -> list[str]:
    done = process(tmp_path, PROGRESS.format(total=total, steps=steps))
    assert (done.returncode, done.stdout) == (0, b"True\n")
    assert b"\r" not in done.stderr
    return done.stderr.decode().split("\n")


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path):
    *lines, end = progress_lines(tmp_path, 400, [100] * 4)
    assert end == "" and "" not in lines
    painting = [line for line in lines if line.startswith("Painting:")]
    looking = [line for line in lines if line.startswith("Looking:")]
    assert painting + looking == lines
    for of_one in (painting, looking):
        assert len(of_one) <= 3  # the first, the last, and now and then one between
        assert "100%" in of_one[-1] and "400/400" in of_one[-1]


def test_progress_says_where_it_ended_when_it_ended_early(tmp_path):
    lines = progress_lines(tmp_path, 400, [100])
    assert [line for line in lines if line.startswith("Painting:")][-1].split()[1].startswith("25%")


def test_progress_over_nothing_says_nothing(tmp_path):
    assert progress_lines(tmp_path, 0, []) == [""]


DOCSTRING = """Step 9: do it.

Examples:
  python step.py --output 'a folder'
"""


def test_the_parser_knows_the_three_folders_and_shows_the_examples(capsys):
    parser = script.parser(DOCSTRING, Settings(lists=Path("some/lists")))
    assert vars(parser.parse_args(["--output", "a folder"])) == {
        "dataset": Path("dataset/images"),
        "lists": Path("some/lists"),
        "output": Path("a folder"),
    }
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "Step 9: do it." in shown and "\n  python step.py --output 'a folder'\n" in shown and "some/lists" in shown


@pytest.mark.parametrize("argument", ["--outpu", "--nothing", "stray"])
def test_what_the_parser_does_not_know_is_wrong_use(argument, capsys):
    with pytest.raises(SystemExit) as left:
        script.parser(DOCSTRING, Settings()).parse_args([argument])
    assert left.value.code == 2
    assert argument in capsys.readouterr().err


def test_positive_admits_whole_numbers_above_zero():
    assert script.positive("12") == 12
    for text in ("0", "-1", "1.5", "x", ""):
        with pytest.raises(ValueError):
            script.positive(text)


def test_ctrl_c_is_told_in_one_sentence_while_it_waits(tmp_path):
    (tmp_path / "step.py").write_text(
        "import signal\nfrom utils import script\nscript.run(lambda: print('ready', flush=True) or signal.pause())\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, tmp_path / "step.py"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"ready\n"
        started.send_signal(signal.SIGINT)
        _, told = started.communicate(timeout=60)
    assert started.returncode == 1
    assert told.decode() == f"step.py: Interrupted. Finished work is kept: {GOES_ON}\n"
