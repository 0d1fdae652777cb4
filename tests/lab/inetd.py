"""A superserver for daemons that speak on their standard input: `inetd.py ADDRESS PORT COMMAND …`."""

import signal
import socket
import subprocess
import sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
while True:
    connection, _ = listener.accept()
    handle = connection.fileno()
    subprocess.Popen(sys.argv[3:], stdin=handle, stdout=handle, stderr=handle)
    connection.close()
