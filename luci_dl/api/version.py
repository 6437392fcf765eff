"""`luci version`: the versions of luci and of what it depends on."""

from luci_dl.doctor.versions import versions

__all__ = ["versions"]
