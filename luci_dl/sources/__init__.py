"""A reference becomes a model: names of the catalog, addresses.

resolve   the words of the command line become models, merged by target
merge     no target is written twice
catalog   the models known by name, luci's own and the user's
entries   one catalog file, read strictly
url       a plain address
"""
