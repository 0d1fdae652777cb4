"""Names of handshakes: presets, other tools' names, and that what the documentation says of them is so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.errors import UsageError
from lzr.flow import ackfirewall
from lzr.options import handshakes
from lzr.options.aliases import ABSENT, ALIASES, NO_HANDSHAKE, plain
from lzr.options.table import Options
from lzr.protocols import BY_NAME, PROTOCOLS
from tests import ROOT
from tests.rows import every_row

PAGE = (ROOT / "docs/handshakes.md").read_text()


def test_every_other_name_stands_for_one_thing() -> None:
    ours = {plain(name) for name in BY_NAME}
    assert set(ALIASES.values()) <= set(BY_NAME)
    for one, other in ((set(ALIASES), ours), (set(ABSENT), ours), (set(ABSENT), set(ALIASES))):
        assert not one & other
    assert not NO_HANDSHAKE & (ours | set(ALIASES) | set(ABSENT))
    assert set(ABSENT.values()) == set(handshakes.REASONS)
    for name in (*ALIASES, *ABSENT, *NO_HANDSHAKE):
        assert plain(name) == name, "or it would never be found"
        assert name not in handshakes.PRESETS


@every_row(sorted(BY_NAME))
def test_our_own_names_mean_themselves(name: str) -> None:
    assert handshakes.handshakes((name,)).names == (name,)
    assert handshakes.handshakes((name.upper().replace("_", "-"),)).names == (name,)
    assert handshakes.fingerprints((name,)).names == (name,)


def test_none_is_a_port_scan() -> None:
    chosen, notes = handshakes.choose(Options(handshakes=("none",)))
    assert chosen.handshakes == handshakes.NONE
    assert handshakes.tried(chosen.handshakes) == ()
    assert "asked nothing" in notes[0]
    assert handshakes.tried(("http", "wait")) == ("http", "wait")
    for options in (
        Options(handshakes=("none", "http")),
        Options(handshakes=("none", "none")),
        Options(handshakes=("none",), haf=3),
        Options(handshakes=("none",), haf=3, target_ports=((1, 10), (20, 25))),
        Options(handshakes=("none",), haf=3, target_ports=((1, 10), (1, 10))),
        Options(handshakes=("none",), only_data_record=True),
    ):
        with pytest.raises(UsageError, match="none asks"):
            handshakes.choose(options)
    handshakes.choose(Options(handshakes=("none",), haf=3, target_ports=((1, 10), (20, 26))))
    assert handshakes.FEW_PORTS == ackfirewall.FEW_PORTS


KNOWN = st.sampled_from([*BY_NAME, *ALIASES, "auto", "all", "x/udp"])


@given(st.lists(KNOWN | st.text(max_size=9), max_size=5))
def test_each_is_asked_once_or_refused(names: list[str]) -> None:
    try:
        found = handshakes.handshakes(names)
    except UsageError as error:
        said = str(error)
    else:
        assert set(found.names) <= set(BY_NAME)
        assert len(set(found.names)) == len(found.names) < 256
        assert set(found.named) <= set(found.names)
        return
    assert said.isprintable()


def test_all_has_every_question_once() -> None:
    everything = handshakes.preset("all")
    assert everything[: len(handshakes.AUTO)] == handshakes.AUTO
    asked = [BY_NAME[name].parts for name in everything]
    assert len(set(asked)) == len(asked)
    assert set(asked) == {protocol.parts for protocol in PROTOCOLS}


def test_what_is_named_beside_a_preset_wins_among_labels() -> None:
    settled, _ = handshakes.choose(Options(handshakes=("auto", "https", "ftp")))
    assert settled.priority_fingerprint == ("tls", "ftp")
    settled, _ = handshakes.choose(Options(handshakes=("http", "ftp")))
    assert settled.priority_fingerprint == (), "the order of -handshakes, as in the reference"


# --- docs/handshakes.md ------------------------------------------------------------------------------------


def coverage() -> dict[str, set[str]]:
    """Handshake → protocols of the lab that it names rightly, from the page that the lab writes."""
    text = (ROOT / "docs/response-matrix.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| \d+ \| (.*) \|$", text, re.MULTILINE)
    return {name: set(which.split(", ")) for name, which in rows}


def test_the_figures_of_auto_are_those_of_the_matrix() -> None:
    named = coverage()
    assert f"is `{', '.join(handshakes.AUTO)}`" in PAGE
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+)", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(handshakes.AUTO)
    found: set[str] = set()
    for name, figure in rows:
        found |= named[name]
        assert int(figure) == len(found), name
    everything = set().union(*named.values())
    assert f"of {len(everything)}" in PAGE
    assert f"the other {len(everything) - len(found)} speak" in PAGE
    assert len(named["sip"]) == max(map(len, named.values()))


def test_the_figures_of_all() -> None:
    everything = handshakes.preset("all")
    assert f"{handshakes.most_packets(len(everything), 1)} in all, over some fourteen minutes" in PAGE
    assert round(len(everything) * 6 / 60) == 14


def test_the_names_on_the_page_mean_what_it_says() -> None:
    for name, ours in re.findall(r"`([\w-]+)` is\s+`([\w-]+)`", PAGE):
        assert ALIASES[name] == ours
