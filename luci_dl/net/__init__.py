"""Bytes from servers. Nothing here knows about disks: what arrives goes through the `Sink` of `luci_dl.plan`."""
