"""Our source address, and our source port, for each connection that we open: chosen by keyed hashes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lzr.rows import V4_MAPPED, Rows
from lzr.secrets import Key, Secrets
from lzr.siphash import siphash

_FIRST_PORT = 7  # salt, another than those of lzr/flow/connections.py and lzr/flow/ackfirewall.py


class OwnAddresses:
    """Our source addresses, of which each host sees one, whatever its port.

    v4, v6: (n, 2) uint64, their two halves. They may be given flat.
    """

    def __init__(self, v4: ArrayLike, v6: ArrayLike, key: Key) -> None:
        self.v4, self.v6 = (np.array(one, np.uint64).reshape(-1, 2) for one in (v4, v6))
        self._key = key

    def choose(self, rows: Rows) -> NDArray[np.bool_]:
        """Set own_hi and own_lo where they are 0. (n,) bool: False where we have no address of the family."""
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == V4_MAPPED >> 32)
        given = (rows["own_hi"] != 0) | (rows["own_lo"] != 0)
        found = given.copy()
        for family, pool in ((True, self.v4), (False, self.v6)):
            chosen = (v4 == family) & ~given
            if not len(pool) or not chosen.any():
                continue
            found |= chosen
            which: slice | NDArray[np.bool_] = slice(None) if chosen.all() else chosen
            if len(pool) == 1:
                rows["own_hi"][which], rows["own_lo"][which] = pool[0]
                continue
            drawn = siphash(
                self._key,
                np.ascontiguousarray(rows["peer_lo"][which]),
                np.ascontiguousarray(rows["peer_hi"][which]),
            )
            own = pool[(drawn % np.uint64(len(pool))).astype(np.intp)]
            rows["own_hi"][which], rows["own_lo"][which] = own[:, 0], own[:, 1]
        return np.asarray(found, bool)


class Sources:
    """Our source address and port for each target. (A sweep's ports come from its cookie instead.)

    addresses: ours. ports: first and last of ours.
    """

    def __init__(self, v4: ArrayLike, v6: ArrayLike, ports: tuple[int, int], secrets: Secrets) -> None:
        self.addresses = OwnAddresses(v4, v6, secrets.addresses)
        self._ports = ports
        self._key = secrets.ports

    def choose(self, rows: Rows, attempt: int = 0) -> NDArray[np.bool_]:
        """Set own_port, and own_hi, own_lo if they are 0. (n,) bool: False where we have no address of the
        family.

        attempt: another one gives another port.
        """
        low, high = self._ports
        number = siphash(self._key, rows["line"], _FIRST_PORT | attempt << 8)
        rows["own_port"] = (np.uint64(low) + number % np.uint64(high - low + 1)).astype(np.uint16)
        return self.addresses.choose(rows)
