"""plan.toml: what it may say, and one sentence for each mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.errors import UsageError
from lzr.fleet.plan import Box, as_table, of_table, of_toml
from tests.rows import every_row

PLAN = """
name = "web"
responsible = "Ada, noc@example.org"
seed = 12345678901
rate = 60000
input = "services.txt"

[[box]]
name = "fra1"
source = ["198.51.100.10"]
interface = "eth0"
weight = 2

[[box]]
name = "ams1"
source = "203.0.113.0/30"
rate-cap = 20000
address = "ams1.example.org"
port = 9000
"""


def test_a_plan_is_read() -> None:
    plan = of_toml(PLAN.encode())
    assert of_toml(PLAN.encode("utf-8-sig")) == plan
    assert (plan.name, plan.rate, plan.shards, plan.input) == ("web", 60000, 64, "services.txt")
    assert plan.boxes == (
        Box("fra1", "eth0", ("198.51.100.10",), 2.0, None, "fra1", 8790),
        Box("ams1", None, ("203.0.113.0/30",), 1.0, 20000, "ams1.example.org", 9000),
    )
    assert of_table(as_table(plan)) == plan


@every_row(
    [
        (('name = "web"', ""), "name is missing"),
        (('name = "web"', 'name = "../web"'), "name must be 1 to 48 letters"),
        (("seed = 12345678901", 'seed = "1"'), "seed must be a whole number"),
        (("seed = 12345678901", "seed = true"), "seed must be a whole number"),
        (("rate = 60000", "rate = 0"), "rate must be a whole number from 1"),
        (("rate = 60000", "rates = 60000"), "rate is missing"),
        (("rate = 60000", "rate = 60000\nshard = 3"), "unknown key shard; did you mean shards?"),
        (('input = "services.txt"', ""), "says not what to scan"),
        (('input = "services.txt"', 'input = "a"\nzmap = ["-p", "80"]'), "has input and zmap"),
        (('input = "services.txt"', 'targets = ["192.0.2.0/24"]'), "target-ports is missing"),
        (
            ('input = "services.txt"', 'targets = ["x y"]\ntarget-ports = 80'),
            "targets: x y must be addresses",
        ),
        (('input = "services.txt"', 'input = "a"\ntarget-ports = "80"'), "target-ports goes with targets"),
        (
            ('input = "services.txt"', 'targets = ["192.0.2.1"]\ntarget-ports = "x"'),
            "target-ports must be ports",
        ),
        (
            ('input = "services.txt"', 'zmap = ["-p", "80", "-S192.0.2.1"]'),
            "-S is decided by interface",
        ),
        (('input = "services.txt"', 'zmap = ["--seed=3"]'), "--seed is decided by the plan's seed"),
        (("rate = 60000", "rate = 60000\nlease = 29"), "lease must be a whole number from 30"),
        (("rate = 60000", "rate = 60000\nlease = 60.5"), "lease must be a whole number"),
        (("rate = 60000", "rate = 60000\nshards = 1"), "2 boxes need at least as many shards"),
        (("rate = 60000", 'rate = 60000\ndirectory = "var"'), "directory must be an absolute path"),
        (("rate = 60000", 'rate = 60000\ncontroller = "x"'), "controller must be host:port"),
        (("rate = 60000", 'rate = 60000\ncontroller = "x:²"'), "controller must be host:port"),
        (("rate = 60000", 'rate = 60000\ncontroller = "x:0008786999"'), "controller must be host:port"),
        (
            ("rate = 60000", 'rate = 60000\noptions = ["--handshake=http"]'),
            "options: unknown flag --handshake",
        ),
        (
            ("rate = 60000", 'rate = 60000\noptions = ["--handshakes=nope"]'),
            "options: nope is not a handshake",
        ),
        (("rate = 60000", 'rate = 60000\noptions = ["--seed=3"]'), "--seed is decided by the plan's seed"),
        (("rate = 60000", 'rate = 60000\noptions = ["-f", "x"]'), "--output-file cannot be said for all"),
        (("rate = 60000", 'rate = 60000\noptions = ["--config", "x"]'), "--config names options"),
        (("rate = 60000", 'rate = 60000\noptions = ["--version"]'), "--version asks for a text"),
        (('name = "ams1"', 'name = "fra1"'), "two boxes have the name fra1"),
        (('source = "203.0.113.0/30"', ""), "box ams1: source is missing"),
        (('source = "203.0.113.0/30"', 'source = "x"'), "box ams1: source 'x' is not an IP address"),
        (('source = "203.0.113.0/30"', 'source = "198.51.100.0/24"'), "is a source of ams1 and of fra1"),
        (
            ('source = "203.0.113.0/30"', 'source = "::ffff:198.51.100.10"'),
            "198.51.100.10 is a source of ams1 and of fra1",
        ),
        (
            ("rate = 60000", 'rate = 60000\ncontroller = "2001:db8::1:8786"'),
            "controller must be host:port, as in 198.51.100.1:8786, [2001:db8::1]:8786",
        ),
        (("weight = 2", "weight = 0"), "box fra1: weight must be a number from 0.001"),
        (("weight = 2", "weight = nan"), "box fra1: weight must be a number from 0.001"),
        (("weight = 2", "heavy = 2"), "box fra1: unknown key heavy"),
        (("rate-cap = 20000", "rate-cap = -1"), "box ams1: rate-cap must be a whole number"),
        (('interface = "eth0"', 'interface = "a/b"'), "box fra1: interface must be the name"),
        (
            ('address = "ams1.example.org"', 'address = "-oProxyCommand=x"'),
            "box ams1: address must be a host",
        ),
        (("[[box]]", "[[boxes]]"), "there is no box"),
        (('name = "web"', "name ="), "is not TOML"),
    ]
)
def test_a_mistake_is_one_sentence(change: tuple[str, str], sentence: str) -> None:
    assert change[0] in PLAN
    with pytest.raises(UsageError) as caught:
        of_toml(PLAN.replace(*change).encode())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(("name", "box", "seed", "weight", "source", "options", "targets", "zmap", "controller")),
)
def test_whatever_a_table_holds_it_is_a_plan_or_a_mistake(value: object, key: str) -> None:
    table = as_table(of_toml(PLAN.encode()))
    inner = table["box"][0] if key in ("weight", "source") else table
    inner[key] = value
    try:
        plan = of_table(table)
    except UsageError:
        return
    assert of_table(as_table(plan)) == plan
