"""Options on the results: where they go, in which form, and which of them."""

from __future__ import annotations

from lzr.options.groups.headings import FILTERING, OUTPUT
from lzr.options.groups.option import CONTENT, FIXED, FREE, OWN, option
from lzr.options.groups.sending import SendingOptions
from lzr.options.kinds import kind, texts


class ResultOptions(SendingOptions):
    """What becomes of the results."""

    # Output
    output_file: str | None = option(
        OUTPUT,
        texts.path(),
        "write the results to FILE, after those that it holds; - is stdout",
        default=None,
        on_resume=FIXED,
        reference="f",
        short="o",
        default_text="default_YYYYMMDDHHMMSS.json",
        common=True,
        was="default_YYYYMMDDHHMMSS.json",
        aliases=(
            "output",
            "output-filename",
        ),
        example='"found.json"',
    )
    overwrite: bool = option(
        OUTPUT,
        kind.SWITCH,
        "empty a result file that exists instead of appending to it, once nothing can go wrong any more",
        default=False,
        on_resume=OWN,
    )
    output_module: str = option(
        OUTPUT,
        kind.choice("json", "csv", "zgrab"),
        "format of the results",
        default="json",
        on_resume=FIXED,
        short="O",
    )
    output_fields: tuple[str, ...] | None = option(
        OUTPUT,
        texts.NAMES,
        "fields of a record, in this order; * is all; --list-output-fields names them",
        default=None,
        on_resume=FIXED,
        default_text="the reference's, and ours where known",
        example='["saddr", "sport", "fingerprint"]',
    )
    enrich: bool = option(
        OUTPUT,
        kind.SWITCH,
        "look replies up among the 2,860 fingerprints of Recog too: fields cpe, device, hardware, os and "
        "subject, and more products and versions",
        default=False,
        on_resume=FIXED,
    )
    feed_zgrab: bool = option(
        OUTPUT,
        kind.SWITCH,
        "print ip,,fingerprint,port for each result on stdout as it comes, for zgrab2 multiple",
        default=False,
        on_resume=FIXED,
        reference="feedZGrab",
        common=True,
        was="false",
    )
    notes: str = option(OUTPUT, texts.TEXT, "a remark to keep in the metadata", default="", on_resume=FREE)
    metadata_file: str | None = option(
        OUTPUT,
        texts.path(),
        "write options, counts, times and versions to FILE as JSON at the end; - is stdout",
        default=None,
        on_resume=OWN,
        short="m",
        example='"scan.meta.json"',
    )

    # Filtering
    only_data_record: bool = option(
        FILTERING,
        kind.SWITCH,
        "record only services that sent data; the rest is only counted",
        default=False,
        on_resume=FIXED,
        reference="onlyDataRecord",
        was="false",
    )
    output_filter: str | None = option(
        FILTERING,
        texts.FILTER,
        "record only what EXPR holds for, as in 'fingerprint = http && ttl > 60'",
        default=None,
        on_resume=FIXED,
        example="'fingerprint = http && ttl > 60'",
    )
    zgrab_only_known: bool = option(
        FILTERING,
        kind.SWITCH,
        "leave services without a fingerprint out of the feed for ZGrab2",
        default=False,
        on_resume=FIXED,
    )
    blocklist_file: tuple[str, ...] = option(
        FILTERING,
        texts.LISTS,
        "send nothing to the networks in FILE (ZMap's format; ranges and names too); several add up",
        default=(),
        on_resume=CONTENT,
        short="b",
        aliases=("blacklist-file", "excludefile", "exclude-file"),
        common=True,
        example='["/etc/zmap/blocklist.conf", "ours.conf"]',
    )
    allowlist_file: tuple[str, ...] = option(
        FILTERING,
        texts.LISTS,
        "send only to the networks in FILE; several add up",
        default=(),
        on_resume=CONTENT,
        aliases=("whitelist-file",),
        example='["allowed.conf"]',
    )
    allow_printers: bool = option(
        FILTERING,
        kind.SWITCH,
        "also scan ports 9100 to 9107, where printers print what they are sent",
        default=False,
        on_resume=FIXED,
        why="The reference prints on them; ours leaves them out unless asked.",
    )
