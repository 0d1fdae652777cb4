"""What is told of a response in one pass is what matchers and readers tell one by one, in C as in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpus import DEFAULT, load
from lzr import kernels
from lzr.fingerprint import applications, products, webreply
from lzr.fingerprint.applicationtable import TABLE
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.dispatch import Dispatcher
from lzr.protocols import BY_NAME, PROTOCOLS, Identity, tls
from lzr.protocols.web import STATUS_LINE
from lzr.rows import OUTCOME
from tests.unit.lzr.fingerprint.test_applications import needle, reply
from tests.wire import kernels_of

pytestmark = pytest.mark.native

EXAMPLES = [e for p in PROTOCOLS for e in (*p.examples, *p.rejects) if e.startswith(b"HTTP/")]
ROWS = [
    reply(where, needle(text, where))
    for where, text, _ in (line.split(" ") for line in TABLE.strip().split("\n"))
    if where != "certificate"
]
INSIDE = sorted({text for _, inside in webreply.OTHERS for text in inside})
BITS = [
    *INSIDE,
    *(b"\r\n\r\n", b"\n\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"/", b"\0", b"\xe9", b"{", b"x", b"Q"),
    *(b"\nServer: ", b"\nserver:\t", b"\nUpgrade: ", b"\nSet-Cookie: ", b"\nLocation: http://x"),
    *(b'\nWWW-Authenticate: Basic realm="', b"<title>", b"<TITLE lang=x>\n ", b'{"kind": "Status"'),
    *(b"<" * 40, b"\nX-Jenkins:"),
    *(b" 2.4.4\r\n", b" v1.0-x\r\n", b"\nServer: a b 1.2", b" 192.0.2.1\r\n", b"(", b".", b"1"),
]
TEXTS = st.one_of(
    st.sampled_from(BITS), st.sampled_from(ROWS).map(lambda row: row[70:]), st.binary(max_size=9)
)
MATCHING = Dispatcher(PROTOCOLS).matching


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A response as somebody might send it: an example with a few things put in, taken out, or cut off."""
    data = draw(st.sampled_from(EXAMPLES + ROWS))
    if draw(st.integers(0, 4)) == 0:  # as some end their lines
        data = data.replace(b"\r\n", b"\n")
    if draw(st.booleans()):
        status = draw(st.sampled_from([b"200 ", b"400 ", b"501\r", b"404\n", b"099 ", b"1000", b"20"]))
        data = data[:9] + status + data[13:]
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.sampled_from([0, 0, 1, 30]))
        data = data[:at] + draw(TEXTS) * draw(st.sampled_from([1, 1, 1, 2, 300])) + data[at + gone :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data


def both_say(data: bytes) -> Identity | None:
    """What both bodies say."""
    native = webreply.identity(data)
    with kernels_of("python"):
        assert webreply.identity(data) == native, data
    return native


def agrees(data: bytes) -> None:
    """Neither body says another thing than the matchers and the readers, and these say the same."""
    found = both_say(data)
    read = applications.read(data)
    with kernels_of("python"):
        assert applications.read(data) == read, data
    if found is None:
        return
    assert MATCHING(data) == ["http"], data
    application, server = read
    assert found == Identity("http", application, *products.server(server)), data
    assert type(found) is Identity
    assert Classifier(("tls", "http")).identify(data, BY_NAME["http"]) == found, data
    assert Classifier().classify(data) == "http"


def test_every_example_and_every_row_of_the_table() -> None:
    for data in EXAMPLES + ROWS:
        agrees(data)
        agrees(data + b" " * 5000)
        agrees(data.upper())
        agrees(data.replace(b"\r\n", b"\n"))
    assert sum(webreply.identity(data) is not None for data in ROWS) > len(ROWS) * 0.9


def test_every_cut() -> None:
    for data in (
        EXAMPLES[0],
        ROWS[0],
        ROWS[200],
        ROWS[-1],
        b"HTTP/1.1 401 x\r\nServer: \r\n" + ROWS[300][15:],
    ):
        for size in range(len(data)):
            agrees(data[:size])


@given(responses())
def test_whatever_is_changed(data: bytes) -> None:
    agrees(data)


@given(responses(), st.sampled_from(INSIDE), st.integers(0, 2000))
def test_a_protocol_in_http_is_recognised_by_what_it_declares(data: bytes, text: bytes, at: int) -> None:
    for sample in (data, data[:at] + text + data[at:]):
        if not sample.startswith(webreply.BEGINNING) or STATUS_LINE.match(sample) is None:
            continue
        for name in MATCHING(sample):
            inside = BY_NAME[name].in_http
            assert name == "http" or not inside or any(text in sample for text in inside), (name, sample)


def test_a_needle_is_found_wherever_it_stands() -> None:
    """Also over the edges of what is compared at once."""
    for text in INSIDE:
        for at in (*range(150), 1000, 3000, 5000):
            data = b"HTTP/1.1 400 x\r\n\r\n" + b"S" * at + text + b"L" * (at % 70)
            assert both_say(data) is None
        assert both_say(b"HTTP/1.1 400 x\r\n\r\n" + b"S" * 99 + text[:-1]) is not None


def test_a_response_that_is_an_echo_of_the_probe_is_an_echo() -> None:
    sent = BY_NAME["http"]
    data = b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"
    mirror = type(sent)(name="mirror", spec="", match=None, probe=data)
    assert Classifier().identify(data, mirror).label == "echo"
    assert Classifier().identify(data[:14], mirror).label == "unknown"
    assert Classifier().identify(data, sent).label == "http"


@pytest.mark.parametrize(
    "arguments",
    [
        ((), ()),
        (((b"HTTP",),), ((),) * 10),
        ((((b"",), ()),), ((),) * 10),
        ((), (((b"x", 5, 0),), *((),) * 9)),
        ((), (((b"xa", "x", 0), (b"y", "y", 0), (b"xb", "x", 0)), *((),) * 9)),
        ((), (*((),) * 9, ((b"server", None, 99),))),
        ((), (*((),) * 9, ((b"x" * 65, "x", 0),))),
        ((), (*((),) * 9, ((b"longer", "x", 0), (b"x", "x", 0)))),
    ],
)
def test_a_table_that_cannot_be_is_refused(arguments: tuple[object, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        kernels.NATIVE.web_table(*arguments, Identity("http"))


@pytest.mark.parametrize("identity", [None, (), ("http", "", "", "", ()), [1] * 5])
def test_an_identity_that_is_none_is_refused(identity: object) -> None:
    with pytest.raises(TypeError):
        kernels.NATIVE.web_table((), applications.rows(), identity)


def test_a_title_is_found_wherever_it_stands() -> None:
    for at in (*range(80), 2000, 2034, 2035, 2041, 2048):
        for tag in (
            b"<title>grafana",
            b"<TITLE lang='x'>\n Grafana",
            b"<t<ti<title>grafana",
            b"<tit<titl>grafana",
        ):
            agrees(b"HTTP/1.1 200 OK\r\n\r\n" + b"<" * at + tag + b" " * (at % 40))
    found = both_say(b"HTTP/1.1 200 OK\r\n\r\n" + b"<" * 500 + b"<tITle>Grafana</title>")
    assert found is not None
    assert found.application == "grafana"


HANDSHAKES = tuple(BY_NAME[name] for name in ("wait", "http", "tls", "bgp"))
OTHER = [*(p.examples[0] for p in PROTOCOLS if p.examples), b"", b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK"]


def rows_of(replies: list[bytes], handshakes: list[int]) -> Any:
    rows = np.zeros(len(replies), OUTCOME)
    rows["data_len"], rows["handshake"] = [len(reply) for reply in replies], handshakes
    return rows


def batched(replies: list[bytes], handshakes: list[int]) -> None:
    """A batch tells what each reply alone tells, in C as in Python, and leaves the others where they are."""
    rows, blob = rows_of(replies, handshakes), b"".join(replies)
    classifier = Classifier(("tls", "http"))
    names = [Identity("unknown")] * len(replies)
    left, counts = classifier.identify_plain(rows, blob, HANDSHAKES, names)
    with kernels_of("python"):
        same = [Identity("unknown")] * len(replies)
        assert classifier.identify_plain(rows, blob, HANDSHAKES, same) == (left, counts)
    assert same == names
    others = dict(left)
    for row, (data, by) in enumerate(zip(replies, handshakes, strict=True)):
        if row in others:
            assert blob[others[row] :].startswith(data)
            assert names[row].label == "unknown"
        elif data:
            assert classifier.identify(data, HANDSHAKES[by]) == names[row], data
    assert sum(counts.values()) + len(left) == sum(map(bool, replies))


@given(st.lists(st.tuples(st.one_of(responses(), st.sampled_from(OTHER)), st.integers(0, 3)), max_size=9))
def test_a_batch(drawn: list[tuple[bytes, int]]) -> None:
    batched([reply for reply, _ in drawn], [by for _, by in drawn])


def test_a_batch_of_all_examples() -> None:
    for by in range(4):
        batched(EXAMPLES + ROWS + OTHER, [by] * len(EXAMPLES + ROWS + OTHER))


def test_servers_are_remembered_by_all_they_say() -> None:
    """Thousands of fields, again and again, alike but for a byte, at all lengths that are kept and beyond."""
    values = [b"x" * size + b"%d" % end for size in range(118) for end in range(9)] * 2
    values += [b"apache/%d" % n for n in range(3000)] * 2
    replies = [b"HTTP/1.1 200 OK\r\nServer: %s\r\n\r\n" % value for value in values]
    names = [Identity("unknown")] * len(replies)
    left, counts = Classifier().identify_plain(
        rows_of(replies, [1] * len(replies)), b"".join(replies), HANDSHAKES, names
    )
    assert (left, counts) == ([], {(1, "http"): len(replies)})
    assert names == [Identity("http", "", *products.server(value)) for value in values]


SERVERS = st.lists(
    st.sampled_from(
        [b" ", b"  ", b"v", b"V", b".", b"1", b"20", b"a", b"-", b"_", b"(", b")", b"/", b",", b"\t"]
    )
).map(b"".join)


@given(SERVERS)
def test_a_version_as_the_last_word(value: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\nServer: x%s\r\n\r\n" % value
    agrees(data)


@pytest.mark.parametrize(
    ("value", "product", "version"),
    [
        (b"Icecast 2.4.4", "Icecast", "2.4.4"),
        (b"Some Server v1.0-beta", "Some Server", "1.0-beta"),
        (b"nginx/1.22.1", "nginx", "1.22.1"),
        (b"Sampler RealServer/V1.0", "Sampler RealServer", "1.0"),
        (b"Sampler/v2.1 (x)", "Sampler", "2.1"),
        (b"Sampler/version", "Sampler", ""),
        (b"Sampler /2.4", "Sampler", "2.4"),
        (b"Sampler  /2.4 (x)", "Sampler", "2.4"),
        (b"Sampler /version", "Sampler", ""),
        (b"Sampler/v", "Sampler", ""),
        (b"box 192.0.2.1", "box 192.0.2.1", ""),
        (b"Apache (Unix) 1.2", "Apache (Unix) 1.2", ""),
        (b"Server 2008", "Server 2008", ""),
        (b"1.2", "1.2", ""),
        (b"x 1..2", "x 1..2", ""),
    ],
)
def test_a_server_field(value: bytes, product: str, version: str) -> None:
    found = both_say(b"HTTP/1.1 200 OK\r\nServer: %s\r\n\r\n" % value)
    assert found is not None
    assert (found.product, found.version) == (product, version)


def test_where_an_application_is_known_by_another_field_it_is_not_forgotten() -> None:
    plain, known = (
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\n%s\r\n" % more for more in (b"", b"X-Jenkins: 2.4\r\n")
    )
    for data in (plain, known, plain, known):
        found = webreply.identity(data)
        assert found is not None
        assert found.application == ("jenkins" if data is known else "")


TLS = [
    *(reply for reply in (*BY_NAME["tls"].examples, *BY_NAME["tls"].rejects) if reply[:1] in b"\x15\x16"),
    bytes.fromhex("160303 0200 020000 50 0303") + bytes(32) + b"\x20" + bytes(32) + b"\xc0\x2f\0" + bytes(9),
    bytes.fromhex("160303 0200 020000 50 0303") + bytes(32) + b"\0\xc0\x2f\2" + bytes(90),
    bytes.fromhex("160303 0004 000000 00"),
    bytes.fromhex("15030300020228") + b"<title>grafana</title>",
    *(b"\x15\3\3\0\2\2" + bytes((description,)) for description in range(256)),
]
CERTIFICATE = bytes.fromhex("160303 0400 020000 50 0303") + bytes(78)
CERTIFICATE += b"\x06\x03\x55\x04\x03\x0c\x10%s" + bytes(40)
TLS += [CERTIFICATE % name for name in (b"Grafana", b"nothing", b"www.ab2cd3ef.com")]


def one(data: bytes, by: int, least: int = 16) -> Identity | None:
    """What a batch of one reply says of it; `kernels_of` says who makes it."""
    names = [Identity("unknown")]
    left, counts = webreply.batch(rows_of([data], [by]), data, ((0, b"GET "), (0, b"\x15\3")), least, names)
    assert bool(left) == (not counts)
    return None if left else names[0]


def records_agree(data: bytes, by: int = 0) -> None:
    native = one(data, by)
    with kernels_of("python"):
        assert one(data, by) == native, data
    if native is not None and native.label == "tls":
        assert Classifier().identify(data) == native, data


@pytest.mark.native
def test_records() -> None:
    for data in TLS:
        records_agree(data)
        records_agree(data, 1)
    assert one(TLS[0], 0) == Identity("tls")
    assert one(bytes.fromhex("15030300020228"), 0) == Identity("tls")
    assert one(bytes.fromhex("15030300020228"), 1) is None, "it may be the beginning of such a probe"
    if DEFAULT.is_file():
        for row in load(DEFAULT):
            if row["data"][:1] in (b"\x15", b"\x16"):
                records_agree(row["data"])


def test_alerts_that_c_and_python_share() -> None:
    for description in range(256):
        found = one(b"\x15\3\3\0\2\2" + bytes((description,)), 0)
        assert (found == Identity("tls")) == (description in tls.ALERTS)


@pytest.mark.native
@given(
    st.sampled_from(TLS),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4),
    st.integers(0, 150),
)
def test_records_that_were_changed(data: bytes, changes: list[tuple[int, int]], end: int) -> None:
    changed = bytearray(data)
    for at, byte in changes:
        if at < len(changed):
            changed[at] = byte
    records_agree(bytes(changed))
    records_agree(bytes(changed[:end]) or b"\x16")


def test_rows_that_promise_too_much() -> None:
    for kind in ("native", "python"):
        with kernels_of(kind), pytest.raises(ValueError, match="more payload"):
            webreply.batch(rows_of([b"abcd"], [0]), b"abc", ((0, b"GET"),), 16, [Identity("unknown")])


@pytest.mark.parametrize(
    "arguments",
    [
        (b"", b"", (), 16, ()),
        (b"x", b"", (), 16, []),
        (b"", b"", [], 16, []),
        (b"", b"", ((0,),), 16, []),
        (b"", b"", ((-1, b""),), 16, []),
        (b"", b"", ((0, "x"),), 16, []),
        (b"", b"", (), -1, []),
        (bytes(OUTCOME.itemsize), b"", (), 16, []),
    ],
)
def test_a_batch_that_cannot_be_is_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        kernels.NATIVE.web_batch(webreply._TABLE, *arguments)
