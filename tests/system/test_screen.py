"""The real program on a real terminal: what it shows is what was counted, whatever the hosts send."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.monitor import numbers
from coordinator.monitor.figures import OUTCOME_WORDS
from coordinator.monitor.status import CSV_HEADER
from tests.conftest import cannot_run
from tests.lab.net import wait_for
from tests.lab.responder import CLASSES, FIRST, NASTY_BANNER, PORT, SCANNER, Range
from tests.lab.scan import LZR, Scan, parse
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import QUICK, mistakes
from tests.unit.coordinator.dashboard.test_dashboard import Tmux
from tests.unit.coordinator.endpoints.test_prometheus import parsed

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

METRICS_PORT = "9464"


class Window:
    """A shell in a terminal in the scanner's namespace, in which `lzr` runs."""

    def __init__(self, arena: Range, width: int, height: int, **environ: str) -> None:
        self.arena = arena
        self.directory = arena.lab.directory
        self.socket, self.output = self.directory / "screen.sock", self.directory / "screen.out"
        self.source, self.raw = self.directory / "screen.in", self.directory / "screen.raw"
        shell = shlex.join(arena.scanner.command("sh"))
        self.tmux = Tmux(width, height, f"PS1=ready: {shell}", {"LANG": "C.UTF-8", **environ})
        self.tmux.until(lambda screen: "ready:" in screen)
        self.tmux._do("pipe-pane", f"cat > {self.raw}")  # every byte that reaches the terminal

    def type(self, line: str) -> None:
        self.tmux._do("send-keys", "-l", line)
        self.tmux.keys("Enter")

    def run(
        self, *options: str, results: str | None = None, before: str = "", after: str = "; echo end=$?"
    ) -> None:
        """`lzr OPTIONS < input` in the window. results: what -f says."""
        named = results or str(self.output)
        words = [str(LZR), "--control-socket", str(self.socket), "-f", named, *options]
        line = f"{before}{shlex.join(words)} < {self.source}{after}"
        script = self.directory / "run.sh"
        script.write_text(line + "\n")
        self.type(f". {script}")

    def premade(self, count: int, classes: str = CLASSES) -> None:
        with self.source.open("w") as file:
            file.writelines(lines(count, classes=classes))

    def listed(self, count: int) -> None:
        first = ipaddress.IPv4Address(FIRST)
        self.source.write_text("".join(f"{first + index}:{PORT}\n" for index in range(count)))

    def ctl(self, *words: str) -> str:
        wait_for(self.socket.exists, "the control socket")
        done = self.arena.scanner.run(LZR, "ctl", "--socket", self.socket, *words, timeout=120)
        return str(done.stdout)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("status", "--json"))
        # Whenever it is asked: the parts make the whole.
        assert found["read"] == found["fates"] + found["in_flight"] + found["backlog"]
        assert found["done"] == sum(found["outcomes"].values())
        return found

    def quiet(self) -> dict[str, Any]:
        """Paused, when nothing is in flight any more and the rates have come down."""
        found: dict[str, Any] = {}

        def still() -> bool:
            found.update(self.status())
            return bool(found["paused"] and not found["in_flight"] and found["rate_done"] == 0)

        wait_for(still, "rest", 60)
        return found

    def ended(self, seconds: float = 60) -> str:
        return self.tmux.until(lambda screen: "end=" in screen, seconds)

    def found(self) -> Scan:
        records, torn = parse(self.output.read_text())
        return Scan(0, records, "", torn=torn)


Open = Callable[..., Window]


@pytest.fixture
def window(arena: Range) -> Iterator[Open]:
    if shutil.which("tmux") is None:
        cannot_run("needs tmux")
    opened: list[Window] = []

    def start(width: int = 80, height: int = 24, **environ: str) -> Window:
        opened.append(Window(arena, width, height, **environ))
        return opened[-1]

    yield start
    for one in opened:
        one.tmux.close()


def shows(screen: str, status: dict[str, Any]) -> bool:
    """The figures of a scan at rest stand on the screen, each where it belongs."""
    lines_shown = screen.splitlines()
    if not lines_shown or "PAUSED" not in lines_shown[0]:
        return False
    facts = [
        rf"^ read {status['read']:,}  +in flight 0  +done {status['done']:,} ",
        rf" identified {status['identified']:,}" if len(lines_shown[2]) > 100 else "",
        rf" flow {status['wanted_flow']}  collect {status['wanted_collect']}",
        r"^ bottleneck paused: p goes on",
    ]
    for name, word in OUTCOME_WORDS.items():
        number = status["outcomes"].get(name, 0)
        facts.append(rf"^ {word} +{number:,} +{re.escape(numbers.percent(number / status['done'], 1))}")
    facts += [rf" {name} +{count:,} " for name, count in status["fingerprints"].items()]
    for worker in status["workers"]:
        facts.append(
            rf" {worker['name']} +[<>0-9]+%.* 0 .* {numbers.fit(worker['retransmits'], 6)} "
            rf".* {numbers.fit(worker['drops'], 5)} "
        )
    facts += [rf" {process['name']} +[<>0-9]+%" for process in (*status["collectors"], status["coordinator"])]
    return all(re.search(fact, screen, re.MULTILINE) for fact in facts)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_the_screen_says_what_was_counted(arena: Range, window: Open, width: int, height: int) -> None:
    """Paused in the middle: the picture, `lzr ctl`, Prometheus, the status file and the wire agree."""
    count = 12_000
    responder = arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER)
    here = window(width, height)
    here.listed(count)
    updates, frame = here.directory / "updates.csv", here.directory / "frame.svg"
    here.run(
        *("-sendSYNs", "-sourceIP", SCANNER, "-gatewayMac", arena.gateway_mac, "-rate", "1800"),
        *("-w", "flow=2,collect=2", "-handshakes", "wait,http", "--metrics-port", METRICS_PORT),
        *("--status-updates-file", str(updates), "--dashboard-file", str(frame), "-c", "1", *QUICK),
    )
    wait_for(lambda: here.status()["done"] > 1000, "some results")
    other = (120, 40) if height < 40 else (100, 30)
    here.tmux.resize(*other)  # while it runs
    here.tmux.until(lambda screen: len(screen.splitlines()) == other[1] and "? help" in screen)
    here.tmux.resize(width, height)
    here.ctl("pause")
    status = here.quiet()
    assert 1000 < status["done"] < count
    wait_for(
        lambda: here.status()["coordinator"]["cpu"] < 0.5, "a coordinator that rests while nothing comes"
    )
    screen = here.tmux.until(lambda screen: shows(screen, status))
    assert len(screen.splitlines()) == height
    assert screen.splitlines()[-1].startswith(" + - flow")

    def scrape() -> str:
        url = f"http://127.0.0.1:{METRICS_PORT}/metrics"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=120) as page:
            return str(page.read().decode())

    metrics = parsed(arena.scanner.call(scrape))
    same_as_metrics(metrics, status)
    same_as_metrics(metrics, here.status())
    last = updates.read_text().splitlines()
    assert last[0] == CSV_HEADER
    here.ctl("resume")
    screen = here.ended()
    counters = responder.stop()
    found = here.found()
    assert not found.torn
    assert not mistakes(found, count, ("wait", "http"))
    summary = screen[screen.rindex("lzr: done after") :] if "lzr: done after" in screen else screen
    assert f"inputs: {count} read = {count} recorded (agree)" in summary
    reasons = {name: f"{word} +" for name, word in OUTCOME_WORDS.items()}
    for name, number in told(updates)[1].items():
        assert re.search(rf"^{reasons[name]}{number:,} ", summary, re.MULTILINE), (name, summary)
    for label, number in found.labels().items():
        assert re.search(rf"\b{label}: {number}$", summary, re.MULTILINE)
    sent = sum(counters[name] for name in ("syn", "data", "bare_ack", "rst", "fin"))
    assert f"packets: {sent:,} sent, " in summary
    assert told(updates)[0]["sent-total"] == str(sent)
    assert "end=0" in screen
    assert "<svg" in frame.read_text()[:200]
    here.type("echo typed$((1 + 1))")  # the terminal is as it was
    here.tmux.until(lambda screen: "\ntyped2" in screen)


def same_as_metrics(metrics: dict[str, float], status: dict[str, Any]) -> None:
    """Every figure that both have is the same."""
    plain = {
        "inputs_read_total": "read",
        "in_flight": "in_flight",
        "backlog": "backlog",
        "retransmits_total": "retransmits",
        "kernel_drops_total": "drops",
        "send_failures_total": "send_failures",
        "restarts_total": "restarts",
        "shards": "shards",
        "shard_moves_total": "moves",
        "rate_limit": "rate_limit",
    }
    for name, key in plain.items():
        assert metrics[f"lzr_{name}"] == pytest.approx(status[key]), name
    assert metrics['lzr_packets_total{direction="in"}'] == status["rx"]
    assert metrics['lzr_packets_total{direction="out"}'] == status["tx"]
    assert metrics['lzr_inputs_total{fate="recorded"}'] == status["done"]
    assert metrics['lzr_workers_wanted{channel="flow"}'] == len(status["workers"])
    for name in OUTCOME_WORDS:
        assert metrics[f'lzr_outcomes_total{{reason="{name}"}}'] == status["outcomes"].get(name, 0)
    for handshake, counts in status["by_handshake"].items():
        for fingerprint, number in counts.items():
            labels = f'handshake="{handshake}",fingerprint="{fingerprint}"'
            assert metrics[f"lzr_fingerprints_total{{{labels}}}"] == number
    for worker in status["workers"]:
        labels = f'worker="{worker["name"]}"'
        assert metrics[f"lzr_worker_retransmits_total{{{labels}}}"] == worker["retransmits"]


def told(updates: Path) -> tuple[dict[str, str], dict[str, int]]:
    """The last row of the status file, and the outcomes in it."""
    header, *rows = updates.read_text().splitlines()
    assert len(rows) >= 3
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    return last, {name: int(last[f"outcome-{name.replace('_', '-')}"]) for name in OUTCOME_WORDS}


# What a dashboard may send to a terminal; everything else in it is text.
ALLOWED = re.compile(
    rb"\x1b\[(?:\?1049[hl]|\?25[hl]|\?7[hl]|2J|r|[0-9]+;[0-9]+r|[0-9]+;[0-9]+H|[0-9;]*m)|\r\n|\n|\r|\x08 \x08"
)


def test_hostile_banners_do_not_reach_the_terminal(arena: Range, window: Open) -> None:
    count = 3000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="g")
    here = window(100, 30)
    title = here.tmux._do("display-message", "-p", "#{pane_title}")
    here.listed(count)
    here.run("-sendSYNs", "-rate", "1000", "-v", "5", "-w", "flow=1,collect=1", *QUICK)
    here.tmux.until(lambda screen: "220 \\x1b[2J\\x1b]0;owned" in screen)
    screen = here.ended()
    assert f"{count} read = {count} recorded (agree)" in screen
    assert here.tmux._do("display-message", "-p", "#{pane_title}") == title
    found = here.found()
    assert not found.torn
    assert {record["data"] for record in found.records} == {NASTY_BANNER}
    assert len(found.by_service()) == len(found.records) == count
    raw = here.raw.read_bytes()
    begin = raw.index(b"\x1b[?1049h")
    text = ALLOWED.sub(b"", raw[begin:])
    strange = re.findall(rb".{0,20}[\x00-\x1f\x7f].{0,20}", text.decode().encode("utf-8"))
    assert not strange, strange[:3]
    assert b"\\x1b[2J" in text


def test_results_on_stdout_are_whole(arena: Range, window: Open) -> None:
    """With the dashboard on the same terminal, a pipe and a file get records and nothing else."""
    count = 5000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, more=["--premade"])
    here = window()
    here.premade(count)
    for after in (f" > {here.output}; echo end=$?", f" | cat > {here.output}; echo end=$?"):
        here.type("clear")
        here.run(*QUICK, results="-", after=after)
        here.tmux.until(lambda screen: screen.startswith(" lzr"))
        screen = here.ended()
        assert f"{count} read = {count} recorded (agree)" in screen
        found = here.found()
        assert not found.torn
        assert not mistakes(found, count, ("http",))
        here.type("clear")
        here.tmux.until(lambda screen: "end=" not in screen)


def test_a_slow_reader_is_named(arena: Range, window: Open) -> None:
    count = 20_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, more=["--premade"])
    here = window()
    here.premade(count)
    gate = here.directory / "gate"
    reader = f"(while [ ! -e {gate} ]; do sleep 0.1; done; cat > {here.output})"
    here.run("-w", "1", *QUICK, results="-", after=f" | {reader}; echo end=$?")
    screen = here.tmux.until(lambda screen: "bottleneck slow reader of the results" in screen)
    assert "does not report" not in screen
    gate.touch()
    here.ended()
    assert not mistakes(here.found(), count, ("http",))


def test_keys_steer_the_real_workers(arena: Range, window: Open) -> None:
    count = 40_000
    responder = arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER)
    here = window()
    here.listed(count)
    here.run("-sendSYNs", "-rate", "3000", "-w", "flow=1,collect=1", *QUICK, after="")
    here.tmux.until(lambda screen: "flow 1  collect 1" in screen and "running" in screen)
    here.tmux.keys("+", ">")
    here.tmux.until(lambda screen: re.search(r"^ flow 1 +[0-9]", screen, re.M) is not None)
    here.tmux.until(lambda screen: "flow 2  collect 2" in screen)
    here.tmux.keys("-", "<")
    here.tmux.until(lambda screen: "flow 1  collect 1" in screen and " flow 1   " not in screen)
    here.tmux.keys("]")
    wait_for(lambda: here.status()["rate_limit"] == 3750, "another rate")
    here.tmux.keys("[")
    wait_for(lambda: here.status()["rate_limit"] == 3000, "the rate as it was")
    here.tmux.keys("?")
    here.tmux.until(lambda screen: "this page" in screen)
    here.tmux.keys("?", "p")
    here.tmux.until(lambda screen: "PAUSED" in screen)
    here.tmux.keys("p")
    here.tmux.until(lambda screen: "PAUSED" not in screen and "p pause" in screen)
    # Ctrl-Z gives the terminal back, and fg takes it again.
    here.tmux.keys("C-z")
    here.tmux.until(lambda screen: "Stopped" in screen and screen.rstrip().endswith("ready:"))
    here.type("fg")
    here.tmux.until(lambda screen: screen.startswith(" lzr") and "? help" in screen)
    here.tmux.keys("q")
    here.tmux.until(lambda screen: "end now" in screen or "interrupted after" in screen)
    here.tmux.keys("q")
    screen = here.tmux.until(lambda screen: "lzr: interrupted after" in screen)
    responder.stop()
    assert "(agree)" in screen
    found = here.found()
    assert not found.torn
    assert len(found.by_service()) == len(found.records)


def test_late_answers_are_waited_for_and_told(arena: Range, window: Open) -> None:
    arena.respond(first=FIRST, count=50, port=PORT, source=SCANNER, classes="n")
    here = window()
    here.listed(50)
    here.run("-sendSYNs", "-rn", "1", "-rt", "0.5", "-c", "9", "-t", "0.5")
    screen = here.tmux.until(lambda screen: re.search(r"cooling down, [0-9] s left", screen) is not None)
    assert re.search(r"bottleneck waiting for late answers, [0-9] s left: -c is how long", screen)
    screen = here.ended()
    assert re.search(r"^no SYN-ACK +50 +100.0%", screen, re.MULTILINE)


def test_a_silent_network_is_a_warning(arena: Range, window: Open) -> None:
    """Packets go out, nothing at all comes back."""
    here = window()
    here.listed(400)
    here.run("-sendSYNs", "-gatewayMac", arena.gateway_mac, "-rt", "5", "-c", "2", "-t", "1")
    here.tmux.until(lambda screen: "nothing received, " in screen and "check --gateway-mac" in screen)
    here.ended()


def test_terminals_of_little_ability(arena: Range, window: Open) -> None:
    count = 8000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER)
    words = ("-sendSYNs", "-rate", "4000", *QUICK)
    old = window(80, 24, LANG="C", NO_COLOR="1")
    old.listed(count)
    old.run(*words)
    screen = old.tmux.until(lambda screen: re.search(r"^ data +[1-9]", screen, re.M) is not None)
    assert "bottleneck" in screen
    assert screen.isascii()
    coloured = old.tmux._do("capture-pane", "-p", "-e")
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|9[0-7]|38)[;m]", coloured)
    assert old.ended().isascii()
    old.type("clear")
    before = old.raw.stat().st_size
    old.run(*words, before="TERM=dumb ")
    old.tmux.until(lambda screen: len(re.findall(r"^0:0[0-9] .*read: ", screen, re.M)) >= 2)
    assert b"\x1b[?1049h" not in old.raw.read_bytes()[before:]
    old.tmux.until(lambda screen: screen.rstrip().splitlines()[-1].startswith(("end=", "ready:")), 60)
    old.type("clear")
    old.run("--no-dashboard", *words)
    old.tmux.until(lambda screen: len(re.findall(r"^0:0[0-9] .*read: ", screen, re.M)) >= 2)
    old.ended()


def test_without_a_terminal_a_line_a_second(arena: Range, window: Open) -> None:
    arena.respond(first=FIRST, count=12_000, port=PORT, source=SCANNER)
    here = window()
    for quiet, count in (((), 12_000), (("-q",), 1000)):
        here.listed(count)
        with here.source.open() as stdin:
            done = subprocess.run(
                arena.scanner.command(
                    LZR, "-sendSYNs", "-rate", "4000", "-v", "2", *QUICK, *quiet, "-f", here.output
                ),
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
        assert done.stdout == ""
        assert "\x1b" not in done.stderr
        seconds = re.findall(r"^0:(\d\d) .*; done: (\d+) .*; hitrate: [0-9.]+%", done.stderr, re.M)
        if quiet:
            assert seconds == []
        else:
            assert len(seconds) >= 3
            assert [int(second) for second, _ in seconds] == sorted({int(second) for second, _ in seconds})
            assert int(seconds[-1][1]) <= count
        if quiet:
            assert done.stderr == "", "results and errors only"
        else:
            assert f"{count} read = {count} recorded (agree)" in done.stderr
