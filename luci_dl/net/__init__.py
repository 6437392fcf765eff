"""Bytes from servers. Nothing here knows about disks: what arrives goes through the `Sink` of `luci_dl.plan`.

client          one request, from connection to body
network         what all requests of a run share
connections     direct, or through a proxy, and their time limits; dial, proxy, socks; certificates, trust (loads
                them early)
origin          the host of an address, and whether its responses are safe from changes
objects         in a bucket: their signed addresses; writing them
redirects       followed, and where they led
head            a response as it arrives: wire, raw_response, coding
response        what its headers say by the rules of HTTP; file_names, bearer
status          what error statuses mean; hub, server_message: the server's own reasons
judge           what a response means for the file that is fetched, in one table; situation, refusals
retry           the remedies
translate       errors of libraries as luci's own
documents       small responses, such as listings: asked for, retried; document: read; links: the next page
head_start      a request that is sent before its response is needed
fetch           one file: worker_pool, pieces (which bytes next), job and worker (one piece),
                transfer (a worker, observed)
mirrors         the addresses of one file
tune            how many connections; slots: of the whole run
rate_limiter    and rate_meter (also: when a connection has stalled)
sent_secrets    what luci sent, and no message may repeat
"""
