"""The Link header of RFC 8288, by which lists of several pages name the next one."""

from __future__ import annotations

import re

_PARAMETER = r""";\s*([^\s=;,"<>]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s";,]*))?\s*"""
_LINK = re.compile(rf"<([^<>]*)>\s*((?:{_PARAMETER})*)")
_ONE_PARAMETER = re.compile(_PARAMETER)


def next_link(header: str) -> str | None:
    """The address of the next page, as it is written; None if the header names none."""
    for address, parameters, *_ in _LINK.findall(header):
        pairs = _ONE_PARAMETER.findall(parameters)
        relations = next((value for name, value in pairs if name.lower() == "rel"), "")
        if "next" in relations.strip("\"'").lower().split():
            return str(address)
    return None
