"""What web servers' pages say of their server where no Server field does: the address at their foot, a
proxy's field, what only one program writes.

For `--enrich`: it searches the whole head and the beginning of the body.
"""

from __future__ import annotations

import re

from lzr.fingerprint.greetings import freetext, phrases, titles
from lzr.fingerprint.greetings.lookup import NOTHING, Stated

_REACH = 4096

_NUMBER = rb"(?P<v>\d{1,4}(?:\.\w{1,12}){1,5})"
_FORMS = tuple(
    (mark, re.compile(pattern.replace(rb"NUMBER", _NUMBER), re.IGNORECASE), product)
    for mark, pattern, product in (
        (
            b"<address>",
            rb"<address>\s{0,4}(?:(?P<p>[a-z][\w-]{1,30})/NUMBER[^<]{0,200}\s(?:server )?at\s"
            rb"|(?P<q>apache) server at )",
            "",
        ),
        # The bodies of its own answers are written alike, and no other's are.
        (
            b"<html><body><h1>",
            rb"<html><body><h1>[45]\d\d [a-z -]{5,30}</h1>\n"
            rb"(?:your browser (?:sent an invalid request|didn't send a complete request in time)"
            rb"|no server is available to handle this request|request forbidden by administrative rules"
            rb"|the server (?:didn't respond in time|returned an invalid or incomplete response))\.\n</body>",
            "HAProxy",
        ),
        (b"x-squid-error:", rb"\nX-Squid-Error: ERR_", "squid"),
        (b"mikrotik httpproxy", rb"<h2>mikrotik httpproxy</h2>", "MikroTik HttpProxy"),
        (b"proxy.i2p/themes", rb'href="?http://proxy\.i2p/themes/', "I2P"),
        (b"burp proxy error:", rb"\n\r?\n?burp proxy error: ", "Burp Suite"),
        (b"request error by havp", rb"HTTP/1\.\d \d\d\d request error by HAVP", "HAVP"),
        (
            b"was unable to extract the destination",
            rb"bad request\. (?P<p>privoxy|seeks proxy) was unable",
            "",
        ),
        (b"this message was created by", rb"created by (?P<p>[a-z][\w ]{2,30}?)(?: proxy)?</i>", ""),
        (b"request denied by watchguard", rb"request denied by (?P<p>watchguard http proxy)", ""),
        # What stands below a line at the end is the server's, if it has a version or is a name and no more:
        # pages are "powered by the community", too.
        (
            b"<hr",
            rb"<hr[^>]{0,40}>\s{0,4}(?:<\w{1,6}>\s{0,4})?(?:generated|powered) by (?:<a [^>]{1,80}>)?\s{0,4}"
            rb"(?:(?P<p>[a-z][\w.!-]{2,24}?)[ /(]{1,2}v?NUMBER[\s.<(@-]"
            rb"|(?P<q>(?-i:[A-Z])[\w!-]{2,24})\s{0,4}<)",
            "",
        ),
        (b"websphere application server", rb"<i>(?P<p>IBM WebSphere Application Server)</i>", ""),
        (b"welcome to soc", rb"\r\n\r\nWelcome to (?P<p>socket\.io|SockJS)[.!]", ""),
        (b"vnc desktop [", rb"<title>\s{0,4}(?P<p>TightVNC|Ultr@VNC|UltraVNC|eSVNC) desktop \[", ""),
        (b"com.tigervnc.", rb"code=\"?com\.tigervnc\.vncviewer", "TigerVNC"),
        (
            b"x-av-",
            rb'\nX-AV-(?:Server|Client)-Info: [^\r\n]{0,80}?cn="(?P<m>[^"\r\n]{2,40}?)(?: Corporation)?";'
            rb' mn="(?P<p>[^"\r\n]{1,40})"',
            "",
        ),
        (
            b"<modelname>",
            rb"<(?:\w{1,4}:)?(?:manufacturer|VendorName)>\s{0,8}+(?P<m>[^<>\r\n]{2,60}+)\s{0,8}+<"
            rb"[\s\S]{0,800}?<modelName>\s{0,8}+(?P<p>[^<>\r\n]{1,60}+)\s{0,8}+</"
            rb"(?:[\s\S]{0,400}?<FirmwareVersion>\s{0,8}V?NUMBER)?",
            "",
        ),
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
        (b"shoutcast dnas/", rb"SHOUTcast DNAS/[^\r\n<]{1,40}?v?NUMBER", "SHOUTcast"),
        (
            b"proxy-agent:",
            rb"\nProxy-Agent: {0,4}(?P<p>[a-z][\w -]{1,40}?)(?:[/ ]v?NUMBER)?(?: \([^\r\n)]{1,60}\))?\r?\n",
            "",
        ),
        (
            b"powered-by: servlet",
            rb"\nX-Powered-By: Servlet[^\r\n(]{1,40}\((?P<p>[a-z][\w -]{2,50}?) NUMBER Java/",
            "",
        ),
        (b"powered-by: servlet", rb"\nX-Powered-By: Servlet[^\r\n(]{1,20}; (?P<p>JBoss)-NUMBER", ""),
        (
            b"powered-by:",
            rb"\nX-Powered-By: {0,4}(?!Servlet|JSP)(?P<p>[a-z][a-z .-]{1,30}?)(?:[/ ]v?NUMBER)?"
            rb"(?:(?:, | \()[^\r\n]{1,80})?\r?\n",
            "",
        ),
        (b"powered by <a", rb"\bPowered By <a href=[^>]{1,60}>(?P<p>LiteSpeed Web Server)</a>", ""),
        (
            b"this site is running <a",
            rb"<body>This site is running <a href=[^>]{1,60}>(?P<p>[a-z]\w{2,20})</a>",
            "",
        ),
        (b"<info ", rb"<info [^>]{0,80}?\bproduct=\"(?P<p>[a-z][^\"<>]{2,40})\"", ""),
        (b"commerce-server-software:", rb"\nCOMMERCE-SERVER-SOFTWARE: (?P<p>[a-z][\w ]{2,40}?),", ""),
        (b"seafile http syncing component", rb"\n(?:If you see this page, )?(?P<p>Seafile) HTTP syncing", ""),
        (b"you know, for search", rb'"number" ?: ?"NUMBER"', "Elasticsearch"),
        (b"opensearch project", rb'"number" ?: ?"NUMBER"', "OpenSearch"),
        (b'"couchdb":', rb'"version":"NUMBER"', "CouchDB"),
        (b'"etcdserver":', rb'"etcdserver":"NUMBER"', "etcd"),
        *(
            (name.lower() + b":", rb"\n" + name + rb": {0,4}" + before + rb"v?NUMBER", product)
            for name, before, product in (
                (b"X-Jenkins", b"", "Jenkins"),
                (b"Jenkins-Version", b"", "Jenkins"),
                (b"X-Catalyst", b"", "Catalyst"),
                (b"kbn-version", b"", "Kibana"),
                (b"X-Influxdb-Version", b"", "InfluxDB"),
                (b"X-OWA-Version", b"", "Microsoft Exchange"),
                (b"MicrosoftSharePointTeamServices", b"", "Microsoft SharePoint"),
                (b"X-Rocket-Chat-Version", b"", "Rocket.Chat"),
                (b"Tailscale-Version", b"", "Tailscale"),
                (b"X-Plex-Version", b"", "Plex Media Server"),
                (b"X-Emby-Version", b"", "Emby"),
                (b"X-AspNetMvc-Version", b"", "ASP.NET MVC"),
                (b"X-AspNet-Version", b"", "ASP.NET"),
                (b"Liferay-Portal", rb"Liferay [A-Za-z ]{1,40}", "Liferay Portal"),
            )
        ),
        (b"ap-server:", rb"\n(?:DAAP|DPAP)-Server: {0,4}(?P<p>[a-z][\w -]{1,30})/NUMBER", ""),
        (
            b"generator",
            rb"<meta name=[\"']?generator[\"']? content=[\"'](?P<p>[a-z][a-z !&+-]{1,40}?)"
            rb"(?: ?v?NUMBER\b[^\"'>]{0,120}| \d{1,4}\b[^\"'>]{0,120}| ?[(;,\[][^\"'>]{0,120})?[\"']",
            "",
        ),
        (
            b"via:",
            rb"\nVia: (?:HTTP/)?[\d.]{1,4} [^\r\n(]{1,80}"
            rb"\((?P<p>[a-z][\w -]{1,30}?)(?:[/ ]NUMBER)?(?: \[[^)\r\n]{0,40})?\)",
            "",
        ),
    )
)


_REALM = re.compile(rb'\nWWW-Authenticate:[^\n]{0,80}?realm="([^"\r\n]{2,80})"', re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]{0,40}>\s{0,20}([^<]{2,120}?)\s{0,20}</title", re.IGNORECASE)
_MARKED = re.compile(rb"&(?:nbsp|reg|trade|copy|#\d{1,5});|\s+")
"""Blanks and marks of trade in a page's text."""
_MANAGED = re.compile(
    r"\b(?:log ?[io]n|admin\w*|manage\w*|config\w*|setup|settings|status|home ?page|interface|web ?ui"
    r"|console|menu|router|switch|camera|printer|gateway|access point|modem|firewall)\b",
    re.IGNORECASE,
)
"""Words of pages by which a device is looked after; others tell of devices that are for sale."""


def device(data: bytes) -> Stated:
    """The device that asks for a password by its name, or has it in the title of its own page."""
    realm = _REALM.search(data, 0, _REACH)
    if realm is not None:
        name = realm[1].decode("latin-1")
        found = titles.named(name)
        if not found[0]:
            found = freetext.appliance(name)
        if not found[0]:
            found = phrases.managed(name, asks=True)
        if found[0]:
            return found
    title = _TITLE.search(data, 0, _REACH)
    text = _MARKED.sub(b" ", title[1]).decode("latin-1").strip()[:80] if title is not None else ""
    found = titles.named(text)
    if found[0]:
        return found
    if len(text.split()) <= _FEW or _MANAGED.search(text):
        found = freetext.appliance(text)
    return found if found[0] else phrases.managed(text, asks=False)


_FEW = 3
"""Words of a title that may be nothing but a name."""

_OF_UPNP = re.compile(
    rb"UPnP/\d[\w.]{0,9}[, ]{1,3}(?:DLNADOC/[\d.]{1,8}[, ]{1,3})?"
    rb"(?:(?P<p>[A-Za-z][\w +.-]{1,50})/v?(?P<v>\d[\w.-]{0,20})|(?P<q>[A-Za-z][\w +.-]{1,50}))(?:[, /]|$)"
)


def of_upnp(value: bytes) -> Stated:
    """The product of a Server field of UPnP (Device Architecture 1.1 §1.3.2): it is the third token, behind
    the operating system and the version of UPnP."""
    found = _OF_UPNP.search(value)
    name = (found["p"] or found["q"]) if found is not None else b"UPnP"
    if found is None or name[:4] == b"UPnP" or name.lower() in (b"unspecified", b"unknown"):
        return NOTHING
    return name.decode("latin-1").replace("_", " ").strip(), (found["v"] or b"").decode("latin-1")


NAMELESS = frozenset(
    (
        *(
            "httpd",
            "http",
            "http server",
            "httpserver",
            "web server",
            "webserver",
            "web",
            "server",
            "www server",
        ),
        *("router", "router webserver", "router web server", "gateway", "firewall", "switch", "camera", "ap"),
        *("embedded", "embedded http server", "embedded web server", "embedded http server.", "unknown"),
        *("mini web server", "local web server", "http-server", "web-server", "webs", "httpsrv", "hsrv"),
    )
)
"""What many Server fields hold that is no program's name, in small letters."""

_PLATFORMS = frozenset(
    ("python", "linux", "java", "embperl", "windows", "ecos", "nucleus", "vxworks", "servlet")
)
_LIBRARIES = frozenset(
    (b"openssl", b"libressl", b"boringssl", b"gnutls", b"mod_ssl", b"libc", b"glibc", b"ssl", b"tls")
)
"""What stands second in a Server field and serves nothing."""
_SECOND = re.compile(
    rb"[^\s(]{1,40}[, ]{1,2}(?:\([^)]{1,60}\) )?(?P<p>[A-Za-z][\w.-]{2,30})/v?(?P<v>\d[\w.-]{0,20})"
)


def is_vague(product: str) -> bool:
    """Whether what a Server field begins with is no program's name: a kind of server, a number."""
    return product.lower() in NAMELESS or (product[:1].isdigit() and not any(map(str.isalpha, product)))


def behind_platform(product: str, value: bytes) -> Stated:
    """The second product of a Server field that begins with a platform (RFC 9110 §10.2.4)."""
    found = _SECOND.match(value) if product.lower() in _PLATFORMS and b"UPnP" not in value else None
    return (
        NOTHING
        if found is None or found["p"].lower() in _LIBRARIES
        else (found["p"].decode("ascii"), found["v"].decode("latin-1"))
    )


def stated(data: bytes) -> Stated:
    """(product, version) of a reply of HTTP without a Server field."""
    low = data[:_REACH].lower()
    for mark, pattern, product in _FORMS:
        if mark in low:
            found = pattern.search(data, 0, _REACH)
            if found is not None:
                groups = found.groupdict()
                name = product or (groups["p"] or groups.get("q") or b"").decode("latin-1").strip()
                maker = (groups.get("m") or b"").decode("latin-1").removesuffix(",").strip()
                if maker and not name.lower().startswith(maker.lower()):
                    name = f"{maker} {name}"
                return name, (groups.get("v") or b"").decode("latin-1")
    return device(data)
