"""Which application speaks HTTP: what its reply gives away, as data, one line each.

Plain web servers are products (`products`), not applications.

A line of TABLE says where to look, what for, and the name. `server`, `upgrade`: how that header starts;
`header`: a header of that name; `cookie`, `location`, `realm`: how a cookie's name, a redirect's path or an
authentication realm starts; `title`: how the page's title starts; `body`: how the body starts, white space
left out; `json`: anywhere in the first bytes of a JSON body; `certificate`: in what a TLS server sends. All
are compared in lower case; an underscore in a needle stands for a space. The head is split once, so
the cost does not grow with the table.
"""

from __future__ import annotations

import re

TABLE = """
header x-elastic-product elasticsearch
header kbn-name kibana
header kbn-license-sig kibana
header x-influxdb-version influxdb
header x-influxdb-build influxdb
header x-clickhouse-summary clickhouse
header x-clickhouse-server-display-name clickhouse
header x-clickhouse-exception-code clickhouse
header x-consul-default-acl-policy consul
header x-consul-index consul
header x-nomad-index nomad
header x-etcd-cluster-id etcd
header docker-experimental docker
header docker-distribution-api-version docker-registry
header x-jenkins jenkins
header x-hudson jenkins
header x-gitlab-meta gitlab
header x-couchdb-body-time couchdb
header x-couch-request-id couchdb
header x-kubernetes-pf-flowschema-uid kubernetes
header x-minio-deployment-id minio
header x-plex-protocol plex
header x-emby-server emby
header x-jellyfin jellyfin
header x-confluence-request-time confluence
header x-arequestid jira
header x-drupal-cache drupal
header x-drupal-dynamic-cache drupal
header x-pingback wordpress
header x-redirect-by wordpress
header x-owncloud-version owncloud
header x-nextcloud-well-known nextcloud
header x-discourse-route discourse
header x-shopify-stage shopify
header x-magento-cache-debug magento
header x-vault-token vault
header x-feserver exchange
header x-owa-version exchange
header x-sharepointhealthscore sharepoint
header microsoftsharepointteamservices sharepoint
header x-ms-proxy azure-ad-proxy
header x-sonatype nexus
header x-artifactory-id artifactory
header x-jfrog-version artifactory
header x-teamcity-node-id teamcity
header x-gitea-object-type gitea
header x-envoy-upstream-service-time envoy
header x-kong-response-latency kong
header x-kong-proxy-latency kong
header x-rundeck rundeck
header x-splunk-form-key splunk
header x-sap-server sap-netweaver
header sap-server sap-netweaver
header x-transmission-session-id transmission
header x-syncthing-id syncthing
header x-syncthing-version syncthing
header x-roku-reserved-dev-id roku
server couchdb couchdb
server couchbase couchbase
server minio minio
server consul consul
server vault vault
server etcd etcd
server clickhouse clickhouse
server docker docker
server influxdb influxdb
server kibana kibana
server grafana grafana
server prometheus prometheus
server splunkd splunk
server solr solr
server neo4j neo4j
server arangodb arangodb
server orientdb orientdb
server riak riak
server jupyter jupyter
server apache-coyote tomcat
server apache_tomcat tomcat
server wildfly wildfly
server jboss jboss
server weblogic weblogic
server websphere websphere
server glassfish glassfish
server payara glassfish
server sap_netweaver sap-netweaver
server oracle-application-server oracle-as
server oracle_xml_db oracle-xdb
server squid squid
server varnish varnish
server haproxy haproxy
server envoy envoy
server istio-envoy envoy
server traefik traefik
server kong kong
server microsoft-httpapi http.sys
server microsoft-wince windows-ce
server rompager rompager
server goahead goahead
server gsoap gsoap
server mikrotik routeros
server hikvision hikvision
server app-webs hikvision
server dnvrs-webs hikvision
server dahua dahua
server webs goahead
server cross_web_server dvr-cross-web
server uc-httpd xiongmai
server jaws jaws-dvr
server axis axis-camera
server linksys linksys
server asus asus-router
server netgear netgear
server tplink tp-link
server tp-link tp-link
server zyxel zyxel
server draytek draytek
server fortigate fortigate
server xxxxxxxx-xxxxx fortigate
server big-ip big-ip
server bigip big-ip
server sonicwall sonicwall
server palo_alto pan-os
server checkpoint checkpoint
server cpws checkpoint
server cisco-ios cisco-ios
server cisco cisco
server huawei huawei
server h3c h3c
server ilo ilo
server hp-ilo-server ilo
server idrac idrac
server mbedthis-appweb appweb
server embedthis appweb
server allegro-software-rompager rompager
server virata-emweb emweb
server hp_http hp-printer
server hp-chaisoe hp-printer
server epson_http epson-printer
server epson-http epson-printer
server canon_http canon-printer
server ks_http canon-printer
server debut brother-printer
server xerox xerox-printer
server lexmark lexmark-printer
server synology synology-dsm
server qnap qnap
server proxmox proxmox
server pve-api-daemon proxmox
server vmware vmware
server vmware-esxi vmware-esxi
server home_assistant home-assistant
server plex plex
server emby emby
server jellyfin jellyfin
server transmission transmission
server aria2 aria2
server qbittorrent qbittorrent
server utorrent utorrent
server deluge deluge
server icecast icecast
server shoutcast shoutcast
server asterisk asterisk
server freeswitch freeswitch
server kamailio kamailio
server yealink yealink
server grandstream grandstream
server polycom polycom
server ntopng ntopng
server monit monit
server munin munin
server zope zope
server plone plone
server odoo odoo
server gitea gitea
server gerrit gerrit
server artifactory artifactory
server nexus nexus
server teamcity teamcity
server openwrt openwrt
server rabbitmq rabbitmq
server activemq activemq
server emqx emqx
server nats nats
server tr069 tr-069
server tr-069 tr-069
server cwmp tr-069
server easycwmp tr-069
server libre-cwmp tr-069
server ecs_(cwmp tr-069
server niagara niagara
server siemens siemens
server schneider schneider
server wago wago
server codesys codesys
server rockwell rockwell
upgrade websocket websocket
cookie grafana_session grafana
cookie _gitlab_session gitlab
cookie i_like_gitea gitea
cookie zbx_session zabbix
cookie zbx_sessionid zabbix
cookie phpmyadmin phpmyadmin
cookie pma_ phpmyadmin
cookie wordpress_ wordpress
cookie wp- wordpress
cookie laravel_session laravel
cookie csrftoken django
cookie _redmine_session redmine
cookie redmine_session redmine
cookie mattermost mattermost
cookie mmauth mattermost
cookie rc_uid rocket.chat
cookie webvpn cisco-anyconnect
cookie svpncookie fortigate
cookie dsid ivanti-connect-secure
cookie bigipserver big-ip
cookie mrhsession big-ip
cookie nsc_ netscaler
cookie citrix_ns_id netscaler
cookie sonicwall sonicwall
cookie roundcube_sessid roundcube
cookie zm_test zimbra
cookie occsrf owncloud
cookie nc_samesitecookie nextcloud
cookie oc_sessionpassphrase nextcloud
cookie jenkins jenkins
cookie splunkweb splunk
cookie kc_restart keycloak
cookie airflow airflow
cookie rundeck rundeck
cookie nagiosxi nagios-xi
cookie cacti cacti
cookie prtg prtg
cookie ucp-auth docker-ucp
cookie r_sess rancher
cookie vmware_soap_session vmware
cookie sid_unifi unifi
cookie unifises unifi
cookie opnsense opnsense
cookie cockpit cockpit
cookie webmin webmin
cookie testing webmin
cookie dssignin ivanti-connect-secure
cookie joomla joomla
cookie prestashop prestashop
cookie ci_session codeigniter
location /tree jupyter
location /lab jupyter
location /ui/vault vault
location /graph prometheus
location /classic/graph prometheus
location /query prometheus
location /app/kibana kibana
location /_utils couchdb
location /_plugin/ elasticsearch
location /_dashboards opensearch-dashboards
location /solr solr
location /users/sign_in gitlab
location /web/index.html plex
location /web/login odoo
location /cgi-bin/luci openwrt
location /remote/login fortigate
location /+cscoe+/ cisco-anyconnect
location /dana-na/ ivanti-connect-secure
location /owa exchange
location /global-protect/ globalprotect
location /vpn/index.html netscaler
location /logon/logonpoint netscaler
location /tmui/ big-ip
location /my.policy big-ip
location /webfig/ routeros
location /doc/page/login.asp hikvision
location /doc/index.html hikvision
location /wp- wordpress
location /phpmyadmin phpmyadmin
location /guacamole guacamole
location /auth/admin keycloak
location /realms/ keycloak
location /hub/ jupyterhub
location /zabbix zabbix
location /nagios nagios
location /icingaweb2 icinga
location /cacti cacti
location /console/login/ weblogic
location /nifi nifi
location /airflow airflow
location /home-assistant home-assistant
location /restgui/ idrac
location /start.html idrac
location /synology synology-dsm
location /webman/ synology-dsm
realm huaweihomegateway tr-069
realm cwmp tr-069
realm tr-069 tr-069
realm tr069 tr-069
realm igd tr-069
realm iad tr-069
realm prometheus prometheus
realm rabbitmq rabbitmq
realm activemq activemq
realm activemqrealm activemq
realm tomcat_manager tomcat
realm jboss jboss
realm nagios nagios
realm transmission transmission
realm druid druid
realm security elasticsearch
realm clickhouse clickhouse
realm wsman winrm
realm couchdb couchdb
realm supervisor supervisor
realm aria2 aria2
realm broadband_router broadband-router
realm netgear netgear
realm tp-link tp-link
realm hikvision hikvision
realm ipcamera ip-camera
realm streaming_server ip-camera
realm axis axis-camera
realm ip_webcam ip-webcam
realm kubernetes kubernetes
realm cisco cisco
realm level_15_access cisco-ios
realm level_15_or_view_access cisco-ios
title grafana grafana
title jenkins jenkins
title dashboard_[jenkins] jenkins
title sign_in_[jenkins] jenkins
title prometheus prometheus
title alertmanager alertmanager
title kibana kibana
title opensearch_dashboards opensearch-dashboards
title minio minio
title rabbitmq_management rabbitmq
title consul consul
title nomad nomad
title vault vault
title traefik traefik
title portainer portainer
title rancher rancher
title argo_cd argocd
title kubernetes_dashboard kubernetes-dashboard
title phpmyadmin phpmyadmin
title adminer adminer
title pgadmin pgadmin
title mongo_express mongo-express
title redis_commander redis-commander
title solr_admin solr
title apache_solr solr
title apache_tomcat tomcat
title apache_activemq activemq
title apache_flink flink
title apache_druid druid
title spark_master spark
title spark_worker spark
title hadoop hadoop
title namenode hadoop
title hbase hbase
title nifi nifi
title airflow airflow
title jupyter jupyter
title jupyterlab jupyter
title jupyterhub jupyterhub
title home_assistant home-assistant
title node-red node-red
title octoprint octoprint
title zabbix zabbix
title nagios nagios
title cacti cacti
title netdata netdata
title ntopng ntopng
title glances glances
title graylog graylog
title splunk splunk
title sonarqube sonarqube
title nexus_repository nexus
title gitlab gitlab
title gitea gitea
title gogs gogs
title redmine redmine
title roundcube roundcube
title zimbra zimbra
title outlook exchange
title webmin webmin
title login_to_webmin webmin
title login_to_usermin webmin
title proxmox proxmox
title vmware vmware
title vsphere vmware-vcenter
title synology synology-dsm
title qnap qnap
title truenas truenas
title openmediavault openmediavault
title unifi unifi
title routeros routeros
title mikrotik routeros
title pfsense pfsense
title opnsense opnsense
title openwrt openwrt
title luci openwrt
title dd-wrt dd-wrt
title fortigate fortigate
title globalprotect globalprotect
title citrix_gateway netscaler
title netscaler netscaler
title big-ip big-ip
title sonicwall sonicwall
title sophos sophos
title ivanti_connect_secure ivanti-connect-secure
title hikvision hikvision
title webcam webcam
title ip_camera ip-camera
title network_camera ip-camera
title idrac idrac
title ilo ilo
title supermicro supermicro-bmc
title megarac megarac
title keycloak keycloak
title nextcloud nextcloud
title owncloud owncloud
title wordpress wordpress
title joomla joomla
title moodle moodle
title odoo odoo
title guacamole guacamole
title plex plex
title jellyfin jellyfin
title emby emby
title transmission_web_interface transmission
title qbittorrent qbittorrent
title syncthing syncthing
title sonarr sonarr
title radarr radarr
title pi-hole pi-hole
title adguard adguard-home
title swagger_ui swagger
title graphql graphiql
title minecraft minecraft-map
title dynmap minecraft-map
title gradio gradio
title open_webui open-webui
title comfyui comfyui
title stable_diffusion stable-diffusion
title mlflow mlflow
title tensorboard tensorboard
title ray_dashboard ray
title uptime_kuma uptime-kuma
title wazuh wazuh
body ollamaisrunning ollama
body ok. clickhouse
body {"couchdb":"welcome" couchdb
body {"message":"pagenotfound" docker
body {"kind":"status","apiversion":"v1" kubernetes
body {"paths":["/.well-known kubernetes
body {"errors":["missingclienttoken"] vault
body {"error":"arangodb arangodb
body {"ok":true,"status":"ready","version":{"number" couchbase
body itlookslikeyouaretryingtoaccessmongodb mongodb
body <?xmlversion="1.0"encoding="utf-8"?><error><code> s3
body <?xmlversion="1.0"encoding="utf-8"standalone="yes"?><error><code> s3
body {"swagger": swagger
body {"openapi": openapi
body webdavdisabled vault
body 404pagenotfound go-http
body {"jsonrpc":"2.0" json-rpc
body upgraderequired websocket
body {"detail":"notfound"} fastapi
body {"detail":"methodnotallowed"} fastapi
body whitelabelerrorpage spring-boot
json you_know,_for_search elasticsearch
json opensearch_project: opensearch
json "neo4j_version" neo4j
json "bolt_routing" neo4j
json "rethinkdb" rethinkdb
json etcdserver etcd
json "cratedb" cratedb
json "weaviate" weaviate
json qdrant_- qdrant
json "qdrant qdrant
json "chroma chroma
json "vllm" vllm
certificate kubernetes.default kubernetes
certificate kube-apiserver kubernetes
certificate dynamiclistener rancher
certificate fortigate fortigate
certificate fortinet fortigate
certificate ubnt ubiquiti
certificate unifi unifi
certificate vmware vmware
certificate synology synology-dsm
certificate idrac idrac
"""

_Names = dict[bytes, str]


def _read(table: str) -> dict[str, _Names]:
    places: dict[str, _Names] = {}
    for line in table.split("\n"):
        if line:
            where, needle, name = line.split(" ")
            keep = where in ("header", "cookie")
            places.setdefault(where, {})[(needle if keep else needle.replace("_", " ")).encode()] = name
    return places


def _by_initial(names: _Names) -> dict[bytes, tuple[bytes, ...]]:
    return {first: tuple(n for n in names if n[:1] == first) for first in {n[:1] for n in names}}


_PLACES = _read(TABLE)
_HEADERS = _PLACES["header"]
_STARTS = {where: _by_initial(names) for where, names in _PLACES.items()}
_BY_HEADER = {
    b"server": "server",
    b"upgrade": "upgrade",
    b"set-cookie": "cookie",
    b"location": "location",
    b"www-authenticate": "realm",
}
_WEAK = frozenset(("server", "upgrade"))
"""Fields that say what carries an application; one that names it says more."""

HTTP = frozenset(("http", "tls", "ipp", "kubernetes"))
"""Labels whose replies `read` understands."""

_INITIALS = bytes(sorted({name[0] for name in (*_BY_HEADER, *_HEADERS)}))
_FIELD = re.compile(rb"\n([%b%b][\w-]*): ?([^\r\n]*)" % (_INITIALS, _INITIALS.upper()))
"""Fields that may say something, found in one pass over the head."""

_SERVER = re.compile(rb"\nserver:[ \t]*([^\r\n]{0,120})", re.IGNORECASE)


def of(label: str, data: bytes) -> str:
    """The application a reply gives away, or ""."""
    return read(data)[0] if label in HTTP else ""


def read(data: bytes) -> tuple[str, bytes]:
    """The application, "" where nothing gives it away, and the value of the Server field."""
    if data[:1] == b"\x16":
        return _in_certificate(data[:4096]), b""
    end = 0
    server = b""
    weak = ""
    if data[:1] in b"Hh":
        end = data.find(b"\r\n\r\n", 0, 4096)
        for name, value in _FIELD.findall(data, 0, end if end >= 0 else 4096):
            field = name.lower()
            where = _BY_HEADER.get(field)
            if where is None:
                found = _HEADERS.get(field, "")
            elif where in _WEAK:
                weak = weak or _starting(where, value.lower().lstrip())
                if where == "server":
                    server = server or value.strip()
                continue
            else:
                found = _starting(where, _subject(where, value.lower().lstrip()))
            if found:
                return found, server or _server(data, end)
        if end < 0:
            return weak, server
        end += 4
    return _in_body(data[end:4096]) or weak, server


def _server(data: bytes, end: int) -> bytes:
    """The Server field, where another one was met first."""
    found = _SERVER.search(data, 0, end if end >= 0 else 4096)
    return found[1].rstrip() if found else b""


def _subject(where: str, value: bytes) -> bytes:
    """The part of a header's value that is compared."""
    if where == "realm":
        return value.partition(b'realm="')[2] or value
    if where == "location" and b"://" in value[:8]:
        rest = value.partition(b"://")[2]
        return rest[rest.find(b"/") :] if b"/" in rest else b"/"
    return value


def _starting(where: str, text: bytes) -> str:
    needles = _STARTS[where].get(text[:1])
    if needles is None or not text.startswith(needles):
        return ""
    return _PLACES[where][max((needle for needle in needles if text.startswith(needle)), key=len)]


def _in_body(body: bytes) -> str:
    low = body[:2048].lower()
    found = _starting("body", low[:160].translate(None, b" \t\r\n"))
    if found:
        return found
    if low.lstrip()[:1] == b"{":
        first = low[:700]
        return next((name for needle, name in _PLACES["json"].items() if needle in first), "")
    place = low.find(b"<title")
    if place < 0:
        return ""
    return _starting("title", low[place : place + 200].partition(b">")[2].lstrip())


def _in_certificate(data: bytes) -> str:
    """In the names of issuer and subject (X.520, 2.5.4.x), and in the subject's other names."""
    place = data.find(_ATTRIBUTE)
    if place < 0:  # TLS 1.3 shows no certificate
        return ""
    text = data[place : place + 400]
    place = data.find(_OTHER_NAMES)
    if place >= 0:
        text += data[place : place + 256]
    text = text.lower()
    return next((name for needle, name in _PLACES["certificate"].items() if needle in text), "")


_ATTRIBUTE = b"\x06\x03\x55\x04"
_OTHER_NAMES = b"\x06\x03\x55\x1d\x11"
