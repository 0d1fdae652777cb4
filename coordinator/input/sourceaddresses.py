"""Our source address and port for each connection that we open, chosen by hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.rows import Rows
from lzr.secrets import Secrets
from lzr.siphash import siphash

_FIRST_PORT = 7  # salt, another than those of lzr/flow/connections.py and lzr/flow/ackfirewall.py


class SourceAddresses:
    """Our source addresses and ports, chosen per target by hash."""

    def __init__(
        self,
        v4: list[tuple[int, int]],
        v6: list[tuple[int, int]],
        ports: tuple[int, int],
        secrets: Secrets,
    ) -> None:
        self.pools = v4, v6
        self._pools = {True: np.array(v4, np.uint64), False: np.array(v6, np.uint64)}
        self._ports = ports
        self._secrets = secrets

    def choose(self, rows: Rows, attempt: int = 0) -> NDArray[np.bool_]:
        """Set own_port, and own_hi, own_lo if they are 0. (n,) bool: False where we have no address."""
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == 0xFFFF)
        given = (rows["own_hi"] != 0) | (rows["own_lo"] != 0)
        # By target, not by line: one host sees one of our addresses.
        by_target = siphash(self._secrets.addresses, rows["peer_lo"], rows["peer_hi"])
        routable: NDArray[np.bool_] = given.copy()
        for family in (True, False):
            pool, chosen = self._pools[family], (v4 == family) & ~given
            if len(pool) and chosen.any():
                pick = pool[(by_target[chosen] % np.uint64(len(pool))).astype(np.int64)]
                rows["own_hi"][chosen], rows["own_lo"][chosen] = pick[:, 0], pick[:, 1]
                routable |= chosen
        low, high = self._ports
        number = siphash(self._secrets.ports, rows["line"], _FIRST_PORT | attempt << 8)
        rows["own_port"] = (np.uint64(low) + number % np.uint64(high - low + 1)).astype(np.uint16)
        return routable
