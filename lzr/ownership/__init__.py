"""Who owns which shard and who collects from whom: decided here as pure machines, performed by a supervisor.

`Machine.handle(event, now)` takes what has happened to a process (`events`) and returns what is to be done
about it (`orders`), both plain frozen values. The machine starts no process, sends nothing and reads no
clock.

* `table`: the states of a shard, what can happen to it, and where that leads. ARCHITECTURE.md draws it.
* `shards`: the shards, each in one of these states, and their rebalancing.
* `succession`: the collectors: which one writes, who sends to whom, and the fences around workers that died.
* `processes`: the processes there are, by name.
"""

from lzr.ownership.machine import Machine

__all__ = ["Machine"]
