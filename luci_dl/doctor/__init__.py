"""Is this machine ready? Each check looks at one thing, changes nothing, and says what to do.

examine     the checks in their order, and what they come to
setup       config.json, the catalog
folders     each models folder: writing, locks, room, what was left behind
servers     proxies, certificates, the Hub and the registry
"""
