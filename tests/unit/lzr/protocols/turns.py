"""Replies that turn conditions of matchers which neither examples nor rejects turn: one field each is beyond
its bounds, a length is at its end, a message is a full segment of a longer one.

`python -m benchmarks.branches --mutate` counts what is left.
"""

from __future__ import annotations

import struct

from lzr.protocols import BY_NAME

H = bytes.fromhex


def _example(name: str, number: int = 0) -> bytes:
    return BY_NAME[name].examples[number]


def _mysql_error(message: bytes, sequence: int = 0) -> bytes:
    body = b"\xff\x10\x04#08004" + message
    return len(body).to_bytes(3, "little") + bytes((sequence,)) + body


def _mysql_hello(size: int, left: int) -> bytes:
    return size.to_bytes(3, "little") + b"\0\x0a8.0.30\0" + b"x" * left


def _changed(name: str, at: int, put: bytes, number: int = 0) -> bytes:
    data = _example(name, number)
    return data[:at] + put + data[at + len(put) :]


LONG = b"x" * 600

NOT: tuple[tuple[str, bytes], ...] = (
    ("mysql", _mysql_error(b"abc")),
    ("mysql", _mysql_error(b"Host is not allowed", 4)),
    ("mysql", _mysql_error(b"\1\2\3\4\5")),
    ("mysql", _mysql_error(b"Host is not allowed") + b"x"),
    ("mysql", _mysql_hello(600, 600)),
    ("mysql", _mysql_hello(512, 40)),
    ("oracle", H("0014 0000 02 00 0000 0139 0000") + bytes(8)),
    ("oracle", H("0018 0000 02 00 0000 012b 0000") + bytes(12)),
    ("oracle", H("0018 0000 02 00 0000 014b 0000") + bytes(12)),
    ("managesieve", b'BYE "Too many connections"'),
    ("managesieve", b'BYE ""\r\n'),
    ("managesieve", b'BYE "Too "many" connections"\r\n'),
    ("managesieve", b'BYE "Too\1many"\r\n'),
    ("dict", b"220 a> <b c <1@h>\r\n"),
    ("smpp", H("00000020 80000015 00000000 4c5a5231")),
    ("ldap", H("300c 0205 0102030405 61030a0100")),
    ("ldap", H("3007 0204 01020304 61")),
    ("dcerpc", H("05000c0310000000")),
    ("dcerpc", _changed("dcerpc", 1, b"\2")),
    ("dcerpc", _changed("dcerpc", 4, b"\x12")),
    ("dcerpc", _changed("dcerpc", 5, b"\4")),
    ("giop", _changed("giop", 5, b"\4")),
    ("giop", _changed("giop", 6, b"\4")),
    ("giop", b"GIOP\1\0\0\1"),
    ("bitcoin", _changed("bitcoin", 20, b"\0\0\0\0")),
    ("amqp", H("01 0001 00000010 000a000a 00 00")),
    ("amqp", H("01 0000 00030000 000a000a 00 00")),
    ("amqp", H("01 0000 00000004")),
    ("zabbix", b"ZBXD\1\0\0\0\0\0\0\0\0"),
    ("dns", H("000c 0000 8180 0000 0000 0000 0000") + b"x" * 1100),
    ("dns", H("000c 0000 8180 0000 0000")),
    ("ipmi", H("0600ff06000011be")),
    ("ipmi", H("0601ff06000011be40000000")),
    ("mikrotik-api", b"\x06!fatal"),
    ("synphasor", H("aa11 0008 0001 5975 8933 0f04 611f 5105")),
    ("synphasor", H("aa13 0010 0001 5975 8933 0f04 611f 5105")),
    ("synphasor", H("aa41 0010 0001 5975 8933 0f04 611f 5105")),
    ("synphasor", H("aa11 0030 0001 5975 8933 0f04 611f 5105")),
    ("c1222", H("6009 a203060155 a4020455")),
    ("c1222", H("600a be08 2801 0102030405 06")),
    ("c1222", b"\x60\x82\x04\x00" + b"\xa2\x82\x02\x50" + b"x" * 592),
    ("hart-ip", H("0103 0000 0001 0008")),
    ("hart-ip", H("0101 0500 0001 0008")),
    ("hart-ip", H("0101 00")),
    ("codesys", _changed("codesys", 64, bytes(32))),
    ("codesys", _changed("codesys", 128, bytes(12))),
    ("stomp", b"CONNECTED\n:x\n\n"),
    ("stomp", b"CONNECTED\nver sion:1.2\n\n"),
    ("stomp", b"CONNECTED\nver\1sion:1.2\n\n"),
    ("stomp", b"CONNECTED\nversion\n\n"),
    ("kafka", struct.pack(">iihi", 10 + 1200, 1, 0, 200) + bytes(1200)),
    ("kafka", struct.pack(">iihi", 16, 1, 7, 1) + bytes(6)),
    ("kafka", struct.pack(">iihi", 11, 1, 0, 1) + b"\0"),
    ("kafka", struct.pack(">iihi", 22, 1, 0, 1) + bytes(12)),
    ("pulsar", H("00000006 00000002 0803")),
    ("pulsar", H("00000009 00000004 08031a01 0c")),
    ("pulsar", H("00000010 0000000c 08031a01 0c")),
    ("pulsar", H("00000008 00000004 0a031a02")),
    ("nsq", b"\0\0\0\x0a\0\0\0\1E_\1\2xx"),
    ("nsq", b"\0\0\0\x0a\0\0\0\1ERRORS"),
    ("rabbitmq-stream", H("00000008 8011 0001 0000 0001")),
    ("rabbitmq-stream", H("0000000c 8011 0002 00000001 0001 0000")),
    ("rabbitmq-stream", H("0000000c 8011 0001 00000001 0041 0000")),
    ("beep", b"RPY 1 0 . 0 5\r\nhello"),
    ("beep", b"RPY 0 1 . 0 5\r\nhello"),
    ("beep", b"RPY 0 0 . 1 5\r\nhello"),
    ("jboss-remoting", struct.pack(">I", 600) + bytes(600)),
    ("jboss-remoting", H("00000005 00 00026162 00")),
    ("ssh", b"SSH-2.0-\r\n"),
    ("ssh", b"SSH-2.0-LZR\r\n"),
    ("telnet", b"login: " + b" " * 4100),
    ("telnet", b"220 login: "),
    ("telnet", b"x" * 2100 + b"login: \xff\xfd\x18"),
    ("telnet", b"lo\1gin: \xff\xfd\x18"),
    ("telnet", b"login: \xff\xfe\x18"),
    ("gdbserver", b"+$OK"),
    ("gdbserver", b"+$qSupported#37"),
    ("gdbserver", b"+$" + b"x" * 4001 + b"#%02x" % (0x78 * 4001 & 255)),
    ("iscsi", H("3f40 01") + bytes(45)),
    ("iscsi", H("3f80 00") + bytes(45)),
    ("iscsi", H("2330 0000") + bytes(44)),
    ("iscsi", H("2380 0100") + bytes(44)),
    ("iscsi", H("2380 0000") + bytes(32) + b"\4" + bytes(11)),
    ("iscsi", H("2380 0000") + bytes(33) + b"\x0c" + bytes(10)),
    ("afp", H("0102 0001 00000000 00000004 00000000") + b"xxxx"),
    ("afp", H("0103 0001 00000000 00000000 00000000")),
    ("afp", H("0103 0001 00001000 00000004 00000000") + b"xxxx"),
    ("afp", H("0103 0001 fffff100 00000004 00000000") + b"xxxx"),
    ("afp", H("0103 0001 00000000 00000040 00000000") + b"xxxx"),
    ("mysqlx", H("0d000000 01 0802 22054859303030") + b"xxxx"),
    ("mysqlx", H("0d000000 01 0901 22054859303030") + b"xxxx"),
    ("mysqlx", H("0d000000 01 0801 22044859303030") + b"xxxx"),
    ("cassandra", H("84 20 0001 06 00000000")),
    ("cassandra", H("84 00 0001 06 00000040")),
    ("couchbase", H("811f 0000 0000 0000 00000006 00000000 0000000000000000 0001")),
    ("drda", H("0008 d002 0001 0002")),
    ("drda", H("0030 d002 0001 000d 1443")),
    ("drda", H("0013 d002 0001 0003 1443 00 00 00 00 00 00 00 00 00")),
    ("tarantool", b"Tarantool 2.6.0 (Binary)".ljust(63) + b"\n"),
    ("tarantool", b"Tarantool 2.6.0 (Binary)".ljust(128)),
    ("tarantool", b"Tarantool 2.6.0 (Bin\1ry)".ljust(63) + b"\n" + b"x".ljust(63) + b"\n"),
    ("diameter", H("01000016 00000101 00000000") + bytes(10)),
    ("diameter", H("01000010 00000101 00000000") + bytes(4)),
    ("diameter", H("01000014 80000101 00000000") + bytes(8)),
    ("diameter", H("01000014 00000101 00000001") + bytes(8)),
    ("socks", H("005a 0000 0000 00")),
    ("socks", H("015a 0000 00000000")),
    ("socks", H("005e 0000 00000000")),
    ("http2", H("000000 04 01 00000001")),
    ("http2", H("000260 04 00 00000000") + b"\0\x10\0\0\0\0" * 101 + b"xx"),
    ("http2", H("00025e 04 00 00000000") + b"\0\x10\0\0\0\0" * 101),
    ("http2", H("00000c 04 00 00000000 001000000000")),
    ("gopher", b"iOne\tfa ke\texample com\t70\r\n.\r\n"),
    ("gopher", b"iOne\tfake\texample.com\tx7\r\n.\r\n"),
    ("gopher", b"iOne\tfake\texample.com\t700000\r\n.\r\n"),
    ("gopher", b"3'/' is not here\r\nnor there\r\n.\r\n"),
    ("smb", b"\0\0\0\x20\xffSMBr"),
    ("smb", _changed("smb", 0, b"\1")),
    ("smb", _changed("smb", 1, b"\x03")),
    ("smb", b"\0\0\0\x40\xfeSMB\x40\0" + bytes(58)),
    ("smtp", b"220 12:30 1\r\n"),
    ("ftp", b"220 1 2 3\r\n"),
    ("ftp", b"220 192.0.2.1 ESMTP ready\r\n"),
    ("ftp", b"220 host.example.com ESMTP and ftp service ready\r\n"),
    ("ftp", b"502 nothing of the kind\r\n"),
    ("ftp", b"220 1.2.3 smtp\r\n"),
    ("smpp", H("00000010 80000003 00000000 4c5a5231")),
    ("ldap", H("3007 028104 01020304")),
    ("giop", b"GIOP\2\0\0\1\0\0\0\0"),
    ("zabbix", b"ZBXD\2\1\0\0\0\0\0\0\0x"),
    ("zabbix", b"ZBXD\x09\1\0\0\0\0\0\0\0x"),
    ("mikrotik-api", b"\x80!fatal\0"),
    ("synphasor", H("aa10 0010 0001 5975 8933 0f04 611f 5105")),
    ("mysqlx", H("0d000000 02 0801 22054859303030") + b"xxxx"),
    ("couchbase", H("811f 0000 0000 0000 00000003 00000000 0000000000000000 000100")),
    ("drda", H("0013 d005 0001 000d 1443 0009 115e 8593a999a2")),
    ("tarantool", b"Tarantool 2.6.0 (Binary)".ljust(63) + b"\n" + b"x" * 64),
    ("socks", H("0010 0000 00000000")),
    ("gopher", b"iOne\tfake\texample.com\t\r\n.\r\n"),
)
"""Each a look-alike that its matcher refuses."""

YES: tuple[tuple[str, bytes], ...] = (
    ("smtp", b"220 \r\n"),
    ("smtp", b"220 [192.0.2.1] ready\r\n"),
    ("smtp", b"220 localhost ready\r\n"),
    ("smtp", b"220 192.0.2.1 ready\r\n"),
    ("ftp", b"220 host.example.com FTP server (SMTP too) ready\r\n"),
    ("ftp", b"502 Command not implemented.\r\n"),
    ("drda", H("0400 d002 0001 000d 1443") + LONG),
    ("kafka", struct.pack(">iihi", 10 + 60, 1, 35, 10) + b"\0\3\0\0\0\4" * 10),
    ("diameter", H("01000400 00000101 00000000") + bytes(8) + H("00000108 400000ff") + LONG),
    ("bitcoin", H("f9beb4d9") + b"version\0\0\0\0\0" + H("00040000 00000000") + LONG),
    ("iscsi", H("2380 0000 00000400") + bytes(40) + LONG),
    ("afp", H("0103 0001 ffffec10 00000000 00000000")),
    ("tarantool", b"Tarantool 2.6.0 (Binary)".ljust(63) + b"\n" + b"x".ljust(63) + b"\n"),
    ("socks", H("005a 0000 00000000")),
    ("gopher", b"3'/' is not here\r\n.\r\n"),
    ("synphasor", H("aa31 0400 0001 59c11f48 0f04e8ac 000f4240 0001") + LONG),
    ("c1222", H("600c a203060155 be05 2801010203")),
)
"""Each a reply that its matcher takes."""
