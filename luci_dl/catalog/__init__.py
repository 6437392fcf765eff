"""The built-in catalog and the user's own.

catalog  the models known by name, from both
entries  a catalog file parsed
merge    models that share files
search   models by words
fit      which models fit this machine; estimate: how large those of unknown size are
check    the problems of a catalog file
file     a catalog file that luci may write
edit     entries added, facts changed
refresh  the facts that the Hub states now
"""
