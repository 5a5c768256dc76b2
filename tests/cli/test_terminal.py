"""What a terminal gets, and what it does not."""

import re

import pytest

TRAIN = ("train", "--agents", 500, "--episodes", 100, "--seed", 1)
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|9[0-7])(?:;[\d;]*)?m")


def shown(started):
    """Read a terminal to the end, and what went to the pipe beside it."""
    output, errors = started.process.communicate(timeout=120)
    assert started.process.returncode == 0, (output, errors)
    return started.read(), (output or b"").decode()


def test_no_terminal_no_progress(command):
    done = command(*TRAIN)
    assert done.stderr == ""
    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout


def test_progress_goes_to_the_terminal_and_never_to_standard_output(start, command):
    pytest.importorskip("rich")
    terminal, output = shown(start(*TRAIN, on=("stderr",)))
    assert "compiling" in terminal
    assert "agents" in terminal
    assert "steps/s" in terminal
    assert "left" in terminal
    assert "\x1b" not in output
    assert strip_times(output) == strip_times(command(*TRAIN).stdout)


def test_progress_is_removed_at_the_end(start):
    pytest.importorskip("rich")
    terminal, _ = shown(start(*TRAIN, on=("stderr",)))
    assert terminal.rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))


@pytest.mark.parametrize("dumb", [True, False])
def test_progress_without_rich_is_one_line(start, without, dumb):
    env = {"TERM": "dumb"} if dumb else {"PYTHONPATH": without("rich")}
    terminal, output = shown(start(*TRAIN, on=("stderr",), env=env))
    assert "\x1b" not in terminal
    assert "\n" not in terminal
    assert "compiling ..." in terminal
    assert re.search(r"training\s+\d+ %", terminal)
    parts = terminal.split("\r")
    assert max(map(len, parts)) < 80
    assert parts[-1] == ""
    assert parts[-2].strip() == ""  # wiped
    assert "Q-learning on corridor" in output


def test_a_terminal_gets_colours_unless_no_color(start):
    pytest.importorskip("rich")
    plain, _ = shown(start(*TRAIN, on=("stdout", "stderr"), env={"NO_COLOR": "1"}))
    coloured, _ = shown(start(*TRAIN, on=("stdout", "stderr")))
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    for text in ("Q-learning on corridor", "mean Q", "→→→→G"):
        assert text in plain
        assert text in coloured


def test_a_terminal_without_rich_gets_plain_text(start, without):
    terminal, _ = shown(start(*TRAIN, on=("stdout",), env={"PYTHONPATH": without("rich")}))
    assert "\x1b" not in terminal
    assert "mean Q" in terminal


def test_a_dumb_terminal_gets_plain_text(start):
    terminal, _ = shown(start(*TRAIN, on=("stdout",), env={"TERM": "dumb"}))
    assert "\x1b" not in terminal


def test_json_on_a_terminal_is_json(start):
    import json

    terminal, _ = shown(start(*TRAIN, "--json", on=("stdout",)))
    assert json.loads(terminal)["seed"] == 1


def test_a_narrow_terminal(start):
    terminal, _ = shown(start(*TRAIN, on=("stdout", "stderr"), size=(24, 30)))
    assert "4.1" in terminal


def strip_times(text):
    """Take away the line with the time."""
    return [line for line in text.splitlines() if not line.startswith("work ")]
