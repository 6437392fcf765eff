"""Many machines that want one file: what the uplink carries, and how long the slowest waits.

__main__.py   the options, and what runs in which order
bed.py        the machines: network namespaces, a bridge, a router, lines with a rate
upstream.py   the Hub behind the uplink
engines.py    what can serve a LAN, and how each is started
clients.py    what a host runs
race.py       one server and many hosts, from their start to their end
scenarios.py  what happens to them, and how often
goals.py      what the figures must reach
report.py     the figures as tables, and as JSON
plot.py       the figures as an SVG
"""
