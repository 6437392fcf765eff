"""Is this machine ready? Each check looks at one thing, changes nothing, and says what to do.

findings    the results of a check, by level; runs the checks in order
setup       config.json, the catalog
folders     each models folder: writing, locks, space, running installs, leftovers
servers     proxies, certificates, the servers of all sources, the clock
"""
