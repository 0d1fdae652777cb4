"""The headings under which help, the man page and the configuration file show the options."""

from __future__ import annotations

INPUT = "Input and handshakes"
NETWORK = "Network"
PACE = "Pace"
TIMING = "Timing"
OUTPUT = "Output"
FILTERING = "Filtering"
PROCESSES = "Processes"
SAFETY = "Safety"
WATCHING = "Watching"
DEBUGGING = "Debugging"

GROUPS = (INPUT, NETWORK, PACE, TIMING, OUTPUT, FILTERING, PROCESSES, SAFETY, WATCHING, DEBUGGING)
