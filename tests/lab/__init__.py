"""An Internet to test against: network namespaces, a responder for whole prefixes, real daemons.

Everything lives in namespaces and directories whose names carry the process that made them, so that
whatever a killed run leaves behind is found and removed by the next one. The host's own interfaces,
rules and processes are never touched.
"""
