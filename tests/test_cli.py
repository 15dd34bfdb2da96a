"""What people see while a step runs."""

import io
import re
import sys

import pytest
from tqdm import std

from mada.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def slow(monkeypatch):
    """A clock on which every look takes three seconds."""
    seconds = iter(range(0, 10**6, 3))
    monkeypatch.setattr(std, "time", lambda: float(next(seconds)))


@pytest.mark.usefixtures("slow")
def test_long_work_leaves_plain_lines_with_rate_and_time_left_in_a_file(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(progress(range(40), "training")) == list(range(40))
    text = sys.stderr.getvalue()
    assert "\r" not in text
    lines = text.splitlines()
    assert 3 < len(lines) < 40
    rate = r"training: +\d+%\|[ #0-9]+\| \d+/40 \[\d+:\d+<[\d:?]+, .+(s/it|it/s)\]"
    assert all(re.fullmatch(rate, line.rstrip()) for line in lines), text


@pytest.mark.usefixtures("slow")
def test_long_work_has_one_live_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress(range(40), "training", total=40)) == list(range(40))
    text = sys.stderr.getvalue()
    assert text.count("\r") > 3
    assert text.count("\n") == 1
    assert "40/40" in text


def test_short_work_needs_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(progress(range(3), "training")) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""
