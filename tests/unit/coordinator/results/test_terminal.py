"""Results on a terminal: carried there, whole, and harmless."""

from __future__ import annotations

import os
import pty
import tty

from coordinator.results.terminal import Relay, harmless


def test_only_a_terminal_is_replaced() -> None:
    reader, writer = os.pipe()
    relay = Relay([writer])
    assert relay.handed == [writer]
    relay.handed_over()
    relay.finish()
    os.write(writer, b"still open")
    assert os.read(reader, 20) == b"still open"
    os.close(reader)
    os.close(writer)


def test_what_is_written_arrives_and_what_would_act_is_shown() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    relay = Relay([theirs])
    (handed,) = relay.handed
    assert not os.isatty(handed)
    child = os.dup(handed)
    relay.handed_over()
    os.write(child, b'{"data":"\\u001b[2J"}\n\x1b]0;owned\x07\n')
    os.close(child)
    assert relay.finish()
    assert os.read(ours, 1000) == b'{"data":"\\u001b[2J"}\n\\x1b]0;owned\\x07\n'
    os.close(ours)
    os.close(theirs)


def test_a_terminal_that_is_gone_is_a_reader_that_is_gone() -> None:
    ours, theirs = pty.openpty()
    relay = Relay([theirs])
    child = os.dup(relay.handed[0])
    relay.handed_over()
    os.close(ours)
    os.write(child, b"a record\n")
    assert not relay.finish()
    try:
        os.write(child, b"another\n")
    except BrokenPipeError:
        pass
    else:
        raise AssertionError("somebody still reads")
    os.close(child)
    os.close(theirs)


def test_a_terminal_that_takes_nothing_any_more_is_told() -> None:
    """As after Ctrl-S: what is left in the pipe is not on it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    relay = Relay([theirs])
    child = os.dup(relay.handed[0])
    relay.handed_over()
    os.write(child, b"x" * 60_000)  # more than a terminal holds that nobody reads
    os.close(child)
    assert not relay.finish()
    read = 0
    while read < 60_000:
        read += len(os.read(ours, 1 << 16))
    assert relay.finish()
    os.close(ours)
    os.close(theirs)


def test_harmless() -> None:
    assert harmless(b"a record\n") == b"a record\n"
    assert harmless(b"\xff\t\r\n") == b"\\xff\\t\\r\n"
