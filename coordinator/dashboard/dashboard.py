"""The live dashboard: a picture of a `Snapshot`, and the terminal it is kept on.

`render` is pure (a snapshot and a size in, a rich renderable out), and `Dashboard` only decides
what has to be written so that the terminal shows it: the lines that changed. That is what makes four frames
a second cost less than a hundredth of a core, and little over ssh. It draws on the terminal of stderr,
reads keys from the terminal itself (stdin is the input), never writes to stdout, never waits for it.

Where targets are typed on that terminal, it stays as it is (lines, echo, Ctrl-D) until they have ended: the
lowest line is theirs, the picture is a line shorter, and there are no keys.

This is the only module that imports rich, and it is imported only when a picture is wanted.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from coordinator.dashboard.canvas import THEME, Line
from coordinator.dashboard.layout import compose
from coordinator.dashboard.terminal import (
    HIDE_CURSOR,
    RESTORE_CURSOR,
    SAVE_CURSOR,
    SHOW_CURSOR,
    Keyboard,
    Screen,
    abilities,
)
from coordinator.endpoints import ctlcommands
from coordinator.endpoints.ctlcommands import Command
from coordinator.monitor.snapshot import Snapshot

STYLES = {name: Style.parse(words or "none") for name, words in THEME.items()}

DUMB_EVERY = 5.0
"""Seconds between pictures on a terminal that cannot move its cursor."""


class Frame:
    """A picture: prints itself in rich's way, and tells its lines as text."""

    def __init__(self, lines: list[Line], colour: bool = True) -> None:
        self.lines = lines
        self.colour = colour

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            for text, style in line:
                # Blanks by themselves: not every viewer of an SVG keeps those at the beginning of a text.
                words = text.lstrip(" ")
                if len(words) < len(text):
                    yield Segment(text[: len(text) - len(words)])
                if words:
                    yield Segment(words, STYLES[style] if self.colour else None)
            yield Segment.line()

    def text(self) -> list[str]:
        return ["".join([text for text, _ in line]) for line in self.lines]


def render(
    snapshot: Snapshot,
    width: int,
    height: int,
    *,
    unicode: bool = True,
    colour: bool = True,
    help_on: bool = False,
) -> Frame:
    """The picture of a scan at a size: exactly `height` lines of exactly `width` cells."""
    return Frame(compose(snapshot, width, height, unicode=unicode, help_on=help_on), colour)


def export(snapshot: Snapshot, kind: str, width: int = 120, height: int = 40) -> str:
    """The picture as a document: `kind` is svg or html."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(render(snapshot, width, height), end="")
    if kind == "html":
        return console.export_html(inline_styles=True)
    # Without the web fonts, so that looking at it contacts nobody.
    return re.sub(r"@font-face\s*\{[^}]*\}", "", console.export_svg(title="lzr"))


def export_kind(path: str) -> str:
    """svg or html, by the name of the file. Raises ValueError with a sentence."""
    kind = path.rpartition(".")[2].lower()
    if kind not in ("svg", "html"):
        raise ValueError(f"--dashboard-file {path}: the name must end in .svg or .html")
    return kind


class Dashboard:
    """Keeps a terminal showing the last snapshot: `start`, `update` about four times a second, `stop`."""

    def __init__(self, environ: dict[str, str] | None = None, *, typed: bool = False) -> None:
        """typed: the input is typed on the same terminal, until `take_keys`."""
        self._environ = environ
        self._typed = typed
        self._screen: Screen | None = None
        self._keyboard: Keyboard | None = None
        self._sgr: Callable[[Line], str] = _plain
        self._shown: list[str] = []
        self._size = (0, 0)
        self._help = False
        self._ending = False
        self._snapshot = Snapshot()
        self._dumb_next = float("-inf")

    def start(self, stream: IO[str]) -> None:
        """Take the terminal of `stream` (stderr)."""
        self.can = abilities(stream, self._environ)
        self._sgr = painter(self.can.colours) if self.can.cursor else _plain
        self._screen = Screen(stream, cursor=self.can.cursor)
        self._enter(self._screen)

    def _enter(self, screen: Screen) -> None:
        if not self._typed:
            self._keyboard = Keyboard(screen.tty)
        screen.enter()
        if self._typed and self.can.cursor:
            screen.write(SHOW_CURSOR)

    def take_keys(self) -> None:
        """The typed input has ended: use the whole terminal, and its keys."""
        if not self._typed:
            return
        self._typed = False
        if self._screen is not None:
            self._keyboard = Keyboard(self._screen.tty)
            if self.can.cursor:
                self._screen.write(HIDE_CURSOR)
            self.repaint()

    def update(self, snapshot: Snapshot) -> None:
        """Show the snapshot, in about a millisecond; skipped while the terminal is busy with the last
        picture.
        """
        screen = self._screen
        self._snapshot = snapshot
        if screen is None or not screen.flush():
            return
        width, height = screen.size()
        if not self.can.cursor:
            self._print(screen, snapshot, width, height)
            return
        size = width, height
        if self._typed:
            height = max(1, height - 1)
        lines = compose(snapshot, width, height, unicode=self.can.unicode, help_on=self._help)
        painted = [self._sgr(line) for line in lines]
        if size != self._size:
            self._size, self._shown = size, []
            screen.resized(size[1])
            if self._typed:
                screen.write(f"\x1b[{size[1]};1H")
        shown = self._shown
        out: list[str] = [SAVE_CURSOR] if self._typed else []
        for row, text in enumerate(painted):
            # The last two lines are where another program's message would land: always put right.
            if row >= len(shown) or shown[row] != text or row >= height - 2:
                out.append(f"\x1b[{row + 1};1H{text}")
        out.append(RESTORE_CURSOR if self._typed else f"\x1b[{height};1H")
        self._shown = painted
        screen.write("".join(out))

    def repaint(self) -> None:
        """Draw everything anew at the next update (after another program wrote on the terminal)."""
        self._shown = []
        self._size = (0, 0)

    def fileno(self) -> int:
        """The descriptor on which keys arrive; -1 without a keyboard."""
        return self._keyboard.fileno() if self._keyboard else -1

    def key(self) -> str | None:
        """The next key pressed, if any: a character, or "up", "down"…; never waits."""
        return self._keyboard.key() if self._keyboard else None

    def commands(self) -> list[Command]:
        """The commands of the keys pressed since the last call. Help and repainting are handled here."""
        found: list[Command] = []
        while (key := self.key()) is not None:
            command = self._command(key)
            if command is not None:
                found.append(command)
        return found

    def _command(self, key: str) -> Command | None:
        if key in ("?", "h", "esc"):
            self._help = key != "esc" and not self._help
            if self._screen is not None and self.can.cursor:
                self.update(self._snapshot)
        elif key == "\x0c":
            self.repaint()
        elif key in ("p", " "):
            return Command("resume" if self._snapshot.paused else "pause")
        elif key == "q":
            again, self._ending = self._ending or self._snapshot.draining, True
            return Command("quit" if again else "drain")
        return _CHANGES.get(key)

    def suspend(self) -> None:
        """Give the terminal back for a while (before SIGSTOP)."""
        if self._keyboard:
            self._keyboard.restore()
        if self._screen:
            self._screen.leave()

    def resume(self) -> None:
        """Take it again (after SIGCONT)."""
        if self._screen:
            self._enter(self._screen)
            self.repaint()

    def stop(self, final_summary: str = "") -> None:
        """Restore the terminal and leave the summary on it. May be called twice."""
        self.suspend()
        screen, self._screen, self._keyboard = self._screen, None, None
        if screen:
            screen.close(final_summary)

    def _print(self, screen: Screen, snapshot: Snapshot, width: int, height: int) -> None:
        """On a terminal that cannot move its cursor: one picture below the other, not often."""
        if snapshot.now < self._dumb_next:
            return
        self._dumb_next = snapshot.now + DUMB_EVERY
        lines = render(snapshot, width - 1, min(height, 24), unicode=self.can.unicode).text()
        screen.write("".join(line.rstrip() + "\r\n" for line in lines))


_CHANGES = {
    "+": ctlcommands.workers(flow=1),
    "=": ctlcommands.workers(flow=1),
    "-": ctlcommands.workers(flow=-1),
    "_": ctlcommands.workers(flow=-1),
    ">": ctlcommands.workers(collect=1),
    ".": ctlcommands.workers(collect=1),
    "<": ctlcommands.workers(collect=-1),
    ",": ctlcommands.workers(collect=-1),
    "]": ctlcommands.rate(1.25),
    "up": ctlcommands.rate(1.25),
    "[": ctlcommands.rate(0.8),
    "down": ctlcommands.rate(0.8),
}


def _plain(line: Line) -> str:
    return "".join([text for text, _ in line])


def painter(colours: bool) -> Callable[[Line], str]:
    """Lines to text with the terminal's codes, made once for each style."""
    codes: dict[str, str] = {}
    for name, style in STYLES.items():
        bare = Style(bold=style.bold, dim=style.dim, reverse=style.reverse)
        text = (style if colours else bare).render("\0")
        codes[name] = text.partition("\0")[0]

    def paint(line: Line) -> str:
        out: list[str] = []
        for text, style in line:
            code = codes[style]
            out.append(f"{code}{text}\x1b[0m" if code else text)
        return "".join(out)

    return paint
