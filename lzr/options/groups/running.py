"""Options on the run: processes, safety, what is shown of it, debugging."""

from __future__ import annotations

from lzr.options.groups.headings import DEBUGGING, PROCESSES, SAFETY, WATCHING
from lzr.options.groups.input import MANY
from lzr.options.groups.option import FREE, OWN, option
from lzr.options.groups.results import ResultOptions
from lzr.options.kinds import addressing, amounts, kind, texts


class RunOptions(ResultOptions):
    """The processes, safety, what is shown of a run, debugging."""

    # Processes
    flow_workers: int | None = option(
        PROCESSES,
        amounts.WORKERS,
        "flow workers, or workers of each channel: flow=6,collect=2",
        default=None,
        on_resume=FREE,
        reference="w",
        long="workers",
        aliases=("flow-workers",),
        default_text="from the cores at hand",
        common=True,
        was="1",
        why="Taken from the cores this process may use, and printed with the reason.",
        example='"flow=6,collect=2"',
    )
    collect_workers: int | None = option(
        PROCESSES,
        amounts.number(1, 256, unit="workers"),
        "collectors: fingerprint, encode, write",
        default=None,
        on_resume=FREE,
        default_text="from the cores at hand",
        example="2",
    )
    auto_workers: bool = option(
        PROCESSES,
        kind.SWITCH,
        "change the number of workers by itself while the scan runs, from how busy they are",
        default=False,
        on_resume=FREE,
    )
    pin: bool = option(
        PROCESSES, kind.SWITCH, "bind each worker to a core of its own", default=False, on_resume=FREE
    )
    user: str | None = option(
        PROCESSES,
        texts.TEXT,
        "the user that workers and collectors run as",
        default=None,
        on_resume=OWN,
        metavar="NAME",
        default_text="a number of the run's own, which no user has",
        example='"lzr"',
    )

    # Safety
    guard: str = option(
        SAFETY,
        kind.choice("auto", "output", "ingress", "none"),
        "where the kernel's RSTs for our connections are suppressed",
        default="auto",
        on_resume=FREE,
    )
    without_guard: bool = option(
        SAFETY,
        kind.SWITCH,
        "go on even if the kernel's RSTs cannot be suppressed",
        default=False,
        on_resume=OWN,
    )
    max_send_failures: int | None = option(
        SAFETY,
        amounts.number(1, MANY, none="none"),
        "give up after N failed sends in a row (each is retried with back-off); none: never",
        default=1000,
        on_resume=FREE,
        aliases=("max-sendto-failures",),
    )
    checkpoint: str | None = option(
        SAFETY,
        texts.path("DIR", file="dir"),
        "keep in DIR what --resume needs to go on with this scan",
        default=None,
        on_resume=OWN,
        example='"state"',
    )
    resume: str | None = option(
        SAFETY,
        texts.path("DIR", file="dir"),
        "go on with the scan whose checkpoint is in DIR; inputs that have a result are skipped",
        default=None,
        on_resume=OWN,
        example='"state"',
    )
    resume_changed: tuple[str, ...] = option(
        SAFETY,
        texts.NAMES,
        "with --resume: options that change what a record means, or a list of networks that has changed, "
        "which are to be taken as they are now",
        default=(),
        on_resume=OWN,
        metavar="OPTION,...",
        example='["blocklist-file"]',
    )
    block_orders: str | None = option(
        SAFETY,
        texts.path(),
        "send nothing to whom the orders in FILE block (one JSON object a line, as lzr fleet keeps them); "
        "they hold as those of lzr ctl block do",
        default=None,
        on_resume=OWN,
        example='"blocks.jsonl"',
    )
    lease_until: float | None = option(
        SAFETY,
        amounts.seconds(positive=False),
        "end, so that --resume can go on, when the machine has been up for this time (suspended or not), "
        "unless lzr ctl lease says otherwise before",
        default=None,
        on_resume=OWN,
        example='"26h"',
    )
    reopen: bool = option(
        SAFETY,
        kind.SWITCH,
        "with --resume: open anew the connections that ZMap had half open and that are lost",
        default=False,
        on_resume=OWN,
    )

    # Watching
    quiet: bool = option(
        WATCHING,
        kind.SWITCH,
        "nothing but results and errors: no dashboard, no status line, no table at the end",
        default=False,
        on_resume=OWN,
        short="q",
        aliases=("silent",),
    )
    verbosity: int = option(
        WATCHING,
        amounts.number(0, 5),
        "how much to log: 0 errors that end the scan, 3 as usual, 5 everything",
        default=3,
        on_resume=OWN,
        short="v",
    )
    log_file: str | None = option(
        WATCHING,
        texts.path(),
        "write the log to FILE",
        default=None,
        on_resume=OWN,
        short="l",
        default_text="stderr",
        example='"lzr.log"',
    )
    log_directory: str | None = option(
        WATCHING,
        texts.path("DIR", file="dir"),
        "write the log to a file in DIR, named after the time",
        default=None,
        on_resume=OWN,
        short="L",
        example='"log"',
    )
    status_updates_file: str | None = option(
        WATCHING,
        texts.path(),
        "append the status to FILE every second, as CSV",
        default=None,
        on_resume=OWN,
        short="u",
        example='"status.csv"',
    )
    dashboard: bool | None = option(
        WATCHING,
        kind.SWITCH,
        "the live dashboard on stderr; --no-dashboard turns it off",
        default=None,
        on_resume=OWN,
        default_text="on a terminal",
        common=True,
        example="false",
    )
    dashboard_file: str | None = option(
        WATCHING,
        texts.path(endings=(".svg", ".html")),
        "save the last frame of the dashboard as .svg or .html",
        default=None,
        on_resume=OWN,
        example='"last.svg"',
    )
    targets_total: int | None = option(
        WATCHING,
        amounts.number(1, MANY, thousands=True),
        "how many targets are to come, for the progress bar and the time left",
        default=None,
        on_resume=FREE,
        default_text="counted where the input is a file",
        example="1000000",
    )
    metrics_port: int | None = option(
        WATCHING,
        addressing.PORT,
        "serve the figures to Prometheus on this port",
        default=None,
        on_resume=OWN,
        default_text="off",
        example="9464",
    )
    metrics_address: str = option(
        WATCHING, addressing.ADDRESS, "address to serve them on", default="127.0.0.1", on_resume=OWN
    )
    control_socket: str | None = option(
        WATCHING,
        texts.path(),
        "path of the socket that lzr ctl talks to",
        default=None,
        on_resume=OWN,
        default_text="/run/lzr/PID.sock",
        example='"/run/lzr/scan.sock"',
    )

    # Debugging
    debug: bool = option(
        DEBUGGING,
        kind.SWITCH,
        "tell every step of every flow, on stderr",
        default=False,
        on_resume=OWN,
        reference="d",
        was="false",
    )
    trace_pcap: str | None = option(
        DEBUGGING,
        texts.path(),
        "write what is sent and received to FILE, for tcpdump and lzr identify; costs speed",
        default=None,
        on_resume=OWN,
        aliases=("trace",),
        example='"scan.pcap"',
    )
    cpuprofile: str | None = option(
        DEBUGGING,
        texts.path(),
        "write a CPU profile of all processes",
        default=None,
        on_resume=OWN,
        reference="cpuprofile",
        was="none",
        example='"lzr.cpu"',
    )
    memprofile: str | None = option(
        DEBUGGING,
        texts.path(),
        "write a memory profile of all processes",
        default=None,
        on_resume=OWN,
        reference="memprofile",
        was="none",
        example='"lzr.mem"',
    )
