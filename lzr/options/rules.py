"""The rules that bind options to each other: what one implies for another, and what cannot go together."""

from __future__ import annotations

from lzr.errors import UsageError
from lzr.options.table import Options
from lzr.targets import zmapfields

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def apply(values: dict[str, Any]) -> Options:
    """Options of what was given (attribute → value), the rules between options applied. Raises UsageError."""
    options = Options(**values)
    changes: dict[str, object] = {}
    if options.dryrun:
        changes["send_syns"] = True
    if options.force_all_handshakes:
        changes["haf"] = 0
    if options.input_file == "-":
        changes["input_file"] = None
    for attr in ("output_file", "metadata_file"):
        if getattr(options, attr) in _STDOUT:
            changes[attr] = "-"
    if options.resume and options.checkpoint in (options.resume, None):
        changes["checkpoint"] = options.resume
    options = options.replace(**changes) if changes else options
    for wrong, sentence in (
        (
            _names_fields(options.output_file),
            f"-f {options.output_file}: -f is the file that results go to; fields are chosen with "
            f"--output-fields {options.output_file} (a file of that name is -f ./{options.output_file})",
        ),
        (options.shard >= options.shards, f"--shard {options.shard}: shards count from 0 to --shards less 1"),
        (
            options.log_file is not None and options.log_directory is not None,
            "give --log-file or --log-directory, not both",
        ),
        (
            options.feed_zgrab and options.output_file == "-",
            "-feedZGrab writes to stdout, so the results need a file: -f FILE",
        ),
        (
            options.metadata_file == "-" and (options.output_file == "-" or options.feed_zgrab),
            "--metadata-file - and the results cannot both go to stdout",
        ),
        (
            options.zgrab_only_known and not options.feed_zgrab and options.output_module != "zgrab",
            "--zgrab-only-known needs -feedZGrab or --output-module zgrab",
        ),
        (
            options.output_fields is not None and options.output_module == "zgrab",
            "--output-fields: the zgrab output module has fields of its own",
        ),
        (
            options.resume is not None and options.checkpoint != options.resume,
            "--resume goes on in its own directory; leave --checkpoint out",
        ),
        (
            options.overwrite and options.resume is not None,
            "--resume goes on in the file it has begun; leave --overwrite out",
        ),
        (
            options.resume_changed and options.resume is None,
            "--resume-changed needs --resume DIR",
        ),
        (options.reopen and options.resume is None, "--reopen needs --resume DIR"),
    ):
        if wrong:
            raise UsageError(sentence)
    return options.saying(values)


def _names_fields(text: str | None) -> bool:
    """Whether a file is to be called as ZMap's ``-f`` would be given."""
    names = [] if text is None else text.replace(" ", "").split(",")
    return text == "*" or (bool(names) and all(name in zmapfields.KNOWN for name in names))
