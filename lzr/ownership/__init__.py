"""Who owns which shard and who collects from whom: decided here as pure machines, performed by a supervisor.

`Machine.handle(event, now)` takes what has happened to a process (`events`) and returns what is to be done
about it (`orders`), both plain frozen values. The machine starts no process, sends nothing and reads no
clock.

* `shards`: the shards, what can happen to each and where that leads, as a table, and their rebalancing.
* `collectors`: which of them writes, who sends to whom, and the fences around workers that died.
  ARCHITECTURE.md draws both tables.
* `processes`: the processes there are, by name.
* `ledger`: the inputs that have no fate yet; how a result comes to count exactly once is told there.
"""
