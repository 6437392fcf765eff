"""Files from host to host, by BitTorrent. The extra `swarm` (libtorrent), without which there is none.

session  the only door to libtorrent: torrents of one file each, of which peers and server are named from outside
"""
