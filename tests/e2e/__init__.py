"""End to end: stock Yjs clients and raw sockets against the started server process."""
