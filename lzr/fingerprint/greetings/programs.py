"""Programs and devices that greetings name, whatever else stands there: data, one line each.

A line has letters for the protocols (f: FTP, s: SMTP, p: POP3, i: IMAP, n: NNTP, c: IRC, t: Telnet), the
words to look for in small letters with an underscore for a blank or an underscore, and the name. They count
wherever whole words in the greeting are these; where several lines fit at one place, the longest does. Words
that people use for other things, or that are names of hosts, are no good: then more words belong into the
line.
"""

from __future__ import annotations

TABLE = """
s postfix Postfix
s exim Exim
spi dovecot Dovecot
s sendmail Sendmail
s opensmtpd OpenSMTPD
s microsoft_esmtp_mail_service Microsoft Exchange
s microsoft_smtp_mail Microsoft Exchange
pi microsoft_exchange Microsoft Exchange
spi mailenable MailEnable
s mail_enable_smtp MailEnable
spi mdaemon MDaemon
s domino Domino
i domino_imap4_server Domino
i lotus_domino Domino
p lotus_notes_pop3_server Domino
n lotus_domino_nntp Domino
spi groupwise GroupWise
spin kerio_connect Kerio Connect
spi kerio_mailserver Kerio MailServer
spif communigate_pro CommuniGate Pro
spi icewarp IceWarp
s haraka Haraka
s powermta PowerMTA
s ecelerity Momentum
spi smartermail SmarterMail
spi hmailserver hMailServer
spi zimbra Zimbra
s qmail qmail
s python_smtp aiosmtpd
spi argosoft_mail_server ArGoSoft Mail Server
n argosoft_news_server ArGoSoft News Server
spi mailsite MailSite
spi merak Merak
s james Apache James
p james_pop3_server Apache James
i james_imap4rev1_server Apache James
s sonicwall SonicWall
s subethasmtp SubEthaSMTP
spi cyrus_imap Cyrus IMAP
spi cyrus_imap4 Cyrus IMAP
p cyrus_pop3 Cyrus IMAP
pi courier-imap Courier
p courier Courier
spi coremail Coremail
p qpopper Qpopper
p qpop Qpopper
spi axigen Axigen
spi winwebmail WinWebMail
spi webeasymail WebEasyMail
spi winmail_mail_server Winmail
spi extremail eXtremail
spi xeams Xeams
s xmail XMail
pi synametrics Xeams
spi surgemail SurgeMail
spi mailtraq Mailtraq
n mailtraq Mailtraq
spi vpop3 VPOP3
spi dvise DvISE
spi david.fx David.fx
spi visnetic VisNetic MailServer
spi visnetic.mailserver VisNetic MailServer
spi imail IMail
spi slmail SLMail
spi slnet_pop3 SLMail
i slnet_imap SLMail
spi mailmarshal MailMarshal
spi mailmax MailMax
i smartmax_imapmax MailMax
spi webstar_mail WebSTAR Mail
spi webstar WebSTAR
spi 4d_mail 4D Mail
spi atmail Atmail
s scalix Scalix
p scalix_pop3 Scalix
i scalix_imap Scalix
spi zarafa Zarafa
spi kopano Kopano
spi citadel_server Citadel
spi citadel_pop3 Citadel
spi citadel_esmtp Citadel
i citadel_imap Citadel
pi dbmail DBMail
i binc_imap Binc IMAP
pi gnu_mailutils GNU Mailutils
i perdition Perdition
p perdition Perdition
pi imapfront mailfront
s mailfront mailfront
spi magicmail MagicMail
spi ftgate FTGate
spi ftgate4 FTGate
spi ftgate6 FTGate
spif quick_'n_easy Quick 'n Easy
spi desknow DeskNow
spi quickmail_pro QuickMail Pro
p applemailserver AppleMailServer
spi eudora_internet_mail_server Eudora Internet Mail Server
s eims EIMS
spi first_class FirstClass
spi firstclass FirstClass
spi novonyx Novell NetMail
spi netmail_smtp_agent Novell NetMail
s netmail_smtp Novell NetMail
p netmail_pop3 Novell NetMail
i netmail_imap4 Novell NetMail
spi oracle_email_server Oracle Email Server
spi sun_java(tm)_system_messaging_server Sun Java System Messaging Server
spi sun_java_system_messaging_server Sun Java System Messaging Server
spi iplanet_messaging_server iPlanet Messaging Server
spi oracle_communications_messaging Oracle Communications Messaging Server
spi netscape_messaging_server Netscape Messaging Server
spi netscape_mail_server Netscape Mail Server
spi sun_internet_mail_server Sun Internet Mail Server
spi pmdf PMDF
spi post.office Post.Office
s intermail_smtp InterMail
p intermail_pop3 InterMail
i intermail_imap InterMail
spi mirapoint Mirapoint
spi openwave Openwave
spi mercur_smtp MERCUR
spi mercur_pop3 MERCUR
spi mercur_imap MERCUR
spi mercury/32 Mercury/32
s mercury_mail Mercury Mail Transport System
spi jana-server Jana Server
spi internet_rex Internet Rex
spi hotwayd hotwayd
spi popa3d popa3d
p solid_pop3 Solid POP3
p teapop Teapop
p tpop3d tpop3d
p vm-pop3d vm-pop3d
p cppop cppop
p gpop Gmail
i gimap Gmail
s gsmtp Google SMTP
p gnu_pop3 GNU pop3d
p liberopops LiberoPOPs
p freepops FreePOPs
p ypops YPOPs
p mrpostman MrPostman
p html2pop3 HTML2POP3
p popfile POPFile
p spampal SpamPal
i spampal SpamPal
spi avast! avast!
spi avg_pop3_proxy AVG
spi avg_smtp_proxy AVG
spi isafe ISafe
spi pgp_universal PGP Universal
spi interscan InterScan
s trend_micro InterScan
spi imss InterScan Messaging Security Suite
s iwss InterScan Web Security Suite
spi wingate WinGate
spi winproxy WinProxy
spi usergate UserGate
spi kingate kingate
spi ccproxy CCProxy
f ccproxy CCProxy
f usergate UserGate
f winproxy WinProxy
f kingate kingate
f wingate WinGate
t wingate WinGate
spi ken! AVM KEN!
s davmail DavMail
pi davmail DavMail
s smtp4dev smtp4dev
s indy_smtp_server Indy
s qk_smtp_server QK SMTP Server
s burp_collaborator Burp Collaborator
s hurricane_server Hurricane MTA
s bitdefender BitDefender
s totemomail totemomail
s avksmtp G Data AntiVirenKit
s spamfilter_for_isp SpamFilter for ISP
s spamd_ip-based spamd
s email_sentinel eMail Sentinel
s ikarus_mailwall Ikarus MailWall
s smtp-sink smtp-sink
s i2pnet_mailservice I2P
s dumbster Dumbster
s mailhog MailHog
s mailpit Mailpit
s mailcatcher MailCatcher
s inbucket Inbucket
p inbucket Inbucket
s fakesmtp FakeSMTP
s greenmail GreenMail
pi greenmail GreenMail
s maddy Maddy
spi stalwart Stalwart
i maddy Maddy
s chasquid chasquid
s halon_esmtp Halon
s esmtp_halon Halon
s zonemta ZoneMTA
s wildduck WildDuck
pi wildduck WildDuck
s kumomta KumoMTA
s greenarrow GreenArrow
s mailcleaner MailCleaner
s proxmox_mail Proxmox Mail Gateway
s barracuda_spam Barracuda
s barracuda_reputation Barracuda
s barracuda_networks Barracuda
s ironport IronPort
s asyncos IronPort
s fortimail FortiMail
s borderware BorderWare
s brightmail Symantec Brightmail
s symantec_mail_security Symantec Mail Security for SMTP
s symantec_messaging_gateway Symantec Messaging Gateway
s webshield WebShield
s webshield2 WebShield
s ciphermail CipherMail
s puremessage PureMessage
s proofpoint Proofpoint
s mimecast Mimecast
s messagelabs MessageLabs
s postini Postini
s cloudmark Cloudmark
s mxlogic MX Logic
s mxl_mta MX Logic
s spamtitan SpamTitan
s mailfoundry MailFoundry
s edgewave EdgeWave
s alligate Alligate
s gwava GWAVA
s assp ASSP
s assp.nospam ASSP
s esafe eSafe
s mailscanner MailScanner
s amavisd-new amavisd-new
s amavisd amavisd
s mailgate_ready MailGate
s antivir AntiVir MailGate
s f-secure F-Secure
p f-secure F-Secure
s webwasher Webwasher
s clearswift Clearswift
s mimesweeper MIMEsweeper
s meridius Meridius
s mfiltro mfiltro
s cellopoint Cellopoint
s softnext Softnext
s mail2000 Mail2000
s openfind Mail2000
s ewsa McAfee EWSA
s nemesis_esmtp Nemesis
s maillennium Maillennium
s lyris_service Lyris
s lyris_listmanager Lyris ListManager
s lsmtp LSMTP
s mailmasher MailMasher
s litemail LiteMail
s spearmail SpearMail
p spearmail SpearMail
s postcast PostCast
s sharemailpro ShareMailPro
s mandamail Mandamail
s jmailer jMailer
s worldmail WorldMail
s gordano Gordano
s ntmail NTMail
s stalker_internet_mail_server Stalker Internet Mail Server
p stalker_internet_mail_server Stalker Internet Mail Server
s modusmail modusMail
pi modusmail modusMail
s netbox(tm) NetBox
s ibm_as/400 IBM i
s ibm_mvs IBM z/OS
s running_ibm_vm IBM VM
s cisco_networks_esmtp Cisco IOS
s inscitek_ois Allworx
p inscitek_ois Allworx
s callpilot CallPilot
i callpilot CallPilot
s ip_office_voicemail_pro Avaya IP Office Voicemail Pro
s securitygateway SecurityGateway
s hp_service_desk HP Service Desk
s smail Smail
s zmailer ZMailer
s bizsmtp Bizanga
s pop3gwd pop3gwd
s cqgreylist cqgreylist
s vhcs2 VHCS
s ispcp ispCP
s classic_hamster Hamster
p classic_hamster Hamster
n classic_hamster Hamster
n hamster Hamster
s teamxchange TeamXchange
i teamxchange TeamXchange
i softalk Softalk
i dkimap4 DKIMAP4
s turbosendmail IntraStore TurboSendmail
i oracle_beehive Oracle Beehive
i uw_imap UW IMAP
p ucb_based_pop UCB pop
pi rainloop RainLoop
pi yandex Yandex Mail
s (yandex Yandex Mail
f vsftpd vsFTPd
f oops: vsFTPd
f vsftp vsFTPd
f proftpd ProFTPD
f proftp ProFTPD
f proftp-server ProFTPD
f pure-ftpd Pure-FTPd
f pureftpd Pure-FTPd
f filezilla_server FileZilla Server
f ftp_server_filezilla FileZilla Server
f xbox_filezilla XBFileZilla
f microsoft_ftp_service Microsoft FTP Service
f serv-u_ftp Serv-U
f serv-u Serv-U
f pyftpdlib pyftpdlib
f bftpd bftpd
f tnftpd tnftpd
f version_wu- WU-FTPD
f wu-ftpd WU-FTPD
f mikrotik MikroTik
f tornado-vxworks VxWorks
f vxworks VxWorks
f ws_ftp_server WS_FTP Server
f gene6_ftp_server Gene6 FTP Server
f g6_ftp_server Gene6 FTP Server
f titan_ftp_server Titan FTP Server
f cerberus_ftp_server Cerberus FTP Server
f wing_ftp_server Wing FTP Server
f crushftp CrushFTP
f crushftp_server CrushFTP
f surgeftp SurgeFTP
f twisted Twisted
f freeftpd freeFTPd
f ucftpd ucftpd
f xlight_ftp_server Xlight FTP Server
f xlight_server Xlight FTP Server
f bulletproof_ftp_server BulletProof FTP Server
f golden_ftp_server Golden FTP Server
f guildftpd GuildFTPd
f raidenftpd RaidenFTPD
f cesarftp CesarFTP
f slimftpd SlimFTPd
f 3com_3cdaemon 3CDaemon
f 3cdaemon 3CDaemon
f wftpd WFTPD
f war-ftpd War FTP Daemon
f quick_'n_easy_ftp_server Quick 'n Easy FTP Server
f home_ftp_server Home Ftp Server
f typsoft_ftp_server TYPSoft FTP Server
f zftpserver zFTPServer
f core_ftp_server Core FTP Server
f completeftp CompleteFTP
f sami_ftp_server Sami FTP Server
f pcman's_ftp_server PCMan's FTP Server
f freefloat_ftp_server Freefloat FTP Server
f femitter_ftp_server Femitter FTP Server
f netware_ftp_server NetWare FTP Server
f novonyx_ftp_server Novonyx FTP Server
f rumpus Rumpus
f globalscape GlobalSCAPE EFT Server
f globalscape_cuteftp_server GlobalSCAPE CuteFTP Server
f globalscape_secure_ftp_server GlobalSCAPE Secure FTP Server
f ncftpd_server NcFTPd
f ncftpd NcFTPd
f glftpd glFTPd
f drftpd DrFTPD
f lukemftpd lukemftpd
f sunos SunOS ftpd
f hclftpd Hummingbird FTP Server
f hummingbird Hummingbird FTP Server
f ibm_ftp_cs IBM FTP CS
f qtcp_at IBM i FTP Server
f ibm_tcp/ip_for_os/2 IBM TCP/IP for OS/2
f ftpserve_ibm_vm IBM VM FTPSERVE
f tcp/ip_for_vse IBM TCP/IP for VSE
f apache_ftpserver Apache FtpServer
f hp_arpa_ftp_server HP ARPA FTP Server
f nucleus_ftp_server Nucleus FTP Server
f network_management_card_aos APC Network Management Card
f argosoft_ftp_server ArGoSoft FTP Server
f baby_ftp_server Baby FTP Server
f easy_file_sharing_ftp_server Easy File Sharing FTP Server
f dream_ftp_server Dream FTP Server
f solar_ftp_server Solar FTP Server
f homer_ftp_server Homer FTP Server
f personal_ftp_server Personal FTP Server
f personal_ftp_professional_server Personal FTP Server Professional
f pablo's_ftp_server Pablo's FTP Server
f mollensoft_ftp_server Mollensoft FTP Server
f ocean_ftp_server Ocean FTP Server
f conti_ftp_server Conti FTP Server
f sambar_ftp_server Sambar FTP Server
f blackmoon_ftp_server BlackMoon FTP Server
f ability_ftp_server Ability FTP Server
f tcadmin_ftp_server TCAdmin FTP Server
f sonic_ftp_server Sonic FTP Server
f ics_ftp_server ICS FTP Server
f indy_ftp_server Indy FTP Server
f indy_ftp-server Indy FTP Server
f plan_9_ftp_server Plan 9
f treck_ftp_server Treck
f netburner_ftp_server NetBurner
f keil_ftp_service Keil
f fanuc_ftp_server FANUC
f minwin_ftp_server Microsoft Windows IoT
f freebox_ftp_server Freebox
f mabry Mabry FtpServX
f wireftpserver WireFTPServer
f liteserve LiteServe
f bisonftp BisonFTP
f bisonware BisonFTP
f wzd_server wzdftpd
f ftpshell FTPshell Server
f smallftpd smallftpd
f netfile_ftp_server Fastream NETFile
f fastream_netfile Fastream NETFile
f fastream_iq Fastream IQ
f swiftp SwiFTP
f ftpvita FTPVita
f alftp ALFTP
f vicftps VicFTPS
f indiftpd IndiFTPD
f openftpd OpenFTPD
f troll-ftpd Troll-FTPd
f twoftpd twoftpd
f betaftpd BetaFTPD
f muddleftpd muddleftpd
f publicfile publicfile
f roxen_ftp_server Roxen
f internet_rex Internet Rex
f xitami Xitami
f blackjumbodog BlackJumboDog
f crossftp_server CrossFTP
f oracle_xml_db Oracle XML DB
f oracle_internet_file_system Oracle Internet File System
f packetshaper PacketShaper
f wfftp_server WfFTP
f psosystem pSOSystem
f netcache NetCache
f staros StarOS
f exo_platform eXo Platform
f connect:enterprise IBM Connect:Enterprise
f clearpath_mcp Unisys ClearPath MCP
f openvms OpenVMS
f multinet MultiNet
f tcpware TCPware
f tandem_ftp_server HP NonStop
f theos THEOS
f novell_ftp Novell FTP
f nwftpd NWFTPD
f heimdal Heimdal ftpd
f netkit NetKit ftpd
f mod_ftpd mod_ftpd
f mod_ftp Apache mod_ftp
f apache_ftp Apache FTP
f vmware_ftp VMware
f coldfusion_ftp ColdFusion
f sharepoint SharePoint
f syncplify.me Syncplify.me Server
f syncplify Syncplify.me Server
f bitvise Bitvise
f goanywhere GoAnywhere MFT
f moveit MOVEit
f sterling_file_gateway IBM Sterling File Gateway
f jscape JSCAPE
f vshell VShell
f cuteftp CuteFTP
f filecopa FileCOPA FTP Server
f sysax Sysax Multi Server
f kftpd KFTPD
f nofeel_ftp_server Nofeel FTP Server
f knftpd KnFTPD
f acftp ACFTP
f ftp_utility_ftp_server Konica Minolta FTP Utility
f sftpgo SFTPGo
f fileapp FileApp
f multiman multiMAN
f webman webMAN
f dreambox Dreambox
f opendreambox Dreambox
f icatch iCatch
f ipcamera IPCamera
f netscan_tool Sharp NetScan Tool
f loxone Loxone
f comtrend Comtrend
f riedel_artist Riedel Artist
f eltek_power_system Eltek Power System
f tenor_multipath_switch Tenor Multipath Switch
f hynetos HyNetOS
f openrg OpenRG
f adam2_ftp_server ADAM2
f rt-ip_ftp_server RT-IP
f powerlogic PowerLogic
f netterm NetTerm
f audiovault AudioVAULT
f national_instruments_ftp National Instruments
f freeflow_accxes Xerox FreeFlow Accxes
f easycoder Intermec EasyCoder
f pocketpro TROY PocketPro
f netportexpress Intel NetportExpress
f jetdirect HP JetDirect
f pizzaswitch Xylan PizzaSwitch
f topfield Topfield
f tvix TViX
f marknet Lexmark MarkNet
f homeworks_processor Lutron HomeWorks
f sidewinder Sidewinder
f frox Frox
f jftpgw jftpgw
f zscaler Zscaler
f bluecoat Blue Coat
f squid_ftp Squid
f ftp-proxy_suite SuSE FTP Proxy Suite
f gauntlet_ftp Gauntlet
f raptor_firewall Raptor Firewall
f in-sight_(r) Cognex In-Sight
f qnudvcpu Mitsubishi Q Series
f iq-r_ftp_server Mitsubishi iQ-R
f nport MOXA NPort
f allen-bradley Allen-Bradley
f controllogix ControlLogix
f micrologix MicroLogix
n innd INN
n internetnews INN
n leafnode Leafnode
n cyrus_nntp Cyrus NNTP
n dnews DNEWS
n nntpcache NNTPCache
n diablo_nntp Diablo
n (diablo Diablo
n typhoon_v Typhoon
n colobus Colobus
n jana_news_server Jana Server
n nntp//rss nntp//rss
n netware-news-server NetWare News Server
n sn_version sn
n noffle NOFFLE
n newsagent NewsAgent
c bitlbee-ircd BitlBee
c bitlbee BitlBee
c minbif-ircd Minbif
c unrealircd UnrealIRCd
c inspircd InspIRCd
c ngircd ngIRCd
c charybdis charybdis
c solanum Solanum
c ircd-hybrid ircd-hybrid
c ircd-ratbox ircd-ratbox
c bahamut Bahamut
c snircd snircd
c psybnc psyBNC
c shroudbnc shroudBNC
c znc ZNC
c znc.in ZNC
c status@znc.in ZNC
c dircproxy dircproxy
c conferenceroom ConferenceRoom
c ezbounce ezbounce
c quassel Quassel
c ergo Ergo
c oragono Oragono
c euircd euIRCd
c ptlink PTlink
c irc2000 IRC2000
c wircsrv WircSrv
t cisco_ios Cisco IOS
t cisco_controller Cisco Wireless LAN Controller
t dreambox Dreambox
t opendreambox Dreambox
t openwrt OpenWrt
t dd-wrt DD-WRT
t synchronet_bbs Synchronet BBS
t mystic_bbs Mystic BBS
t wildcat! Wildcat!
t circlemud CircleMUD
t routeros MikroTik RouterOS
t speedtouch SpeedTouch
t fabric_os Brocade Fabric OS
t pix_firewall Cisco PIX
t quidway Huawei Quidway
t comware Comware
t h3c H3C
t zxr10 ZXR10
t bigip BIG-IP
t big-ip BIG-IP
t netscreen NetScreen
t junos Junos
t freesco Freesco
t fortigate FortiGate
t checkpoint Check Point
t check_point_firewall-1 Check Point FireWall-1
t firewall-1 Check Point FireWall-1
t raptor_firewall Raptor Firewall
t enterasys Enterasys
t baystack BayStack
t bay_networks Bay Networks
t conexant_systems Conexant
t globespanvirata GlobespanVirata
t georgia_softworks Georgia SoftWorks Telnet Server
t goodtech GoodTech Telnet Server
t kpym KpyM Telnet Server
t pragma Pragma TelnetServer
t slnet SLnet
t whatroute WhatRoute
t videolan VideoLAN
t genetec Genetec
t firstclass FirstClass
t jbase jBASE
t datastage DataStage
t tivo TiVo
t roku Roku
t soundbridge Roku SoundBridge
t felix_remote_shell Apache Felix
t karaf Apache Karaf
t beanshell BeanShell
t ushare uShare
t slush slush
t activefax ActiveFax
t vlc_media_player VLC media player
t mldonkey MLDonkey
t vtrak Promise VTrak
t projectorview_server Mitsubishi ProjectorView
t worldgroup Worldgroup
t qconn QNX qconn
t gatekeeper(gnu) GNU Gatekeeper
t ataman_tcp Ataman TCP Remote Logon Services
t adabas_d Adabas D
t cimc_debug Cisco Integrated Management Controller
t multipath_switch Tenor Multipath Switch
t ingenic_linux Ingenic Linux
t zem500 ZKSoftware ZEM500
t server_management_network_terminal IBM Integrated Management Module
t eggdrop Eggdrop
t jana-server Jana Server
t openvpn_management OpenVPN
t nut/os_telnet Nut/OS
t windows_ce_telnet Windows CE
t smplayer SMPlayer
t foobar2000 foobar2000
t yersinia yersinia
t slirp Slirp
t deltav DeltaV
t netio Koukaam NETIO
t innbox Innbox
t idrac iDRAC
t integrated_lights-out iLO
t bladesystem HP BladeSystem
t onboard_administrator HP Onboard Administrator
t integrated_management_module IBM Integrated Management Module
t alom ALOM
t viewstation Polycom ViewStation
t tandberg Tandberg
t lifesize LifeSize
t mp-202 AudioCodes
t audiocodes AudioCodes
t smartnode Patton SmartNode
t vigor DrayTek Vigor
t truetime TrueTime
t symmetricom Symmetricom
t meinberg Meinberg
t netprobe NetProbe
t webctrl WebCTRL
t netdvrdvs DVR
t network_power_switch WTI Network Power Switch
t jetdirect HP JetDirect
t pagepro Minolta PagePro
t nut/os Nut/OS
t ethernut Nut/OS
t threadx ThreadX
t vxworks VxWorks
t rtems RTEMS
t ose_shell OSE
t lantronix Lantronix
t xptexe Lantronix XPort
t moxa Moxa
t digi_international Digi
t cyclades Cyclades
t opengear Opengear
t raritan Raritan
t avocent Avocent
t blackbox Black Box
t extron_electronics Extron
t crestron Crestron
t amx AMX
t enlogic Enlogic
t netbotz APC NetBotz
t american_power_conversion APC
f abb_robotics ABB Robotics
f netpresenz NetPresenz
f (osf/1 OSF/1
f qtopia Qtopia
f hellsoft HellSoft FTP Server for NetWare
f (netware NetWare
f (bsdi BSD/OS
f (ultrix Ultrix
f shareit_ftp ShareIt
f datahive DataHive FTP Server
f avalaunch Avalaunch
f unleashx UnleashX
f dvd2xbox dvd2xbox
f evolutionx EvolutionX
f wineggdrop WinEggDrop
f net+arm_ftp_server NET+ARM
f net+os NET+OS
f global_site_selector Cisco Global Site Selector
f ipswitch_notification Ipswitch Notification Server
f scala_ftp Scala
f edvr_ftp WebGate eDVR
f microtest_supercd Axonix SuperCD
f 4dftp 4D WebSTAR
f ibm_nps IBM Network Print Server
f ibm_ftp IBM FTP
f ws2000_ftpd Motorola WS2000
f star_ifbd-he Star Micronics IFBD-HE
f witelcom Witelcom
f libra_ftp_daemon Libra FTP Daemon
f barracudabackupftpd Barracuda Backup
f astra-super Ishida Astra
f iosftp_server iosFtp
f praim_srl Praim
f harris_bcd Harris FlexStar
f owftpd OWFS
f inspired_signage AMX Inspired Signage
f xporter Groupcall Xporter
f adtec Adtec
f humax Humax
f opto_22 Opto 22
f (gatling gatling
f webshield2 WebShield
f proxy602 Proxy602
f java_ftp_proxy Java FTP Proxy
f coolproxy CoolProxy
f surfingate Finjan SurfinGate
f ezproxy ezProxy
f spoonproxy SpoonProxy
f ken!_dsl AVM KEN!
f ken!_ftp-gateway AVM KEN!
f mcafee_web_gateway McAfee Web Gateway
f vermillion_ftp Vermillion FTP Daemon
f synchronet_ftp_server Synchronet BBS
f /delegate DeleGate
f ability_server Ability Server
f vftpd Virtual FTP Daemon
f rebex_tiny Rebex Tiny SFTP Server
f network_hdd_ftp Argosy Network HDD
f net_disk_ftp NetDisk
f cab_mach4 CAB Mach 4
f cab_a4+ CAB A4+
f simpleftpd SimpleFTPd
f uftpd uftpd
f stupid-ftpd Stupid-FTPd
f ftpdmin Ftpdmin
f turboftp_server TurboFTP Server
f robo-ftp_server Robo-FTP Server
f cerberusftp Cerberus FTP Server
f globus_ftp Globus GridFTP Server
f gridftp_server Globus GridFTP Server
f dcache_ftp_door dCache
f ftpz z/OS FTPZ
ft data_ontap NetApp Data ONTAP
f ftpd-ssl ftpd-ssl
f oftpd oftpd
f pyftpd pyftpd
f ws_ftp WS_FTP Server
f maxum_rumpus Rumpus
s avmailgate Avira MailGate
s applemailserver AppleMailServer
s gmx_mailservices GMX
s compuserve_office_mail CompuServe Office Mail Service
s mail_essentials GFI MailEssentials
s gfi_mailessentials GFI MailEssentials
spi workgroupmail WorkgroupMail
spi gomail GoMail
s miralix Miralix
s surgesmtp SurgeMail
spi http://surgemail.com SurgeMail
s raidenmaild RaidenMAILD
s synchronet_smtp_server Synchronet BBS
p synchronet_pop3_server Synchronet BBS
n synchronet_nntp Synchronet BBS
s bejy BEJY
s m+_extreme_email_engine M+ Extreme Email Engine
s supportworks Hornbill Supportworks
s safeq YSoft SafeQ
s demonmail DemonMail
s smtp/delegate DeleGate
n nntp/delegate DeleGate
s yahoopops! YahooPOPs!
s tumbleweed_mms Tumbleweed
s avg_esmtp_proxy AVG
s traffic_inspector Traffic Inspector
s expurgate eXpurgate
s nospamtoday! NoSpamToday!
s nospamproxy NoSpamProxy
s spamfilterisp SpamFilter ISP
s to_smtpf Barricade MX
s net_at_work_mail_gateway Net at Work Mail Gateway
s e-mailrelay E-MailRelay
s mailstore_smtp MailStore
s angelmatophylax AngelmatoPhylax
s uniflow uniFLOW
s mailshield MailShield
s rblsmtpd.local rblsmtpd
s epiphany_cme Epiphany CME
s mercur_smtp-server MERCUR
p mercur_pop3-server MERCUR
i mercur_imap4-server MERCUR
spi ability_mail_server Ability Mail Server
p execmail Execmail
p worldmail WorldMail
pi samsung_contact Samsung Contact
p minipop minipop
p mdpop3 mdpop3
ps internet_anywhere_mail_server Internet Anywhere Mail Server
pi xmail XMail
p altipop3 AltiGen AltiServ
p sco_pop3 SCO pop3d
p server_pmdf PMDF
i panda_imap Panda IMAP
i imap4rev1_citadel Citadel
pi running_eims Eudora Internet Mail Server
n (typhoon Typhoon
n wendzelnntpd WendzelNNTPd
n wendzelnntpd-ose WendzelNNTPd
n nntpcache.access NNTPCache
s sophos_email_appliance Sophos Email Appliance
s cisco_email_security Cisco Email Security
s forcepoint Forcepoint Email Security
s trustwave_seg Trustwave SEG
s vamsoft_orf ORF Fusion
s hornetsecurity Hornetsecurity
s spamexperts SpamExperts
s mailinabox Mail-in-a-Box
s apache_james Apache James
s aiosmtpd aiosmtpd
s nodemailer Nodemailer
s go-smtp go-smtp
s gosmtp go-smtp
s wodsmtpserver wodSmtpServer
s nullmailer nullmailer
s papercut Papercut SMTP
s mercury_32 Mercury/32
t netportexpress Intel NetportExpress
t frontdoor FrontDoor
t wince/wbt NCD Thinster
t xylan Xylan
t netblazer Telebit NetBlazer
t remotelyanywhere RemotelyAnywhere
t microlink_cable ELSA MicroLink Cable
t portmaster Livingston PortMaster
t officeconnect 3Com OfficeConnect
t webramp WebRamp
t rapture_runtime_environment Rapture
t stonegate_firewall StoneGate
t hamster_remote_control Hamster
t drac/mc Dell DRAC/MC
t hipath Siemens HiPath
t pdp-10_simulator PDP-10 simulator
t zem200 ZKSoftware ZEM200
t versaxpress VersaXpress
t tempager Avtech TemPageR
t total_control USRobotics Total Control
t access_runner Conexant AccessRunner
t ccproxy CCProxy
t business_policy_switch Nortel Business Policy Switch
t nortel_networks Nortel
t dreamelite DreamElite
t areca_technology Areca
t mythfrontend MythTV
t zebranet Zebra ZebraNet
t sysrqd sysrqd
t volktek Volktek
t trapeze_networks Trapeze
t dynamips Dynamips
t easyraid easyRAID
t ambit_cable Ambit
t copperjet Allied Data CopperJet
t vyatta Vyatta
t iskraemeco Iskraemeco
t openpli OpenPLi
t netcool/impact IBM Netcool/Impact
t i.lon Echelon i.LON
t star_micronics Star Micronics
t embedded_data_systems Embedded Data Systems
t benzing Kaba Benzing
t telnetwatchermodule Nuance
t netdsl ARESCOM NetDSL
t arescom ARESCOM
t packetfront PacketFront
t qualityview QualityView
t huacam Huacam
t nexia_home Nexia
t precise/rtcs Precise RTCS
t psna Emerson PSNA
t mega_system_technologies MegaTec NetAgent
t dptech DPtech
t ledcard XIXUN LedCard
t fastpath_switching Broadcom FASTPATH
t wanflex WANFleX
t pennmush PennMUSH
t tinymush TinyMUSH
t tinymux TinyMUX
t aquacontroller Neptune AquaController
t blackboard_at83 Blackboard AT83
t variodyn Esser Variodyn
t reactos ReactOS
t monarchnet2 MonarchNet2
t ledi_network LEDI Network
t poweralert Tripp Lite PowerAlert
t cyros Cyclades CyROS
t netque Emulex NetQue
t passaport RADLINX PASSaPORT
t devicemaster Comtrol DeviceMaster
t netiron Brocade NetIron
t sicunet Sicunet
t unidata UniData
t ultrix-32 Ultrix
t olicom Olicom
t c_a_n_o_p_y Motorola Canopy
t pix_passwd Cisco PIX
t hummingbird Hummingbird Telnetd
t apc_network_management APC Network Management Card
t network_management_card_aos APC Network Management Card
t schneider_electric Schneider Electric
t riverstone_networks Riverstone
t connectups ConnectUPS
t extreme_networks Extreme Networks
t vina_technologies Vina Technologies
t huawei_technologies Huawei
t redline_communications Redline
t gigalink Gigalink
t net_to_net Net to Net
t pointred PointRed
t carrier_access Carrier Access
t fore_systems FORE Systems
t vertical_horizon Enterasys Vertical Horizon
t accelar Bay Networks Accelar
t symbol_access_point Symbol
t sigma_spectrum SIGMA Spectrum
t sap_j2ee SAP NetWeaver Application Server Java
t sap_java_ee SAP NetWeaver Application Server Java
t suse_linux SuSE Linux
t miineport Atop MiiNePort
t rugged_operating_system RuggedCom ROS
t edgeos Ubiquiti EdgeOS
t vyos VyOS
t sonic_switch SONiC
t cumulus_linux Cumulus Linux
t brocade_fastiron Brocade FastIron
t ironware Brocade IronWare
t procurve HP ProCurve
t tippingpoint TippingPoint
t netapp_release NetApp
t f5_networks F5
t coyote_point Coyote Point
t kemp_loadmaster Kemp LoadMaster
t smartedge Ericsson SmartEdge
t redback Redback
t airos Ubiquiti airOS
t aruba_networks Aruba
t arubaos ArubaOS
t ruckus_wireless Ruckus
t meru_networks Meru
t cambium_networks Cambium
t radwin RADWIN
t ceragon Ceragon
t alvarion Alvarion
t infinet InfiNet
t mushroom_networks Mushroom Networks
t vxtarget VxWorks
t nucleus_rtos Nucleus
t ecos_console eCos
t zephyr_shell Zephyr
ft rtos-uh RTOS-UH
s quarkmail QuarkMail
t aerohive Aerohive
t orinoco-ap ORiNOCO AP
s xmail_esmtp_qq_mail_server QQ Mail
s mx_qq_mail_server QQ Mail
f qnx_ftp_server QNX
f epson_ftp_server Epson
f apc_smart-ups APC Smart-UPS
f adc_inos ADC iNOS
f oce_ftp_server Oce
f nas4free NAS4Free
f wincc_flexible WinCC flexible
t apc_ups_network_management_card APC UPS Network Management Card
t f601 ZTE F601
t f609 ZTE F609
t f660 ZTE F660
t f668 ZTE F668
t f670l ZTE F670L
"""
