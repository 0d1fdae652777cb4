"""The command line as people and scripts write it, and what it prints about itself."""

from __future__ import annotations

import codecs
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr import __version__
from lzr.errors import UsageError
from lzr.options import completion, helptext, manpage
from lzr.options import parse as cli
from lzr.options.parse import FLAGS, KEYS, NEGATED, ShowText, parse
from lzr.options.table import ACTIONS, TABLE, Options
from tests import ROOT, forking
from tests.rows import every_row

MAC = "00:16:3e:5e:6c:07"


def mistake(argv: Sequence[str], toml: bytes = b"") -> str:
    with pytest.raises(UsageError) as error:
        parse(argv, read=lambda _: toml)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert sentence.isprintable()
    return sentence


# -- forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"--handshakes http -sendSYNs -sourceIP 192.0.2.9 -gatewayMac {MAC} -rate 5000",
        f"-handshakes=http --sendSYNs -sourceIP=192.0.2.9 --gatewayMac={MAC} -rate=5000",
        f"--handshakes http --send-syns -S 192.0.2.9 -G {MAC} -r 5K",
        f"--handshakes http -send-syns=true --source-ip 192.0.2.9 --gateway-mac {MAC.upper()} --rate 5e3",
        f"--sendSYNs=1 --S 192.0.2.9 -G 0-16-3e-5e-6c-7 --rate 1 --rate 5000 -handshakes http {'--'}",
    ],
)
def test_the_readme_line_in_every_form(line: str) -> None:
    expected = Options(send_syns=True, source_ips=("192.0.2.9",), gateway_mac=MAC, rate=5000.0)
    assert parse(line.split()) == expected


def test_reference_short_forms_keep_their_meaning() -> None:
    got = parse(["-t", "7", "-c", "3", "-d", "-f", "out.json", "-w", "2", "-rt", "4", "-rn", "5"])
    assert got == Options(
        timeout=7.0,
        cooldown=3.0,
        debug=True,
        output_file="out.json",
        flow_workers=2,
        retransmit_wait=4.0,
        retransmit_number=5,
    )


def test_the_last_of_several_wins() -> None:
    assert parse(["-w", "2", "-w=3"]).flow_workers == 3
    assert parse(["-q", "--no-quiet"]) == Options()
    assert parse(["--no-quiet", "-q"]).quiet
    assert parse(["-w", "flow=4,collect=2", "-w", "6"]).collect_workers == 2


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2.0), ("0.5", 0.5), ("500ms", 0.5), ("2s", 2.0), ("5m", 300.0), ("1h", 3600.0)]
)
def test_times(text: str, value: float) -> None:
    assert parse(["-t", text]).timeout == value


@pytest.mark.parametrize(
    ("text", "value"), [("10000", 1e4), ("10K", 1e4), ("10k", 1e4), ("1.5M", 1.5e6), ("2G", 2e9)]
)
def test_bandwidth(text: str, value: float) -> None:
    assert parse(["-B", text]).bandwidth == value


def test_bandwidth_alone_sets_the_rate() -> None:
    assert parse(["-B", "10M"]).rate is None
    assert parse(["-B", "10M", "-r", "500"]).rate == 500
    assert parse(["--max-rate", "500"]).rate == parse([]).rate is not None


def test_no_limit() -> None:
    assert parse(["-rate", "none"]).rate is None
    assert parse(["--max-send-failures=none"]).max_send_failures is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("192.0.2.1", ("192.0.2.1",)),
        ("192.0.2.1, 192.0.2.9", ("192.0.2.1", "192.0.2.9")),
        ("198.51.100.0/29", ("198.51.100.0/29",)),
        ("2001:DB8::1", ("2001:db8::1",)),
        ("2001:db8::/64,192.0.2.1", ("2001:db8::/64", "192.0.2.1")),
        ("10.0.0.1-10.0.0.4", ("10.0.0.1", "10.0.0.2/31", "10.0.0.4")),
        ("::ffff:192.0.2.1", ("192.0.2.1",)),
        ("::ffff:c000:200/120,::ffff:10.0.0.0/126", ("192.0.2.0/24", "10.0.0.0/30")),
        ("::ffff:10.0.0.1-::ffff:10.0.0.4", ("10.0.0.1", "10.0.0.2/31", "10.0.0.4")),
    ],
)
def test_source_addresses(text: str, value: tuple[str, ...]) -> None:
    assert parse(["-sourceIP", text]).source_ips == value


def test_ports() -> None:
    assert parse(["--source-port", "40000-41000"]).source_port == (40000, 41000)
    assert parse(["-s", "40000"]).source_port == (40000, 40000)
    assert parse([]).source_port is None


def test_the_user() -> None:
    assert parse([]).user is None  # one of the run's own
    assert parse(["--user", "bob"]).user == "bob"


# -- mistakes ----------------------------------------------------------------------------------------------


@every_row(
    [
        ("-sendsyns", "unknown flag -sendsyns; did you mean -sendSYNs?"),
        ("--handshake http", "unknown flag --handshake; did you mean --handshakes?"),
        ("--sendsyns", "unknown flag --sendsyns; did you mean --send-syns?"),
        ("-sendIface x", "did you mean -sendInterface?"),
        ("--quux", "unknown flag --quux; lzr --help-all shows them all"),
        ("-r10000", "unknown flag -r10000; write -r 10000"),
        ("-rt5", "unknown flag -rt5; write -rt 5"),
        ("-w", "-w needs a value (N)"),
        ("-f --quiet", "-f needs a value (FILE), but --quiet is a flag"),
        ("-f=", "-f '': must be the name of a file"),
        ("-sendSYNs false", "-sendSYNs takes no separate value; write -sendSYNs=false"),
        ("-sendSYNs=maybe", "must be true or false"),
        ("--no-quiet=1", "--no-quiet takes no value"),
        ("services.txt", "services.txt: flags only; targets come from stdin or --input-file"),
        ("-", "-: flags only"),
        ("-p 80 443 192.0.2.0/24", "443: ports are separated by commas without blanks, as in -p 80,443"),
        ("-p 80 192.0.2.0/24 443,8000-8100", "443,8000-8100: ports are separated by commas"),
        ("-p 80 192.0.2.0/33", "192.0.2.0/33 is no address, network (192.0.2.0/24), range"),
        ("-p 80 192.0.2.9-192.0.2.1", "192.0.2.9-192.0.2.1 is no address, network"),
        ("-p 80 192.0.2/24", "192.0.2/24 is no address, network"),
        ("-p 80 192.0.2.1:80", "192.0.2.1:80 is no address, network"),
        ("-p 80 http://192.0.2.1/", "its ports are said with -p"),
        ("-p 80 networks.txt", "networks.txt: networks of a file are swept with --targets-file networks.txt"),
        ("-p 80 -", "-: networks of a file are swept with --targets-file FILE"),
        ("-w 2 -- x", "x: flags only"),
        ("-q guard on", "guard must be the first word: lzr guard"),
        ("-w 0", "-w 0: must be from 1 to 256 workers"),
        ("-w flow=0", "must be from 1 to 256 workers"),
        ("-w packets=3", "the channels are flow and collect"),
        ("-w two", "must be a number of workers"),
        ("-rate 0", "-rate 0: must be more than 0 targets a second"),
        ("-rate -5", "more than 0 targets"),
        ("-rate nan", "must be a number of targets a second"),
        ("-rate 1e999", "must be a number of targets"),
        ("-B 0M", "more than 0 bits"),
        ("-rt 0", "must be more than 0 seconds"),
        ("-t -1", "must be more than 0 seconds"),
        ("-c -1", "must be at least 0 seconds"),
        ("-t soon", "must be a time in seconds"),
        ("-t m", "must be a time in seconds"),
        ("-rn 256", "must be from 0 to 255"),
        ("-rn 1.5", "must be a whole number"),
        ("-rn \u0663", "must be a whole number"),
        ("-hafThreshold 1.1", "must be from 0 to 1"),
        ("-haf -1", "must be from 0 to 100"),
        ("-gatewayMac 00:16:3e:5e:6c", "must be a MAC address such as"),
        ("-gatewayMac 00:16:3e:5e:6c:0g", "must be a MAC address such as"),
        ("-sourceIP 192.0.2", "'192.0.2' is not an IP address"),
        ("-sourceIP 192.0.2.256", "is not an IP address"),
        ("-sourceIP 192.0.2.1,", "'' is not an IP address"),
        ("-sourceIP 192.0.2.1/24", "is not an IP address, a CIDR block"),
        ("-sourceIP 192.0.2.9-192.0.2.1", "a range of addresses"),
        ("-sourceIP 192.0.2.1-2001:db8::1", "a range of addresses"),
        ("-sourceIP 224.0.0.1", "cannot be the source of a packet"),
        ("-sourceIP 0.0.0.0", "cannot be the source of a packet"),
        ("-sourceIP fe80::1%eth0", "has a zone"),
        ("-sendInterface a-name-that-is-too-long", "1 to 15 characters"),
        ("-sendInterface a/b", "without spaces"),
        ("--source-port 0", "from 1 to 65535"),
        ("--source-port 5-70000", "from 1 to 65535"),
        ("--source-port 9-8", "first port is not above its last"),
        ("--metrics-port 65536", "from 1 to 65535"),
        ("--metrics-address here", "must be an IP address"),
        ("-handshakes http,,tls", "must be names separated by commas"),
        ("-dryrun=slow", "must be text or fast"),
        ("-O xml", "must be json, csv or zgrab"),
        ("--guard maybe", "must be auto, output, ingress or none"),
        ("--dashboard-file a.png", "must end in .svg or .html"),
        ("-v 6", "must be from 0 to 5"),
        ("-n 0", "must be at least 1"),
        ("-n 9999999999999999999", "must be at most 9223372036854775807, or a percentage"),
        ("-N 9999999999999999999", "must be at most 9223372036854775807"),
        ("--max-rate 1e-300", "is too small"),
        ("-r 1e-7", "is too small"),
        ("-n x", "must be a whole number"),
        ("-p 80 -n 0% 192.0.2.1", "above 0%"),
        ("-p 80 -n 101% 192.0.2.1", "at most 100%"),
        ("-p 80 -n % 192.0.2.1", "a percentage as in 0.5%"),
        ("-p 80 -n nan% 192.0.2.1", "a percentage as in 0.5%"),
        ("-sendSYNs -n 5%", "give a number"),
        ("-e -1", "must be at least 0"),
        ("--output-filter ttl>", "at character 5: expected a value after >"),
        ("-f a\0b", "must not hold a NUL"),
        ("-\x1b[2J", "unknown flag '-\\x1b[2J'"),
    ]
)
def test_mistakes(line: str, sentence: str) -> None:
    assert sentence in mistake(line.split(" "))


def test_long_values_are_cut() -> None:
    assert len(mistake(["-w", "x" * 10000])) < 200
    assert len(mistake(["-" + "x" * 10000])) < 200


def test_a_value_may_begin_with_a_dash() -> None:
    assert parse(["-f", "-"]).output_file == "-"
    assert parse(["--notes", "-quick"]).notes == "-quick"
    assert parse(["--input-file", "-"]) == Options()


# -- configuration file ------------------------------------------------------------------------------------


def test_configuration_file() -> None:
    toml = b"""
handshakes = ["wait", "http"]
rate = 500
timeout = "2m"
retransmit-wait = 0.5
send-syns = true
dashboard = false
workers = "flow=6,collect=2"
source-ip = "192.0.2.1"
"""
    for mark in (b"", codecs.BOM_UTF8):
        got = parse(
            ["-t", "7", "--config", "x.toml", "--no-send-syns"], read=lambda _, mark=mark: mark + toml
        )
        assert got == Options(
            handshakes=("wait", "http"),
            rate=500.0,
            timeout=7.0,
            retransmit_wait=0.5,
            dashboard=False,
            flow_workers=6,
            collect_workers=2,
            source_ips=("192.0.2.1",),
        )


def test_the_command_line_wins_wherever_it_stands() -> None:
    for argv in (["-C", "x", "-w", "3"], ["-w", "3", "-C", "x"]):
        assert parse(argv, read=lambda _: b"workers = 5").flow_workers == 3


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (b"wrokers = 5", "unknown key wrokers; did you mean workers?"),
        (b"sendSYNs = true", "unknown key sendSYNs; did you mean send-syns?"),
        (b"w = 5", "unknown key w"),
        (b"config = 'x'", "unknown key config"),
        (b"workers = 0", "--config x.toml: workers 0: must be from 1 to 256 workers"),
        (b"rate = nan", "must be a number of targets"),
        (b"rate = 0x" + b"f" * 5000, "rate is too large"),
        (b"target-ports = [0b" + b"1" * 20000 + b"]", "target-ports is too large"),
        (b"rate = {a = 1}", "rate must be a text, a number, true, false or a list of texts"),
        (b"handshakes = [['a']]", "handshakes must be a text"),
        (b"timeout = 2020-01-01", "timeout must be a text"),
        (b"rate", "is not TOML"),
        (b"\xff", "is not UTF-8 text"),
        ("rate = 5".encode("utf-16"), "is UTF-16 text (its byte-order mark is FF FE): save it as UTF-8"),
        ("rate = 5".encode("utf-16-be"), "is UTF-16 text: save it as UTF-8"),
        (b"quiet = 'maybe'", "quiet maybe: must be true or false"),
    ],
)
def test_configuration_mistakes(toml: bytes, sentence: str) -> None:
    assert sentence in mistake(["--config", "x.toml"], toml)


def test_configuration_file_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file or directory" in mistake_from_disk(tmp_path / "none.toml")
    assert "Is a directory" in mistake_from_disk(tmp_path)
    (tmp_path / "a.toml").write_text("quiet = true")
    assert parse(["-C", str(tmp_path / "a.toml")]).quiet


def mistake_from_disk(path: Path) -> str:
    with pytest.raises(UsageError) as error:
        parse(["--config", str(path)])
    return str(error.value)


def assert_sentence(error: UsageError) -> None:
    assert str(error).isprintable()


# -- properties --------------------------------------------------------------------------------------------

WORD = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(), max_size=12),
    st.sampled_from([dash + name for name in (*FLAGS, *NEGATED) for dash in ("-", "--")]),
    st.builds(
        "{}={}".format, st.sampled_from([f"--{name}" for name in FLAGS]), st.text(max_size=8) | st.just("1")
    ),
    st.sampled_from(
        ["0", "1", "-1", "5m", "10K", "none", "1-2", "a,b", "10.0.0.1-10.0.0.9", "::/0", "1e400", "9" * 5000]
    ),
)


@given(st.lists(WORD, max_size=6))
def test_nothing_but_usage_error(argv: list[str]) -> None:
    try:
        got = parse(argv, read=lambda _: b"workers = 2")
    except UsageError as error:
        assert_sentence(error)
    except ShowText:
        pass
    else:
        assert isinstance(got, Options)
        assert parse([f"{flag}={text}" for flag, text in got.echo()]) == got


@given(
    st.binary(max_size=40)
    | st.builds(
        "{} = {}".format,
        st.sampled_from(sorted(KEYS)),
        st.sampled_from(
            ["1", "-1", "''", "[]", "[1]", "true", "nan", "inf", "{}", "1e400", "'\\u0000'", "07:00:00"]
        ),
    ).map(str.encode)
)
def test_configuration_nothing_but_usage_error(toml: bytes) -> None:
    try:
        parse(["-C", "x"], read=lambda _: toml)
    except UsageError as error:
        assert_sentence(error)


# -- what it prints ----------------------------------------------------------------------------------------


def lzr(*words: str, coding: str = "utf-8") -> tuple[int, str, str]:
    """Status, stdout and stderr of the program."""
    environ = os.environ | {"PYTHONIOENCODING": coding}
    done = subprocess.run(
        [*forking.program(), *words], capture_output=True, cwd=ROOT, env=environ, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode(coding), done.stderr.decode()


def test_status_and_text() -> None:
    assert lzr("--version") == (0, f"lzr {__version__}\n", "")
    assert lzr("-w", "0") == (2, "", "lzr: -w 0: must be from 1 to 256 workers\n")
    assert parse(["--help=false"]) == Options()


def test_help_asked_for_beside_other_flags() -> None:
    assert lzr("-sendSYNs", "-h") == (0, helptext.usage(everything=False), "")


@pytest.mark.parametrize("action", [row.long for row in ACTIONS if row.long != "config"])
def test_every_action_answers(action: str) -> None:
    with pytest.raises(ShowText) as answer:
        parse([f"--{action}"])
    text = answer.value.text()
    assert text.endswith("\n")
    assert text.isascii() or action == "list-handshakes"
    if action != "list-output-fields":
        assert max(map(len, text.splitlines())) <= 80
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_help_names_every_option_and_default() -> None:
    everything = helptext.usage(everything=True)
    short = helptext.usage(everything=False)
    for row in (*TABLE, *ACTIONS):
        for name in row.shown_names:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", everything), name
    flat = " ".join(everything.split())
    for row in TABLE:
        assert f"[{row.shown_default}]" in flat or not row.shown_default
    assert len(short.splitlines()) < 100 < len(everything.splitlines())


def test_examples_in_help_parse() -> None:
    for _, commands in helptext.EXAMPLES:
        line = " ".join(
            command.removesuffix("\\")
            for command in commands
            if not command.startswith("lzr -sendSYNs -haf 5 --r")
        )
        for part in line.replace("||", "").split("|"):
            words = shlex.split(part.partition("<")[0] if "lzr" in part else "")
            if words[:1] == ["lzr"]:
                assert isinstance(parse(words[1:]), Options)


def test_list_of_handshakes() -> None:
    lines = helptext.handshakes().splitlines()
    rows = {line.split()[0]: line.split() for line in lines[1:] if line[:1].isalnum() and "  " in line}
    assert rows["http"][1] == "client"
    assert rows["http"][2].endswith("+"), "the probe holds the host's address"
    from lzr.protocols import PROTOCOLS

    assert set(rows) == {protocol.name for protocol in PROTOCOLS}


@pytest.mark.parametrize("action", ["list-handshakes", "help-all"])
def test_a_terminal_that_knows_only_ascii(action: str) -> None:
    status, out, said = lzr(f"--{action}", coding="ascii")
    assert (status, said) == (0, "")
    assert "http" in out
    assert out.isascii()


@pytest.mark.parametrize("words", [["--help-all"], ["ctl", "--help"], ["guard", "status"]], ids=" ".join)
def test_a_reader_that_goes_away(words: list[str]) -> None:
    """``lzr --help-all | head -1`` ends quietly."""
    with subprocess.Popen(
        [*forking.program(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


# -- what is made from the table ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("docs/lzr.1", manpage.man),
        ("etc/completion/lzr.bash", completion.bash),
        ("etc/completion/_lzr", completion.zsh),
        ("etc/lzr.toml", completion.toml),
    ],
)
def test_made_files_are_current(path: str, make: object) -> None:
    assert callable(make)
    assert (ROOT / path).read_text() == make(), (
        f"make it anew: python -m lzr.options.parse (see lzr/{make.__module__})"
    )


def test_making_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--man"]) == 0
    assert capsys.readouterr().out == manpage.man()
    assert cli.main(["--nothing"]) == 2


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff")
def test_man_page_is_clean_roff() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c", str(ROOT / "docs/lzr.1")], capture_output=True, check=True
    )
    assert done.stderr == b""
    text = re.sub(rb".\x08", b"", done.stdout).decode()
    for row in TABLE:
        assert row.flag in text


def complete(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    script = f"""
lzr() {{ printf 'name  x\\nhttp  y\\ntls   z\\n          more\\nfirst: who\\n'; }}
source {ROOT}/etc/completion/lzr.bash
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_lzr; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completion() -> None:
    assert complete("lzr", "--send") == ["--send-syns"]
    assert complete("lzr", "-sendS") == ["-sendSYNs"]
    assert complete("lzr", "gu") == ["guard"]
    assert complete("lzr", "guard", "o") == ["on", "off"]
    assert complete("lzr", "-O", "c") == ["csv"]
    assert complete("lzr", "--handshakes", "") == ["http", "tls"]
    assert complete("lzr", "--handshakes", "http,t") == ["http,tls"]
    assert "lo" in complete("lzr", "-i", "l")


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh_completion_is_sound() -> None:
    done = subprocess.run(["zsh", "-n", str(ROOT / "etc/completion/_lzr")], capture_output=True, check=True)
    assert done.stderr == b""


def test_what_is_given_twice() -> None:
    """Lists of networks and source addresses add up; of two inputs or filters none is dropped."""
    assert parse(["-b", "a", "-b", "b,c", "-b", "a"]).blocklist_file == ("a", "b,c")
    assert parse(["-S", "10.0.0.1", "-S", "10.0.0.2"]).source_ips == ("10.0.0.1", "10.0.0.2")
    assert parse(["-rate", "5", "-rate", "6"]).rate == 6
    assert parse(["-I", "a", "-I", "a"]).input_file == "a"
    for words, says in (
        (["-I", "a", "-I", "b"], "-I is given twice, with a and b; one input is read: cat FILE FILE"),
        (["--output-filter", "ttl > 6", "--output-filter", "RST"], "write both as one"),
        (["--output-fields", "saddr", "--output-fields", "sport"], "write --output-fields saddr,sport"),
        (["-s", "1-5", "-s", "6"], "-s is given twice"),
    ):
        with pytest.raises(UsageError, match=says):
            parse(words)
    config = {"file": b'blocklist-file = ["a", "b"]\nallowlist-file = "c"\n'}
    words = ["-b", "d", "--allowlist-file", "e", "-C", "file"]
    found = parse(words, config.__getitem__)
    assert (found.blocklist_file, found.allowlist_file) == (("a", "b", "d"), ("e",))
