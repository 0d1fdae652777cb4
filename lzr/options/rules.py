"""The rules between options: what one implies for another, and which cannot be combined."""

from __future__ import annotations

from lzr.errors import UsageError, printable
from lzr.options.kinds import amounts
from lzr.options.table import Options
from lzr.targets import zmapfields

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def apply(values: dict[str, Any]) -> Options:
    """Options of what was given (attribute → value), the rules between options applied. Raises UsageError."""
    options = Options(**values)
    if changes := _implied(options, values):
        options = options.replace(**changes)
    for wrong, sentence in (*_conflicts(options), *_sweep(options)):
        if wrong:
            raise UsageError(sentence)
    return options.saying(values)


def _implied(options: Options, given: Collection[str]) -> dict[str, object]:
    """What one option sets of others (attribute → value). given: attributes of those that were given."""
    changes: dict[str, object] = {}
    if options.bandwidth is not None and "rate" not in given:
        changes["rate"] = None  # as in ZMap, whose --bandwidth sets the rate
    if options.dryrun or options.target_ports:
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
    return changes


def _conflicts(options: Options) -> list[tuple[bool, str]]:
    """Options that cannot go together: whether that is so, and the sentence."""
    return [
        (
            _names_fields(options.output_file),
            f"-f {options.output_file}: -f is the file that results go to; fields are chosen with "
            f"--output-fields {options.output_file} (a file of that name is -f ./{options.output_file})",
        ),
        no_shard(options),
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
            bool(options.resume_changed) and options.resume is None,
            "--resume-changed needs --resume DIR",
        ),
        (options.reopen and options.resume is None, "--reopen needs --resume DIR"),
    ]


def _sweep(options: Options) -> list[tuple[bool, str]]:
    """What is wrong with the options of a sweep: whether it is so, and the sentence."""
    named = (*options.targets, *options.targets_file)
    ports = Options.rows["target_ports"].kind.show(options.target_ports)
    sweep, resumed = bool(options.target_ports), options.resume is not None
    return [
        (
            sweep and not named and not resumed,
            f"-p {ports}: which addresses? name them, as in lzr -p {ports} 192.0.2.0/24 (a list of targets "
            "has address:port on each line)",
        ),
        (
            bool(named) and not sweep and not resumed,
            f"{printable(next(iter(named), ''))}: on which ports? as in lzr -p 80,443 "
            f"{printable(next(iter(named), ''))}",
        ),
        (
            sweep and (options.input_file is not None or options.reopen),
            f"-p {ports}: a sweep reads no input; leave -I and --reopen out",
        ),
        (
            sweep and resumed and bool(options.dryrun),
            "--dryrun prints the targets of a sweep from its beginning; leave --resume out",
        ),
        (
            isinstance(options.max_targets, str) and not sweep and not resumed,
            no_share(options),
        ),
        (
            sweep and options.shards > 1 and options.seed is None and not resumed,
            "--shards: all boxes have to sweep in the same order; give each the same --seed, a large number "
            "that nobody can guess",
        ),
    ]


def no_shard(options: Options) -> tuple[bool, str]:
    """Whether there is no shard of this number, and the sentence."""
    wrong = amounts.shard_list(str(options.shard))[-1][1] >= options.shards
    return wrong, f"--shard {printable(str(options.shard))}: shards count from 0 to --shards less 1"


def no_share(options: Options) -> str:
    """The sentence for -n with a percentage, where the number of inputs is not known."""
    return f"-n {options.max_targets}: how many a list has is not known before its end; give a number"


def _names_fields(text: str | None) -> bool:
    """Whether the name of a file looks like the value of ZMap's ``-f``."""
    names = [] if text is None else text.replace(" ", "").split(",")
    return text == "*" or (bool(names) and all(name in zmapfields.KNOWN for name in names))
