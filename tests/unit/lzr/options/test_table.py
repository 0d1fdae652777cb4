"""The table of options: sound in itself, the same through text and back, and light to import."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.errors import UsageError, check_fields
from lzr.options import completion, handshakes
from lzr.options.groups.headings import GROUPS
from lzr.options.groups.input import InputOptions
from lzr.options.groups.option import COLUMNS, Option
from lzr.options.groups.results import ResultOptions
from lzr.options.groups.running import RunOptions
from lzr.options.groups.sending import SendingOptions
from lzr.options.kinds import kind
from lzr.options.parse import parse
from lzr.options.resume import is_possible
from lzr.options.rules import apply
from lzr.options.table import ACTIONS, TABLE, Options
from tests import ROOT
from tests.rows import every_row

REFERENCE: dict[str, tuple[str, object]] = {
    # flag: (attribute, value where neither flag nor configuration says otherwise)
    "handshakes": ("handshakes", ("http",)),
    "f": ("output_file", None),
    "sendSYNs": ("send_syns", False),
    "dryrun": ("dryrun", ""),
    "sourceIP": ("source_ips", ()),
    "gatewayMac": ("gateway_mac", None),
    "sendInterface": ("interface", None),
    "rate": ("rate", 10000.0),
    "w": ("flow_workers", None),
    "rt": ("retransmit_wait", 1.0),
    "rn": ("retransmit_number", 1),
    "t": ("timeout", 5.0),
    "c": ("cooldown", 8.0),
    "haf": ("haf", 0),
    "hafThreshold": ("haf_threshold", 1.0),
    "pushDataOnly": ("push_data_only", False),
    "forceAllHandshakes": ("force_all_handshakes", False),
    "priorityFingerprint": ("priority_fingerprint", ()),
    "feedZGrab": ("feed_zgrab", False),
    "onlyDataRecord": ("only_data_record", False),
    "ipv6": ("ipv6", False),
    "d": ("debug", False),
    "cpuprofile": ("cpuprofile", None),
    "memprofile": ("memprofile", None),
}


@every_row(REFERENCE)
def test_reference_flag(flag: str) -> None:
    attr, default = REFERENCE[flag]
    row = Options.rows[attr]
    assert row.reference == flag
    assert row.was, "the compatibility page tells the reference's default"
    assert row.default == default
    assert getattr(parse([]), attr) == default
    for dashes in ("-", "--"):
        value = {"w": "3", "haf": "3", "rn": "3", "sourceIP": "192.0.2.1", "gatewayMac": "00:16:3e:5e:6c:07"}
        text = value.get(flag, "true" if row.kind.bare else "1")
        assert getattr(parse([f"{dashes}{flag}={text}"]), attr) != default or text == "1"
        if row.kind.bare is None:
            assert parse([f"{dashes}{flag}", text]) == parse([f"{dashes}{flag}={text}"])
        else:
            assert parse([f"{dashes}{flag}"]) == parse([f"{dashes}{flag}=true"])


def test_every_reference_flag_is_in_the_table_and_no_other() -> None:
    assert {row.reference for row in TABLE if row.reference} == set(REFERENCE)


def test_a_default_that_differs_has_its_reason() -> None:
    for row in TABLE:
        if row.reference and row.attr not in ("priority_fingerprint",):
            same = row.was in (
                row.shown_default,
                row.kind.show(row.default) if row.default is not None else "",
            )
            numbers = {"1.0": "1", "none": "", "0": "0, off"}
            assert same or row.why or numbers.get(row.was) == row.shown_default, row.flag


def test_names_are_unique_and_kebab() -> None:
    names = [name for row in (*TABLE, *ACTIONS) for name in row.names]
    assert len(names) == len(set(names))
    for row in TABLE:
        assert row.long == row.long.lower()
        assert "_" not in row.long
        assert len(row.short) <= 1
        assert row.group in GROUPS
        assert row.help
        assert row.help[-1] not in ".!"
        assert row.help == row.help.strip()


@pytest.mark.parametrize(
    ("flag", "attr"),
    [
        ("-S", "source_ips"),
        ("-G", "gateway_mac"),
        ("-i", "interface"),
        ("-o", "output_file"),
        ("-r", "rate"),
        ("-B", "bandwidth"),
        ("-c", "cooldown"),
        ("-b", "blocklist_file"),
        ("-n", "max_targets"),
        ("-N", "max_results"),
        ("-e", "seed"),
        ("-q", "quiet"),
        ("-v", "verbosity"),
        ("-O", "output_module"),
        ("-m", "metadata_file"),
        ("-u", "status_updates_file"),
        ("-l", "log_file"),
        ("-L", "log_directory"),
        ("-s", "source_port"),
    ],
)
def test_zmap_short_form(flag: str, attr: str) -> None:
    assert Options.rows[attr].short == flag[1:] or Options.rows[attr].reference == flag[1:]


@every_row(TABLE, lambda row: row.attr)
def test_default_survives_text(row: Any) -> None:
    if row.default not in (None, ()):
        assert row.kind.parse(row.kind.show(row.default)) == row.default


# -- values ------------------------------------------------------------------------------------------------

DAY = 86400.0
NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=1, max_size=12)
PATH = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
COUNT = st.integers(1, 2**62)
FLOAT = st.floats(1e-6, 1e8, allow_nan=False) | st.integers(1, 10**8).map(float)
V4 = st.integers(0x01000000, 0xDFFFFFFF).map(lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0)))
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "handshakes": st.lists(NAME, min_size=1, max_size=5).map(tuple),
    "priority_fingerprint": st.lists(NAME, min_size=1, max_size=5).map(tuple),
    "output_fields": st.lists(NAME, min_size=1, max_size=5).map(tuple),
    "resume_changed": st.lists(NAME, min_size=1, max_size=5).map(tuple),
    "dryrun": st.sampled_from(["", "text", "fast"]),
    "max_targets": COUNT | st.floats(1e-9, 100).map(lambda share: f"{kind.show_number(share)}%"),
    "haf": st.integers(0, 100),
    "haf_threshold": st.floats(0, 1),
    "seed": st.integers(0, 2**64 - 1),
    "blocklist_file": st.lists(PATH, min_size=1, max_size=3, unique=True).map(tuple),
    "allowlist_file": st.lists(PATH, min_size=1, max_size=3, unique=True).map(tuple),
    "shards": st.integers(1, 65535),
    "target_ports": st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda p: (min(p), max(p))),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "targets": st.lists(
        V4 | V4.map(lambda address: f"{address}/24"), min_size=1, max_size=3, unique=True
    ).map(tuple),
    "targets_file": st.lists(PATH, min_size=1, max_size=3, unique=True).map(tuple),
    "handshakes_by_port": st.lists(PATH, min_size=1, max_size=3, unique=True).map(tuple),
    "source_ips": st.lists(V4, min_size=1, max_size=3).map(tuple),
    "source_port": st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda p: (min(p), max(p))),
    "gateway_mac": st.binary(min_size=6, max_size=6).map(lambda b: b.hex(":")),
    "interface": st.text("abcdefgh0123.-_", min_size=3, max_size=15).filter(lambda s: s not in (".", "..")),
    "rate": st.none() | FLOAT,
    "max_send_failures": st.none() | COUNT,
    "retransmit_number": st.integers(0, 255),
    "probes": st.integers(1, 255),
    "max_size": st.integers(1, 1024),
    "output_module": st.sampled_from(["json", "csv"]),
    "output_filter": st.sampled_from(["ttl > 60", "!RST && (fingerprint != 'http' || ACKed)"]),
    "flow_workers": st.integers(1, 256),
    "collect_workers": st.integers(1, 256),
    "guard": st.sampled_from(["auto", "output", "ingress", "none"]),
    "verbosity": st.integers(0, 5),
    "dashboard": st.booleans(),
    "dashboard_file": PATH.map(lambda p: p + ".svg"),
    "metrics_port": st.integers(1, 65535),
    "metrics_address": V4,
    "notes": PATH,
    "plan_id": st.text("0123456789abcdef", min_size=8, max_size=64),
    "user": NAME,
    "user_agent": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=256),
}


def strategy(attr: str) -> st.SearchStrategy[Any]:
    if attr in SPECIAL:
        return SPECIAL[attr]
    row = Options.rows[attr]
    if row.is_switch:
        return st.booleans()
    if isinstance(row.default, float) or attr in ("max_rate", "bandwidth", "max_runtime", "lease_until"):
        return FLOAT
    return COUNT if row.kind.metavar == "N" else PATH


VALUES = st.fixed_dictionaries(
    {}, optional={row.attr: strategy(row.attr) for row in TABLE if row.attr != "shard"}
)


@given(VALUES)
def test_echo_reads_back(values: dict[str, object]) -> None:
    try:
        given_options = apply(values)
    except UsageError:
        return
    argv = [f"{flag}={text}" for flag, text in given_options.echo()]
    assert parse(argv) == given_options
    assert all(is_possible(row, getattr(given_options, row.attr)) for row in TABLE)
    json.dumps(given_options.as_dict())


def test_echo_tells_only_what_differs() -> None:
    assert Options().echo() == []
    assert parse(["-handshakes", "http", "-rate", "10K", "-t", "7"]).echo() == [("--timeout", "7")]
    assert parse(["--no-dashboard", "-dryrun"]).echo() == [
        ("--send-syns", "true"),
        ("--dryrun", "text"),
        ("--dashboard", "false"),
    ]


def test_options_are_a_frozen_value() -> None:
    one = parse(["-w", "flow=6,collect=2"])
    assert (one.flow_workers, one.collect_workers) == (6, 2)
    with pytest.raises(AttributeError):
        one.flow_workers = 7  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del one.rate
    assert not hasattr(one, "__dict__")
    assert one.replace(flow_workers=7).flow_workers == 7
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == one
    assert hash(one) == hash(one.replace())
    assert one != Options()
    assert repr(one) == "Options(flow_workers=6, collect_workers=2)"
    with pytest.raises(TypeError):
        Options(nonsense=1)  # type: ignore[call-arg]


# -- rules between options ---------------------------------------------------------------------------------


def test_dryrun_opens_the_connections_itself() -> None:
    assert parse(["-dryrun"]).send_syns
    assert parse(["-dryrun"]).dryrun == "text"
    assert parse(["-dryrun=fast"]).dryrun == "fast"
    assert not parse(["-dryrun=false"]).send_syns


def test_all_handshakes_leave_no_room_for_haf() -> None:
    assert parse(["-haf", "5", "-forceAllHandshakes"]).haf == 0
    assert parse(["-haf", "5"]).haf == 5


def test_resume_goes_on_checkpointing() -> None:
    assert parse(["--resume", "d"]).checkpoint == "d"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--shards 2 --shard 2", "--shard 2: shards count from 0"),
        ("--shards 9 --shard 1,7-9", "--shard 1,7-9: shards count from 0"),
        ("--shards 9 --shard 1,0-2", "names shard 1 twice"),
        ("--shards 9 --shard 3-1", "has a range whose first shard is above its last"),
        ("--shards 9 --shard 1,,2", "must be shards and ranges of shards, as in 3,7-9"),
        ("-l a -L b", "not both"),
        ("-feedZGrab -f -", "-feedZGrab writes to stdout"),
        ("-m - -f -", "both go to stdout"),
        ("--zgrab-only-known", "needs -feedZGrab"),
        ("-O zgrab --output-fields saddr", "fields of its own"),
        ("--resume a --checkpoint b", "leave --checkpoint out"),
        ("--reopen", "needs --resume"),
    ],
)
def test_what_cannot_go_together(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(line.split())
    assert sentence in str(error.value)


# -- names that are checked later --------------------------------------------------------------------------


def test_unknown_handshake_gets_a_guess() -> None:
    assert handshakes.handshakes(("http", "tls")).names == ("http", "tls")
    with pytest.raises(UsageError, match=r"htpp is not a handshake; did you mean http\?"):
        handshakes.handshakes(("tls", "htpp"))
    with pytest.raises(UsageError, match="'\\\\x1b' is not a handshake"):
        handshakes.handshakes(("\x1b",))


def test_unknown_label_and_field() -> None:
    with pytest.raises(UsageError, match="sshh is not a fingerprint; did you mean ssh"):
        handshakes.fingerprints(("sshh",))
    with pytest.raises(UsageError, match=r"Saddr is not an output field; did you mean saddr\?"):
        check_fields(("Saddr",), ("saddr", "daddr"))
    check_fields(("*",), ("saddr",))


# -- what is made from the table ---------------------------------------------------------------------------


def test_example_configuration_reads_and_holds_every_option() -> None:
    text = (ROOT / "etc/lzr.toml").read_text()
    assert text == completion.toml()
    assert tomllib.loads(text) == {}
    live = "\n".join(line[1:] for line in text.splitlines() if line.startswith("#") and line[1:2].isalpha())
    table = tomllib.loads(live)
    assert set(table) == {row.long for row in TABLE}
    for row in TABLE:  # one by one: not all go together
        one = f"{row.long} = {completion._toml_value(row)}".encode()

        def read(_: str, one: bytes = one) -> bytes:
            return one

        base = ["--resume", "d"] if row.attr in ("reopen", "resume_changed") else []
        if row.attr.startswith("target") and row.attr != "targets_total":
            base = ["--targets", "192.0.2.1"] if row.attr == "target_ports" else ["-p", "80"]
        parse([*base, "--config", "c"], read=read)


def test_import_is_light() -> None:
    """Until the RST guard is up, the kernel resets what ZMap half opened: nothing slow may come first."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lzr; before = set(sys.modules)\n"
        "from lzr.options.parse import parse; parse(['-S', '192.0.2.1', '-w', '2', '-B', '10M'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if not name.startswith("lzr")} <= {"__future__"}


def test_a_default_that_cannot_be_written_down_has_an_example() -> None:
    assert {row.attr for row in TABLE if row.default in (None, ()) and not row.example} == set()


def test_the_table_is_one_though_it_is_written_in_several_classes() -> None:
    """Each class goes on with the rows of the one before, and every column of a row is filled."""
    classes = (InputOptions, SendingOptions, ResultOptions, RunOptions, Options)
    for before, after in itertools.pairwise(classes):
        assert list(after.rows)[: len(before.rows)] == list(before.rows)
    assert len(Options.rows) == len(TABLE) > len(ResultOptions.rows) > len(InputOptions.rows)
    assert [row.group for row in TABLE] == sorted((row.group for row in TABLE), key=GROUPS.index)
    assert all(getattr(row, column) is not None for row in TABLE for column in COLUMNS)
    with pytest.raises(AttributeError):
        Option("", kind.SWITCH, None, "no such column", exmaple="1")  # type: ignore[call-arg]
