"""The coordinator: one process that reads, paces, supervises, accounts and draws."""
