"""Stands for a process of the program: gives its descriptors, directory, environment and arguments to a
server of tests/forking.py, and ends as what that forks. Without an import that takes time.

    python -I -S forking_client.py SOCKET ARGUMENT ...
"""

import _signal  # type: ignore[import-not-found]
import _socket
import array
import posix
import sys

_END = b"\0\0"  # neither of an argument nor of a variable: an empty one has a letter before it


def main() -> None:
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.connect(sys.argv[1])
    here = posix.open(".", posix.O_RDONLY | posix.O_DIRECTORY)
    descriptors = array.array("i", [0, 1, 2, here])
    words = [b"a" + word.encode("utf-8", "surrogateescape") for word in sys.argv[2:]]
    words += [b"e" + name + b"=" + value for name, value in posix.environ.items()]
    text = b"\0".join(words) + _END
    sent = server.sendmsg([text], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    server.sendall(text[sent:])
    for descriptor in descriptors:  # a reader that goes away is to be seen where it writes
        posix.close(descriptor)
    status = int(server.recv(16) or b"255")
    if status < 0:
        _signal.signal(-status, _signal.SIG_DFL)
        posix.kill(posix.getpid(), -status)
    posix._exit(status)


main()
