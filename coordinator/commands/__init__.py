"""The `lzr` command and its subcommands."""
