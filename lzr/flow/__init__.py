"""A flow's life: the table of transitions, what segments mean, rows, timers, and what leaves."""
