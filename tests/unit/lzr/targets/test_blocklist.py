"""Blocklists against the standard library's networks as the oracle."""

from __future__ import annotations

import ipaddress
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr import addresses
from lzr.ranges import union
from lzr.rows import V4_MAPPED
from lzr.targets.blocklist import Blocklist, Prefixes, carriers
from tests.effort import examples

_LOW = (1 << 64) - 1

# Few distinct bits, so that networks nest, touch and share halves.
_v4 = st.tuples(
    st.lists(st.sampled_from([0, 1, 10, 127, 128, 255]), min_size=4, max_size=4), st.integers(0, 32)
).map(lambda it: f"{'.'.join(map(str, it[0]))}/{it[1]}")
_v6 = st.tuples(
    st.lists(st.sampled_from([0, 1, 0xFFFF, 0x2001, 0x8000]), min_size=8, max_size=8), st.integers(0, 128)
).map(lambda it: f"{':'.join(f'{group:x}' for group in it[0])}/{it[1]}")
_mapped = st.tuples(st.integers(0, 2**32 - 1), st.integers(90, 128)).map(
    lambda it: f"::ffff:{it[0] >> 16:x}:{it[0] & 0xFFFF:x}/{it[1]}"
)


def columns(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    halves = [addresses.parse(text) for text in texts]
    return np.array([hi for hi, _ in halves], np.uint64), np.array([lo for _, lo in halves], np.uint64)


def oracle(networks: list[str], address: str) -> bool:
    """Whether one of the networks holds the address; a v6 network holds v4 ones only if it is all mapped."""
    host = ipaddress.ip_address(address)
    mapped = ipaddress.IPv6Network("::ffff:0:0/96")
    inner = None
    if isinstance(host, ipaddress.IPv6Address):
        inner = host.ipv4_mapped or host.sixtofour
        if host in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(host) & 0xFFFFFFFF)
        host = host.ipv4_mapped or host
    for text in networks:
        network = ipaddress.ip_network(text, strict=False)
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(mapped):
            low = int(network.network_address) & 0xFFFFFFFF
            network = ipaddress.ip_network((low, network.prefixlen - 96))
        if any(
            one is not None and one.version == network.version and one in network for one in (host, inner)
        ):
            return True
    return False


def teredo(host: str) -> list[str]:
    """Server and client of a Teredo address."""
    address = ipaddress.ip_address(host)
    return [*map(str, address.teredo or ())] if isinstance(address, ipaddress.IPv6Address) else []


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    networks = draw(st.lists(st.one_of(_v4, _v6, _mapped), max_size=12))
    edges = []
    for text in networks:
        network = ipaddress.ip_network(text, strict=False)
        for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1):
            if 0 <= number < 1 << network.max_prefixlen:
                edges.append(str(type(network.network_address)(number)))
    hosts = st.one_of(st.ip_addresses().map(str), st.sampled_from(edges) if edges else st.nothing())
    forms = [int(ipaddress.IPv4Address(edge)) for edge in edges if ":" not in edge]
    edges += [str(ipaddress.IPv6Address(0x64FF9B << 96 | number)) for number in forms]
    edges += [str(ipaddress.IPv6Address(0x2002 << 112 | number << 80 | number)) for number in forms]
    return networks, draw(st.lists(hosts, max_size=30))


@settings(max_examples=examples(300), deadline=None)
@given(case=cases())
def test_as_the_oracle_says(case: tuple[list[str], list[str]]) -> None:
    networks, hosts = case
    blocked = [
        not allowed for allowed in Blocklist.parse("\n".join(networks)).allowed(*columns(hosts)).tolist()
    ]
    assert blocked == [any(oracle(networks, one) for one in (host, *teredo(host))) for host in hosts]
    for host in hosts:  # one family at a time takes another path
        found = Prefixes.parse("\n".join(networks)).contains(*columns([host])).tolist()
        assert found == [oracle(networks, host)]


def test_the_format() -> None:
    text = "# reserved\n10.0.0.0/8   # private\n\n 192.0.2.7\r\n2001:db8::/32\n::1\n10.1.2.3/8\n"
    prefixes = Prefixes.parse(text)
    assert len(prefixes) == 8  # two of them in three forms
    hosts = [
        "10.255.255.255",
        "11.0.0.0",
        "192.0.2.7",
        "192.0.2.8",
        "2001:db8:ffff::",
        "2001:db9::",
        "::1",
        "::2",
    ]
    assert prefixes.contains(*columns(hosts)).tolist() == [True, False] * 4


def test_a_wide_ipv6_network_says_nothing_about_ipv4() -> None:
    for network in ("::/0", "::/8", "::/64"):
        assert Blocklist.parse(network).allowed(*columns(["1.2.3.4"])).tolist() == [True]
        assert Blocklist.parse(network).allowed(*columns(["::5"])).tolist() == [False]
    assert Blocklist.parse("0.0.0.0/0").allowed(*columns(["1.2.3.4", "::5"])).tolist() == [False, True]


@pytest.mark.attack
def test_an_ipv4_entry_covers_the_ipv6_forms_of_the_same_host() -> None:
    forms = [
        "192.0.2.7",
        "::ffff:192.0.2.7",
        "64:ff9b::192.0.2.7",
        "2002:c000:207::1",
        "2002:c000:207:ffff::",
    ]
    others = [
        "192.0.2.8",
        "64:ff9b::192.0.2.8",
        "2002:c000:208::",
        "2002:c000:206:ffff::",
        "64:ff9b:1::c000:207",
    ]
    for entry in ("192.0.2.7", "::ffff:192.0.2.7/128"):
        assert Blocklist.parse(entry).allowed(*columns(forms + others)).tolist() == [False] * 5 + [True] * 5
        assert (
            Blocklist.parse("", entry).allowed(*columns(forms + others)).tolist() == [True] * 5 + [False] * 5
        )


@pytest.mark.attack
def test_an_ipv4_entry_of_a_blocklist_covers_what_has_it_inside() -> None:
    """ISATAP with any prefix, and Teredo: by its server, or by the client's NAT, whose bits are inverted."""
    forms = [
        "2001:db8::5efe:c000:207",
        "fe80::200:5efe:192.0.2.7",
        "2001:db8:1:2:0:5efe:c000:207",
        "2001:0:c000:207:8000:63bf:3fff:fdd2",
        "2001:0:4136:e378:8000:63bf:3fff:fdf8",
    ]
    others = [
        "2001:db8::5efe:c000:208",
        "2001:db8::5eff:c000:207",
        "2001:db8::c000:207",
        "2001:1:c000:207::1",
        "2001:0:4136:e378:8000:63bf:c000:207",
        "::5efe:c000:207",
    ]
    policy = Blocklist.parse("192.0.2.7")
    assert policy.allowed(*columns(forms + others)).tolist() == [False] * 5 + [True] * 6
    for host in forms:
        assert policy.allowed(*columns([host])).tolist() == [False]
    assert not Blocklist.parse("", "192.0.2.7").allowed(*columns(forms)).any(), "an allowlist names none"


_CARRIERS = (
    (0x2001_0DB8 << 32, 0x5EFE),
    (0x2001_0DB8 << 32, 0x0200_5EFE),
    (0x2001_0000_C000_0207, 0x8000_0000),
)


@pytest.mark.attack
@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_a_sweep_leaves_out_whom_a_list_would_skip(data: st.DataObject) -> None:
    """IPv6 ranges around addresses that carry IPv4 ones: what is named is what is not allowed one by one."""
    near = st.integers(0, 12).map(lambda more: 0xC000_0200 + more)
    v4 = [sorted((data.draw(near), data.draw(near))) for _ in range(data.draw(st.integers(0, 3)))]
    blocked = union((V4_MAPPED | first, V4_MAPPED | last) for first, last in v4)
    hi, top = data.draw(st.sampled_from(_CARRIERS))
    ends = st.sampled_from((0, 0xC000_0200, 0x3FFF_FDF0, 0xFFFF_FFF0)).flatmap(
        lambda at: st.integers(-3, 15).map(lambda more: (hi << 64 | top << 32) + at + more)
    )
    first = data.draw(ends)
    ranges = [(first, first + data.draw(st.integers(0, 30)))]
    every = list(range(ranges[0][0], ranges[0][1] + 1))
    policy = Blocklist(Prefixes(blocked))
    halves = [
        np.array(half, np.uint64) for half in zip(*((one >> 64, one & _LOW) for one in every), strict=True)
    ]
    named = {one for low, high in carriers(ranges, blocked) for one in range(low, high + 1)}
    assert sorted(named) == [
        one for one, good in zip(every, policy.allowed(*halves).tolist(), strict=True) if not good
    ]


def test_ranges_in_which_carriers_are_too_many_to_be_told_apart() -> None:
    blocked = [(V4_MAPPED | at << 8, V4_MAPPED | at << 8) for at in range(1, 2000)]
    wide = 0x2001_0000_C000_0207 << 64
    assert carriers([(wide, wide + (1 << 42) - 1)], blocked) == [(wide, wide + (1 << 42) - 1)]
    assert not carriers([(0x2000 << 112, (0x4000 << 112) - 1)], blocked), "no sweep has so many"
    assert not carriers([(wide, wide + 5)], [])


def test_the_allowlist_is_narrowed_by_the_blocklist() -> None:
    policy = Blocklist.parse("10.1.0.0/16", "10.0.0.0/8\n::1")
    hosts = ["10.0.0.1", "10.1.0.1", "11.0.0.1", "::1", "::2"]
    assert policy.allowed(*columns(hosts)).tolist() == [True, False, False, True, False]
    assert Blocklist().allowed(*columns(hosts)).all()
    assert not Blocklist.parse("", "").allowed(*columns(hosts)).any()


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "10.0.0/8",
        "example.com",
        "10.0.0.0/8 x",
        "::1/129",
        "fe80::%lo/64",
        "/8",
        "1.2.3.4/",
        "\x1b",
    ],
)
def test_a_mistake_is_named_with_its_line(entry: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: '[ -~]*' is neither an address nor a network"):
        Blocklist.parse(f"10.0.0.0/8\n{entry}\n")


@given(st.text(max_size=40))
def test_any_text_parses_or_raises_valueerror(text: str) -> None:
    says = ""
    try:
        Blocklist.parse(text, text)
    except ValueError as error:
        says = str(error)
    assert says.isprintable()


def test_many_prefixes_cost_little_for_each_target() -> None:
    # every other /24 of 100,000, so that none merge
    text = "".join(f"{n >> 15 & 255}.{n >> 7 & 255}.{(n & 127) << 1}.0/24\n" for n in range(100_000))
    many, few = Blocklist.parse(text), Blocklist.parse("10.0.0.0/8")
    assert many.blocked is not None
    assert len(many.blocked) == 300_000  # in three forms
    lo = np.random.default_rng(1).integers(0, 2**32, 20_000, np.uint64) | np.uint64(0xFFFF << 32)
    hi = np.zeros(len(lo), np.uint64)

    def cost(policy: Blocklist) -> float:
        times = []
        for _ in range(7):
            start = time.thread_time()
            policy.allowed(hi, lo)
            times.append(time.thread_time() - start)
        return min(times)

    assert cost(many) < 20 * cost(few)
