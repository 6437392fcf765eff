"""`luci serve`: one copy for a whole lab. The extra `serve` (aiohttp), which nothing else in luci imports.

assembly  the parts, put together
server    sockets, the routes of all, the end; refusals: what a client is told instead of a file
files     routes: by digest; swarm: what hosts need to share a file with each other
hub       routes: the Hub's; documents (what the Hub says), answers (asked once, used on while it is away), kept (on
          disk)
ollama    routes: Ollama's interface; registry (what registries say of models), layers (of a model)
torrents  the metainfo of files, made in the background; metainfo: of one; tracker: who shares a file
desk      what all routes share: a file is found, or fetched, and sent to whoever may have it
shelf     the files that are here; pulls: those on their way, pull (one of them), suspects (what came wrong before)
nginx     a configuration that puts nginx in front
gate      who may have what is not public; peer: who asks; ahead: the Hub is asked about what is installed here
sending   the bytes to a client, also while they come
ledger    what came in and went out; status: that, and what is here and on its way; board: the latest status, made once
          for all viewers; page: the routes of it; view: its texts, in page.html
"""
