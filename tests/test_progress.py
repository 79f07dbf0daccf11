"""Progress on a terminal, in a notebook and elsewhere, in words that count."""

import contextlib
import io
import signal
import sys
import time
from types import SimpleNamespace

import pytest

import jaxfeat
from jaxfeat import progress
from jaxfeat.progress import Count, show_progress


@pytest.mark.parametrize(
    "total, resumed, seconds, done, words",
    [
        (1920, 0, 30, 0, "0 of 1,920 environments, 30 s so far"),
        (1920, 0, 30, 640, "640 of 1,920 environments, 21/s, 60 s left"),
        (1920, 960, 30, 990, "990 of 1,920 environments, 1/s, 16 min left"),
        (1920, 960, 30, 960, "960 of 1,920 environments, 30 s so far"),
        (1920, 0, 3600, 1920, "1,920 of 1,920 environments, 0.53/s, 60 min in all"),
        (10**7, 0, 100, 1000, "1,000 of 10,000,000 environments, 10/s, 12 d left"),
        (None, 0, 100, 1234, "1,234 environments, 12/s"),
    ],
)
def test_a_count_says_how_far_and_how_long(total, resumed, seconds, done, words):
    now = 5.0
    count = Count("environments", total, bool(resumed), lambda: now)
    count.update(resumed, total)
    now += seconds
    count.update(done, total)
    assert str(count) == words


class Stream(io.StringIO):
    """A stream that is a terminal or not, and that can be waited for."""

    def __init__(self, terminal=False):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def wait_for(self, words):
        end = time.monotonic() + 20
        while words not in self.getvalue():
            assert time.monotonic() < end, self.getvalue()
            time.sleep(0.005)


def show_five_of_ten(stream, *, clock):
    with show_progress(True, "stars", 10, stream=stream, clock=clock) as report:
        report(5, 10)
        stream.wait_for("5 of 10 stars, 0.1")
        report(10, 10)


@pytest.fixture
def clock():
    """A clock of which every look takes ten seconds."""
    looks = iter(range(0, 10**9, 10))
    return lambda: next(looks)


def test_without_a_terminal_there_are_plain_lines(monkeypatch, clock):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    stream = Stream()
    show_five_of_ten(stream, clock=clock)
    *lines, last = stream.getvalue().splitlines()
    assert lines[0] == "jaxfeat: 5 of 10 stars, 0.5/s, 10 s left"
    assert last.startswith("jaxfeat: 10 of 10 stars") and last.endswith("in all")


def test_a_terminal_shows_a_bar(monkeypatch, clock):
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.01)
    stream = Stream(terminal=True)
    show_five_of_ten(stream, clock=clock)
    assert "━" in stream.getvalue() and "10 of 10 stars" in stream.getvalue()


def test_a_notebook_shows_a_bar_that_becomes_words(monkeypatch, clock):
    outputs = []

    class Handle:
        def update(self, shown):
            outputs.append((repr(shown), shown._repr_html_()))

    def display(shown, display_id):
        assert display_id
        Handle().update(shown)
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=SimpleNamespace(display=display)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setattr(progress, "NOTEBOOK_SECONDS", 0.01)
    monkeypatch.setattr(Stream, "__module__", "ipykernel.iostream")
    stream = Stream()
    with show_progress(True, "stars", 10, stream=stream, clock=clock) as report:
        report(5, 10)
        end = time.monotonic() + 20
        while not any("5 of 10 stars" in words for words, _ in outputs):
            assert time.monotonic() < end
            time.sleep(0.005)
        report(6, None)
    assert 'value="5" max="10"' in next(html for words, html in outputs if "5 of 10" in words)
    words, html = outputs[-1]
    assert words.startswith("jaxfeat: 6 stars") and "jaxfeat: 6 stars" in html and "<progress" not in html
    assert stream.getvalue() == ""


def test_work_that_is_soon_over_shows_nothing(capsys):
    for terminal in (False, True):
        stream = Stream(terminal)
        with show_progress(True, "stars", 10, stream=stream) as report:
            report(10, 10)
        assert stream.getvalue() == ""
    seen = []
    with show_progress(lambda *numbers: seen.append(numbers), "stars") as report:
        report(1, 2)
    with show_progress(None, "stars") as nothing, show_progress(False, "stars") as neither:
        assert nothing(1, 2) is None and neither(1, 2) is None
    assert seen == [(1, 2)] and capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_not_lost_and_says_what_was_done(number, ctrl_c):
    before = signal.signal(number, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt, match="interrupted after 1 of 3 stars"),
            show_progress(True, "stars", 3) as report,
        ):
            report(1, 3)
            with contextlib.suppress(KeyboardInterrupt):
                # Python drops an exception in a callback of its garbage collector. This line drops it in the same way.
                signal.raise_signal(number)
            report(2, 3)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_public_functions_show_progress(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.002)
    f = jaxfeat.PowerSpectrum(("H", "C"), n_max=2, l_max=2)
    batch = jaxfeat.environments(jaxfeat.read("random-methane:90").atoms, f, "C")
    assert len(jaxfeat.scan(f, batch, progress=True)) == 90
    assert capsys.readouterr().err.splitlines()[-1].startswith("jaxfeat: 90 of 90 environments, ")
    assert jaxfeat.sweep(f, batch, progress=True).sizes["environment"] == 90
    assert capsys.readouterr().err.splitlines()[-1].startswith("jaxfeat: 90 of 90 environments, ")
