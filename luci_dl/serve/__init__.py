"""`luci serve`: one copy for a whole lab. Needs aiohttp, which nothing else in luci imports.

pull     one file on its way, fetched once
sending  bytes of a file, or of one on its way, to a client
"""
