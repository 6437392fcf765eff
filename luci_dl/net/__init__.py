"""Bytes from servers: nothing here knows of a disk. What arrives goes through the `Sink` of `luci_dl.plan`."""
