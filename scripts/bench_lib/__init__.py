"""How fast luci is, measured against its peers and its goals: whole processes, interleaved, nginx on the loopback.

__main__.py   the options, and what runs in which order
scenarios.py  rounds of every tool, shuffled
probes.py     what is measured of luci alone: memory, resume, interrupt, repair
traffic.py    requests for a large file, and a repository of small ones
start.py      what every run costs: the help, an installed model, the first request
goals.py      what the figures must reach
report.py     the figures as tables
picture.py    the figures as an SVG
peers.py      the tools: how each is called and what it does
ground.py     the file, the servers, a clean slate for each run
lines.py      lines with delay, rate and loss, as root; link.c carries their packets
hub.py        a Hub that redirects to nginx
programs.py   finds the programs, or installs them
fleet/        many machines that want one file: `scripts/bench fleet`
measure.py    one process: seconds, CPU, peak memory; launcher.py is its small parent
"""
