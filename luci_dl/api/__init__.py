"""The Python API: what the commands do, as functions that raise, with events. No signal handlers, nothing printed.

asking       what changes nothing and asks no server: installed, path, info, status, catalog, search, settings
installing   install and forecast
checking     verify, and the repair of what is wrong
removing     remove and clean
order        from words to models, and where they go: what install, forecast and the command share
servers      what an install turns to: the servers, copies, the models that words stand for
"""
