"""The other processes: forked, fed and supervised; as which user they run, and on which core."""
