"""The dashboard as text at many sizes, then on real terminals: a pty, tmux at several sizes."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from coordinator.dashboard.canvas import ASCII, UNICODE, bar, chart, fit, resample, width_of
from coordinator.dashboard.dashboard import Dashboard, export, export_kind, render
from coordinator.dashboard.panels import HELP
from coordinator.dashboard.terminal import Keyboard, abilities
from coordinator.endpoints import ctlcommands
from coordinator.monitor import numbers
from coordinator.monitor.bottleneck import bottleneck
from coordinator.monitor.figures import OUTCOME_WORDS
from coordinator.monitor.snapshot import Phase, ProcessState, Snapshot, WorkerView
from tests import ROOT
from tests.dashboard_driver import HOSTILE, Scan
from tests.effort import examples

SIZES = ((80, 24), (120, 40), (200, 50))
UTF8 = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


def seen(
    seconds: int = 30, workers: int = 2, total: int | None = 1_000_000, hostile: bool = False
) -> Snapshot:
    scan = Scan(workers, total, hostile=hostile)
    for second in range(seconds + 1):
        snapshot = scan.at(second)
    return snapshot


# -- as text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("unicode", [True, False])
def test_everything_that_matters_is_there_at_every_size(width: int, height: int, unicode: bool) -> None:
    snapshot = replace(seen(), warnings=("no reply from the gateway",))
    lines = render(snapshot, width, height, unicode=unicode).text()
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}
    text = "\n".join(lines)
    assert unicode or text.isascii()
    for figure in (snapshot.read, snapshot.in_flight, snapshot.done):
        assert numbers.count(figure) in text
    assert numbers.percent(snapshot.share or 0, 1) in text
    assert "ETA" in text
    for process in (*snapshot.workers, *snapshot.collectors, snapshot.coordinator):
        assert f" {process.name} " in text
    for heading in ("busy", "cpu", "in flight", "in/s", "out/s", "resent", "ring", "drops", "queue", "died"):
        assert heading in text
    for name, word in OUTCOME_WORDS.items():
        assert re.search(rf"{word} +{numbers.count(snapshot.outcomes[name])} +[0-9.]+%", text)
    assert re.search(rf"http +{numbers.count(snapshot.fingerprints['http'])} +59\.5%.* http 97%", text)
    assert f"{snapshot.latest[0].address}" in text
    assert bottleneck(snapshot) in text
    assert "no reply from the gateway" in text
    assert "? help" in text


def test_outcomes_of_a_sweep_take_the_room_of_those_that_there_are_none_of() -> None:
    found = {"sa_only": 40, "refused": 30, "unreachable_net": 20, "unreachable_ttl": 1, "no_syn_ack": 9}
    snapshot = replace(seen(), outcomes=found, done=100)
    text = "\n".join(render(snapshot, 80, 24).text())
    for word, number in (("SYN-ACK", 40), ("RST", 30), ("unreachable", 21), ("no SYN-ACK", 9)):
        assert re.search(rf"^ {word} +{number} +{number}\.0%", text, re.MULTILINE), word
    assert "ACKing firewall" not in text


@pytest.mark.parametrize("unicode", [True, False])
def test_where_a_sweep_is_answered_is_shown_where_there_is_room(unicode: bool) -> None:
    hit_rates = {str(port): (9000 - port, 10_000) for port in range(80, 112)} | {"others": (7, 2_000_000)}
    snapshot = replace(seen(), hit_rates=hit_rates, hit_rates_by="port")
    for width, height in ((100, 50), (120, 44), (160, 40), (200, 50), (250, 70)):
        lines = render(snapshot, width, height, unicode=unicode).text()
        assert {len(line) for line in lines} == {width}
        assert len(lines) == height
        text = "\n".join(lines)
        assert re.search(r"port +answered +asked +share", text), (width, height)
        assert re.search(r"80 +8,920 +~10.0K +89.20%", text)
        assert re.search(r"others +[\d,]+ +~2\.[\dM]+", text)
        assert "latest" in text
        assert bottleneck(snapshot) in text
        assert "answered" not in "\n".join(render(seen(), width, height).text())
    assert "answered" not in "\n".join(render(snapshot, 80, 24).text())


def test_more_room_shows_more() -> None:
    snapshot = seen()
    found = [sum(len(line.split()) for line in render(snapshot, *size).text()) for size in SIZES]
    assert found[0] < found[1] < found[2]
    large = "\n".join(render(snapshot, 200, 50).text())
    assert "shards" in large
    assert all(name in large for name in list(snapshot.fingerprints)[:14])


def test_many_workers_at_80x24_are_summed_and_the_busiest_shown() -> None:
    text = "\n".join(render(seen(workers=14), 80, 24).text())
    assert "all 14 flow" in text
    assert "flow 13 " in text
    assert "collect 0" in text
    assert "coordinator" in text


def test_a_key_is_named_with_what_it_does_or_not_at_all() -> None:
    for width in range(34, 130):
        last = render(seen(), width, 24).text()[-1]
        named = re.split(" +flow [0-9]", last)[0]
        words = ("+ - flow", "> < collect", "] [ rate", "p pause", "q end", "? help")
        assert set(re.split("  +", named.strip())) <= set(words), (width, last)
        assert "q end" in named


def test_states_are_told() -> None:
    snapshot = seen()
    dead = (
        replace(snapshot.workers[0], state=ProcessState.DEAD),
        replace(snapshot.workers[1], state=ProcessState.SILENT),
    )
    text = "\n".join(render(replace(snapshot, workers=dead), 80, 24).text())
    assert "died, a successor is being started" in text
    assert "does not report" in text
    text = "\n".join(render(replace(snapshot, paused=True, wanted_flow=5), 80, 24).text())
    assert "PAUSED" in text
    assert "p go on" in text
    assert "flow 2→5" in text
    cool = replace(snapshot, phase=Phase.COOLDOWN, cooldown_left=4.2, in_flight=0, input_ended=True)
    assert "4 s left" in render(cool, 80, 24).text()[0]


def test_unknown_total() -> None:
    text = "\n".join(render(seen(total=None), 80, 24).text())
    assert "--targets-total" in text
    assert "ETA" not in text


@pytest.mark.parametrize("width", [80, 60, 50, 44, 40])
def test_an_unknown_total_keeps_off_the_figure_beside_it(width: int) -> None:
    line = next(line for line in render(seen(total=None), width, 24).text() if "have a fate" in line)
    assert re.fullmatch(
        r" (total not known( \(--targets-total\))? )? *[\d,.KM]+ of [\d,.KM]+ read have a fate *", line
    ), line


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_hostile_banners_labels_and_warnings(width: int, height: int) -> None:
    snapshot = seen(hostile=True)
    prints = {banner.decode("latin-1")[:30]: 9 for banner in HOSTILE}
    snapshot = replace(
        snapshot,
        title="\x1b[2J",
        warnings=tuple(prints),
        fingerprints=prints,
        by_handshake={"\x1b[1m": prints},
        latest=tuple(replace(service, handshake="\x9b1m") for service in snapshot.latest),
    )
    lines = render(snapshot, width, height).text()
    assert {len(line) for line in lines} == {width}
    allowed = set(UNICODE.bar + UNICODE.spark + "·─…×→")
    assert all(" " <= character <= "~" or character in allowed for line in lines for character in line)
    shown = sum(r"[bold red]markup[/]" in line for line in render(seen(hostile=True), 200, 50).text())
    assert shown  # as it is, not obeyed


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(1, 260),
    st.integers(1, 80),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
    st.lists(st.text(max_size=90), max_size=6),
)
def test_any_size_is_filled_exactly(
    width: int, height: int, workers: int, unicode: bool, help_on: bool, warnings: list[str]
) -> None:
    snapshot = replace(SNAPSHOT, warnings=tuple(warnings), workers=SNAPSHOT.workers[:1] * workers)
    for one in (snapshot, Snapshot(warnings=tuple(warnings))):
        lines = render(one, width, height, unicode=unicode, help_on=help_on).text()
        assert len(lines) == height
        assert {len(line) for line in lines} == {width}


SNAPSHOT = seen()


def test_shapes() -> None:
    assert fit([("abc", "x"), ("def", "y")], 4) == [("abc", "x"), ("d", "y")]
    assert width_of(fit([("abc", "")], 9)) == 9
    assert bar(0.5, 4, UNICODE)[0][0] == "██"
    assert bar(0.001, 4, UNICODE)[0][0] == "▏"
    assert bar(1.0, 4, ASCII)[0][0] == "####"
    assert chart([0, 1, 4, 8], 6, 1, UNICODE, "")[0][0][0] == "   ▁▄█"
    assert [line[0][0] for line in chart([4, 8], 2, 2, UNICODE, "")] == [" █", "██"]
    assert resample([1, 3, 5, 7], 2) == [2, 6]


@given(st.lists(st.floats(0, 1e12), max_size=80), st.integers(1, 70), st.integers(1, 5))
def test_any_chart(values: list[float], width: int, height: int) -> None:
    lines = chart(values, width, height, UNICODE, "")
    assert len(lines) == height
    assert all(width_of(line) == width for line in lines)


def test_documents() -> None:
    snapshot = seen(hostile=True)
    svg, html = export(snapshot, "svg"), export(snapshot, "html")
    assert svg.startswith("<svg")
    assert "http://" not in svg.replace("http://www.w3.org", "").replace("http://evil", "")
    assert "fingerprint" in html
    assert "\x1b" not in svg + html
    assert (export_kind("a.SVG"), export_kind("b.html")) == ("svg", "html")
    with pytest.raises(ValueError, match=r"must end in \.svg or \.html"):
        export_kind("frame.png")


# -- on a pty ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "cursor", "colours", "unicode"),
    [
        (UTF8, True, True, True),
        ({"TERM": "xterm", "LANG": "C"}, True, True, False),
        ({"TERM": "xterm"}, True, True, False),
        ({**UTF8, "LC_ALL": "POSIX"}, True, True, False),
        ({**UTF8, "NO_COLOR": "1"}, True, False, True),
        ({**UTF8, "NO_COLOR": ""}, True, True, True),
        ({**UTF8, "TERM": "dumb"}, False, False, True),
        ({}, False, False, False),
    ],
)
def test_what_a_terminal_can(environ: dict[str, str], cursor: bool, colours: bool, unicode: bool) -> None:
    found = abilities(sys.stderr, environ)
    assert (found.cursor, found.colours, found.unicode) == (cursor, colours, unicode)


class Terminal:
    """Both ends of a pty."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w")
        self.resize(width, height)
        os.set_blocking(self.master, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))

    def read(self) -> str:
        """What has been written and not been read."""
        found = b""
        while select.select([self.master], [], [], 0.05)[0]:
            found += os.read(self.master, 65536)
        return self._decoder.decode(found)

    def close(self) -> None:
        self.stream.close()
        os.close(self.master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_only_lines_that_changed_are_written(terminal: Terminal) -> None:
    dashboard = Dashboard(UTF8)
    dashboard.start(terminal.stream)
    snapshot = seen()
    dashboard.update(snapshot)
    first = terminal.read()
    assert first.count("H") >= 24
    dashboard.update(snapshot)
    again = terminal.read()
    assert len(re.findall(r"\x1b\[\d+;1H", again)) == 3  # the last two lines, and where the cursor rests
    dashboard.update(replace(snapshot, done=snapshot.done + 1))
    assert len(terminal.read()) < len(first) / 2
    dashboard.repaint()
    dashboard.update(snapshot)
    assert len(terminal.read()) > len(first) * 0.9
    dashboard.stop("the end\n")
    last = terminal.read()
    assert last.endswith("\x1b[?1049lthe end\r\n")
    assert "\x1b[?25h" in last
    dashboard.stop("twice\n")
    assert terminal.read() == ""


def test_a_resize_is_seen_at_the_next_picture(terminal: Terminal) -> None:
    dashboard = Dashboard(UTF8)
    dashboard.start(terminal.stream)
    dashboard.update(seen())
    terminal.read()
    terminal.resize(120, 40)
    dashboard.update(seen())
    text = terminal.read()
    assert "\x1b[2J" in text
    assert "\x1b[40;1H" in text
    dashboard.stop()


def test_no_colour_means_no_colour(terminal: Terminal) -> None:
    dashboard = Dashboard({**UTF8, "NO_COLOR": "1"})
    dashboard.start(terminal.stream)
    dashboard.update(seen())
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", terminal.read()))
    assert codes <= {"0", "1", "2", "7", "1;7"}
    dashboard.stop()


def test_a_dumb_terminal_gets_plain_lines_now_and_then(terminal: Terminal) -> None:
    dashboard = Dashboard({"TERM": "dumb"})
    dashboard.start(terminal.stream)
    for second in range(20, 28):
        dashboard.update(replace(seen(), now=float(second)))
    dashboard.stop("the end\n")
    text = terminal.read()
    assert text.count("? help") == 2
    assert text.isascii()
    assert not set(text) - {chr(code) for code in range(32, 127)} - {"\r", "\n"}


def test_a_terminal_that_takes_nothing_holds_nothing_up(terminal: Terminal) -> None:
    """Ctrl-S, a stalled ssh: pictures are left out; the first after it goes on is whole."""
    dashboard = Dashboard(UTF8)
    terminal.resize(200, 50)
    dashboard.start(terminal.stream)
    for number in range(400):  # a pty takes some tens of kilobytes, this is megabytes
        dashboard.update(replace(SNAPSHOT, done=number, read=number * 7, title="x" * (number % 90)))
        dashboard.repaint()
    text = ""
    for _ in range(20):  # as it is read, what had waited comes out
        text += terminal.read()
        dashboard.update(replace(SNAPSHOT, title="the last"))
    assert "the last" in text
    dashboard.stop()


def test_a_key_that_comes_in_parts_is_one_key(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a slow line: `up` must not be `[`, which lowers the rate."""
    monkeypatch.setattr(Keyboard, "_ours", lambda self: True)
    keyboard = Keyboard(os.ttyname(terminal.stream.fileno()))

    def typed(*parts: bytes) -> list[str]:
        """The keys; between the parts all that has come is read."""
        found = []
        for part in (*parts, b"", b""):
            os.write(terminal.master, part)
            while (key := keyboard.key()) is not None:
                found.append(key)
        return found

    assert (
        typed(b"\x1b", b"[A") == typed(b"\x1b[", b"A") == typed(b"\x1b[A") == typed(b"\x1bO", b"A") == ["up"]
    )
    assert typed(b"\x1b[A" * 90) == ["up"] * 90  # more than is read at once
    assert typed(b"\x1b") == typed(b"\x1b", b"") == ["esc"]
    assert typed(b"\x1b", b"q") == ["esc", "q"]
    assert typed(b"\x1b[", b"15", b"~p") == ["", "p"]
    assert typed(b"\x1b[" + b"1" * 5000)[-1] == "1"  # no such key: its bytes are not kept for ever
    keyboard.restore()


def test_keys_without_a_keyboard(terminal: Terminal) -> None:
    dashboard = Dashboard(UTF8)
    assert dashboard.key() is None
    dashboard.start(terminal.stream)
    assert dashboard.commands() == []  # not our controlling terminal: not ours to read
    dashboard.stop()


# -- in tmux -------------------------------------------------------------------------------------------


class Tmux:
    """A tmux server of our own with one window, running a command."""

    def __init__(self, width: int, height: int, command: str, environ: dict[str, str]) -> None:
        self._name = f"lzr-{uuid.uuid4().hex[:8]}"
        exports = " ".join(f"{name}={value}" for name, value in environ.items())
        self._do(
            "new-session", "-d", "-x", str(width), "-y", str(height), f"env {exports} {command}; exec cat"
        )

    def _do(self, *words: str) -> str:
        line = ["tmux", "-u", "-L", self._name, "-f", "/dev/null", *words]
        return subprocess.run(line, check=True, capture_output=True, text=True, timeout=120).stdout

    def screen(self) -> str:
        return self._do("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def until(self, true: Callable[[str], bool], seconds: float = 120.0) -> str:
        """The screen, when it is as it should be."""
        end = time.monotonic() + seconds
        while not true(screen := self.screen()):
            if time.monotonic() > end:
                raise AssertionError(f"the screen never got there:\n{screen}")
            time.sleep(0.05)
        return screen

    def close(self) -> None:
        subprocess.run(
            ["tmux", "-L", self._name, "kill-server"], check=False, capture_output=True, timeout=120
        )


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    running: list[Tmux] = []

    def start(width: int, height: int, words: str, **environ: str) -> Tmux:
        driver = f"sh -c 'cd {ROOT} && exec {sys.executable} -m tests.dashboard_driver {words} < /dev/null'"
        running.append(Tmux(width, height, driver, {"LANG": "C.UTF-8", **environ}))
        return running[-1]

    yield start
    for one in running:
        one.close()


def frozen(path: Path, tmux: Tmux, elapsed: float) -> dict[str, object]:
    """The figures, when they have come to rest and the screen shows them."""

    def there(screen: str) -> bool:
        if not path.exists():
            return False
        found = json.loads(path.read_text())
        return found["elapsed"] == elapsed and f" {numbers.count(found['done'])} " in screen

    tmux.until(there)
    found: dict[str, object] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_screen_says_what_was_counted(
    tmux: Callable[..., Tmux], tmp_path: Path, width: int, height: int
) -> None:
    path = tmp_path / "figures"
    window = tmux(
        width, height, f"--seconds 60 --freeze 0.5 --skip 30 --hostile --total 900000 --figures {path}"
    )
    found = frozen(path, window, 30.5)
    screen = window.screen()
    for name in ("read", "done", "in_flight"):
        assert f" {found[name]:,} " in screen
    outcomes, fingerprints = found["outcomes"], found["fingerprints"]
    assert isinstance(outcomes, dict)
    assert isinstance(fingerprints, dict)
    for name, word in OUTCOME_WORDS.items():
        assert re.search(rf"^ {word} +{outcomes[name]:,} ", screen, re.MULTILINE)
    for name in list(fingerprints)[:5]:
        assert re.search(rf" {name} +{fingerprints[name]:,} ", screen)
    assert str(found["bottleneck"]) in screen
    lines = screen.splitlines()
    assert len(lines) == height
    assert lines[0].startswith(" lzr")
    assert lines[-1].startswith(" + - flow")
    assert "PWNED" not in screen or r"\x1b[31mPWNED" in screen


def test_keys_resize_and_the_summary_at_the_end(tmux: Callable[..., Tmux], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    window = tmux(80, 24, f"--seconds 60 --keys {keys} --skip 5 --hostile")
    window.until(lambda screen: "flow 2  collect 1" in screen)
    window.keys("+")
    window.until(lambda screen: "flow 3  collect 1" in screen)
    window.keys(">")
    window.until(lambda screen: "flow 3  collect 2" in screen)
    window.keys("-", "<")
    window.until(lambda screen: "flow 2  collect 1" in screen)
    window.keys("p")
    window.until(lambda screen: "PAUSED" in screen)
    window.resize(120, 40)
    screen = window.until(
        lambda screen: len(screen.splitlines()) == 40 and "? help" in screen.splitlines()[-1]
    )
    assert screen.splitlines()[0].startswith(" lzr")
    assert screen.count("bottleneck") == 1
    window.resize(50, 12)
    window.until(lambda screen: len(screen.splitlines()) == 12 and screen.splitlines()[-1].startswith(" + -"))
    window.resize(100, 30)
    window.keys("?")
    window.until(lambda screen: "this page" in screen)
    window.keys("?", "Up", "p", "q")
    window.until(lambda screen: "end now" in screen)
    window.keys("q")
    screen = window.until(lambda screen: "lzr: interrupted after" in screen or "lzr: done after" in screen)
    window.until(lambda screen: "cpu " in screen)
    screen = window.screen()
    assert "fingerprint" in screen
    assert "bottleneck" not in screen  # the picture is gone, the summary is there
    assert "read = " in screen
    asked = keys.read_text()
    kinds = re.findall(r"kind='(\w+)'", asked)
    assert kinds == ["workers", "workers", "workers", "workers", "pause", "rate", "resume", "drain", "quit"]
    # The terminal is as it was: it echoes, and lines are edited again.
    window.keys("echoed")
    window.until(lambda screen: "echoed" in screen)


def test_another_programs_message_does_not_ruin_the_picture(
    tmux: Callable[..., Tmux], tmp_path: Path
) -> None:
    window = tmux(80, 24, f"--seconds 60 --skip 5 --freeze 0.1 --figures {tmp_path / 'figures'}")
    frozen(tmp_path / "figures", window, 5.1)
    before = window.screen()
    tty = window._do("display-message", "-p", "#{pane_tty}").strip()
    with Path(tty).open("w") as other:
        other.write("zmap: 12% done; send: 12345 and more\n" * 20)
    window.until(lambda screen: screen == before)


def test_no_colour_no_utf8(tmux: Callable[..., Tmux]) -> None:
    window = tmux(80, 24, "--seconds 60 --skip 5 --hostile", LANG="C", NO_COLOR="1")
    screen = window.until(lambda screen: "? help" in screen)
    assert screen.isascii()
    assert "#" in screen
    coloured = window._do("capture-pane", "-p", "-e")
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|9[0-7]|38)[;m]", coloured)


def test_workers_view_shows_sums() -> None:
    workers = tuple(WorkerView(f"flow {i}", in_flight=10, rx=1.0, ring=i / 10) for i in range(3))
    text = "\n".join(render(replace(SNAPSHOT, workers=workers), 80, 30).text())
    assert re.search(r"all 3 flow .* 30 .* 20% ", text)
    text = "\n".join(render(replace(SNAPSHOT, workers=workers * 70), 80, 30).text())
    assert re.search(r"^ 210 flow  .* 2,100 ", text, re.MULTILINE)


@pytest.mark.parametrize("width", range(8, 44))
def test_the_beginning_of_a_number_is_not_shown_as_one(width: int) -> None:
    """What is cut ends in a mark, at any width."""
    more = {"total": 1 << 32, "phase": Phase.COOLDOWN, "cooldown_left": 8.0, "wanted_flow": 200}
    snapshot = replace(seen(), **more, warnings=("kernel dropped 1,234,567 packets",) * 3)  # type: ignore[arg-type]
    wide = render(snapshot, 250, 24).text()
    known = {figure for line in wide for figure in re.findall(r"[0-9][0-9,.:]*[0-9]|[0-9]", line)}
    for line in (render(snapshot, width, 24).text()[at] for at in (0, 1, 2, 21, 22, 23)):
        figures = set(re.findall(r"(?:[0-9][0-9,.:]*[0-9]|[0-9])(?![0-9,.:]*…)", line))
        assert figures <= known, line


@pytest.mark.parametrize("changes", [{}, {"auto_workers": True}, {"wanted_flow": 12, "auto_workers": True}])
def test_the_foot_is_never_crammed(changes: dict[str, object]) -> None:
    last = render(replace(seen(), **changes), 80, 24).text()[-1]  # type: ignore[arg-type]
    assert re.search(r" \? help  ? *(auto  )?flow 2", last)
    assert last.rstrip().endswith("collect 1")


def test_the_page_knows_every_key_and_command() -> None:
    page = (ROOT / "docs" / "dashboard.md").read_text()
    assert max(len(text) for _, text in HELP) <= 80 - 14
    for keys, _ in HELP:
        assert all(f"`{key}`" in page for key in keys.split() if len(key) == 1), keys
    commands = [line.split()[0].strip(",") for line in ctlcommands.HELP.splitlines() if line[0] != " "]
    assert "status" in commands
    assert [command for command in commands if command not in page] == []
    picture = page.split("```")[1].strip("\n").splitlines()
    assert len(picture) == 24
    assert max(map(len, picture)) <= 80
