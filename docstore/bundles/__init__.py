"""Projects as files: written with their history, kept in versions, read back in."""
