"""Files from host to host, by BitTorrent. The extra `swarm` (libtorrent), without which there is none.

session  connects to the hosts that a server on the LAN names; torrent: one file, and which of its pieces are there
"""
