"""The other processes: forked, fed, supervised; whom they run as, and on which core."""
