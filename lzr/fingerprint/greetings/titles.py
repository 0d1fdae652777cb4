"""Programs and devices whose pages have their name for a title, or that ask for a password by it: data.

A title is whatever its author liked, so only a name of this list counts, where it stands alone, in front of a
version, of a dash or of such words as "Login". Names that are words of every day are not in it.

They become a record's `product`. A web application, its `application`, is one line in
`lzr.fingerprint.applicationtable`, which looks at titles too.
"""

from __future__ import annotations

import re

NAMES = """
XBMC
XBMC Web Media Manager
Kodi web interface
foobar2000
Icecast Streaming Media Server
POPFile Control Center
Transmission Web Interface
Transmission Remote
qBittorrent
qBittorrent Web UI
Deluge: Web UI
Deluge WebUI
uTorrent
SABnzbd
SABnzbd+
NZBGet
Sonarr
Radarr
Lidarr
Prowlarr
Bazarr
Overseerr
Tautulli
JDownloader
BitTorrent Download Manager
phpPgAdmin
pgAdmin 4
RabbitMQ Management
Symantec Endpoint Protection Manager
Symantec Messaging Gateway
McAfee Web Gateway
F-Secure Policy Manager
F-Secure Policy Manager Server
Citrix Access Gateway
Citrix Gateway
NetScaler Gateway
NetScaler AAA
Novell Messenger
VMware View
VMware View Portal
VMware Horizon
VMware ESX Server
VMware ESXi
VMware Server
VMware VirtualCenter
VMware vCenter
VMware vCenter Server
VMware vSphere
VMware vSphere Web Client
MailEnable
Zimbra Web Client
Roundcube Webmail
RainLoop Webmail
SquirrelMail
ThinVNC
Apache Guacamole
TwonkyMedia
TwonkyServer
Serviio
MythTV
MythTV Status
Jitsi Meet
UserGate
EvoCam
ZoneMinder
NETSurveillance WEB
motionEye
Domoticz
openHAB
Node-RED
ioBroker
Livebox
FRITZ!Box
FRITZ!WLAN Repeater
MikroTik RouterOS
MikroTik RouterOS Managing Webpage
RouterOS router configuration page
OpenWrt
OpenWrt Administrative Console
DD-WRT
Endian Firewall
PageScope Web Connection
KONICA MINOLTA PageScope Web Connection
KONICA MINOLTA PageScope Light
EpsonNet WebAssist
EpsonNet Config
CentreWare Internet Services
ZebraNet PrintServer
Sipura SPA Configuration
Linksys SPA Configuration
Cisco SPA Configuration
Grandstream Device Configuration
AirDroid
Burp Suite Community Edition
Proxmox Virtual Environment
Hue - Welcome to Hue
Anti-Spam SMTP Proxy (ASSP) Configuration
webMethods
Arecont Vision
Octopus Tentacle
VLC media player
SinusBot
Kafka Manager
CMAK
Gotify
ConfigServer Security & Firewall
PowerDNS
InfluxDB - Admin Interface
Apt-cacher
ympd
AWStats
Webalizer
Munin
LibreNMS
Nagios Core
Icinga Web
Checkmk
OCS Inventory
GLPI
phpIPAM
Rundeck
Argo CD
Kubernetes Dashboard
Traefik
Nginx Proxy Manager
Uptime Kuma
AdGuard Home
Vaultwarden Web
Bitwarden Web vault
Gitea
Gogs
Forgejo
Syncthing
ownCloud
Seafile
Paperless-ngx
PhotoPrism
Immich
Navidrome
Airsonic
Calibre-Web
Jellyseerr
Readarr
Tdarr
TrueNAS
FreeNAS
OpenMediaVault
XigmaNAS
EdgeOS
UniFi Network
UniFi OS
UISP
Webmin
Usermin
Virtualmin
CyberPanel
HestiaCP
VestaCP
ISPConfig
aaPanel
"""
_KNOWN = {" ".join(name.lower().split()): name for name in NAMES.strip().split("\n")}
_LONGEST = max(len(name.split()) for name in _KNOWN)

_BEHIND = re.compile(
    r"(?: ?[v ](?P<v>\d{1,4}(?:\.\w{1,12}){1,5}))?"
    r"(?:| ?[-–—|:•»>(\[,/].{0,60}| (?:log ?in|sign ?in|log ?on|home|status|main|web|webpage|portal|server"
    r"|index|admin\w*|manage\w*|config\w*|setup|settings|console|interface|welcome|for|build)\b.{0,60})$",
    re.IGNORECASE,
)
_IN_FRONT = re.compile(r"(?:welcome to (?:the )?|[:>|~ -]+)", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:tutorial|review|buy|price|blog|forums?|tips|how|guide|vs|versus|alternatives?|news|wiki\w*|jobs|hire"
    r"|training|courses?|books?|hosting|consult\w*|experts?|downloads|free download|install\w*|sale)\b",
    re.IGNORECASE,
)
"""Words of pages that are about a program and are not its own."""


def named(text: str) -> tuple[str, str]:
    """(name, version) where a title or a realm is a known program's; ("", "") where not."""
    text = " ".join(text.split())[:120]
    front = _IN_FRONT.match(text)
    if front is not None:
        text = text[front.end() :]
    words = text.split(" ")[: _LONGEST + 1]
    for size in range(len(words), 0, -1):
        whole = " ".join(words[:size])
        for start in (whole, whole.rstrip(":,|-(")):
            name = _KNOWN.get(start.lower())
            behind = _BEHIND.match(text, len(start)) if name is not None else None
            if name is not None and behind is not None and not _ABOUT.search(text):
                return name, behind["v"] or ""
    return "", ""
