"""What web servers' pages say of their server where no Server field does: the address at their foot, a
proxy's field, what only one program writes.

For `--enrich`: it searches the whole head and the beginning of the body.
"""

from __future__ import annotations

import re

from lzr.fingerprint.statements import NOTHING, Stated

_REACH = 4096

_NUMBER = rb"(?P<v>\d{1,4}(?:\.\w{1,12}){1,5})"
_FORMS = tuple(
    (mark, re.compile(pattern.replace(rb"NUMBER", _NUMBER), re.IGNORECASE), product)
    for mark, pattern, product in (
        (b"<address>", rb"<address>\s{0,4}(?P<p>[a-z][\w-]{1,30})/NUMBER[^<]{0,200}\s(?:server )?at\s", ""),
        (
            b"<center>",
            rb"<hr><center>(?P<p>nginx|openresty|tengine|angie|freenginx|awselb)(?:/NUMBER)?</center>",
            "",
        ),
        (b"<h3>", rb"<h3>(?P<p>Apache Tomcat|JBossWeb|JBoss Web|WildFly)/NUMBER", ""),
        (b"jetty", rb"Powered by Jetty://(?:</a>)?(?: NUMBER)?", "Jetty"),
        (b"(squid", rb"\((?P<p>squid)/NUMBER\)", ""),
        (b"varnish cache server", rb"<p>Varnish cache server</p>", "Varnish"),
        (
            b"error code explanation",
            rb"<p>Error code explanation: (?:HTTPStatus\.|\d{3} )",
            "Python http.server",
        ),
        (b"proxy-agent:", rb"\nProxy-Agent: {0,4}(?P<p>[a-z][\w -]{1,40}?)(?:/NUMBER)?\r?\n", ""),
        (b"via:", rb"\nVia: [\d.]{1,4} [^\r\n(]{1,80}\((?P<p>[a-z][\w -]{1,30}?)(?:/NUMBER)?\)", ""),
    )
)


def stated(data: bytes) -> Stated:
    """(product, version) of a reply of HTTP without a Server field."""
    low = data[:_REACH].lower()
    for mark, pattern, product in _FORMS:
        if mark in low:
            found = pattern.search(data, 0, _REACH)
            if found is not None:
                groups = found.groupdict()
                name = product or (groups["p"] or b"").decode("latin-1").strip()
                return name, (groups.get("v") or b"").decode("latin-1")
    return NOTHING
