"""The control groups that this process is in, as directories of the cgroup file system (cgroups(7))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """(version, directory) of the process's group and of each one above it, with a controller's files.

    root: where /proc and /sys are. In a container only the topmost directory may exist, and a directory of
    version 2 need not have the controller's files.
    """
    try:
        # The name of a group may be any bytes but a line feed, as that of a file.
        lines = (root / "proc/self/cgroup").read_text(errors="surrogateescape").split("\n")[:-1]
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2; "unified" where version 1 is mounted too
            version, tops = 2, ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            version, tops = 1, [f"sys/fs/cgroup/{controller}"]
        else:
            continue
        for top in tops:
            place = root / top / path.strip("/")
            for folder in (place, *place.parents):
                yield version, folder
                if folder == root / top:
                    break
