"""A reference becomes a model: names of the catalog, the Hub, Ollama's registry, addresses.

resolve      the words of the command line become models, merged by target
merge        no target is written twice
choice       which files of a reference are meant
catalog      the models known by name, luci's own and the user's
entries      one catalog file, read strictly
pin          the address of a file in a repository, at one commit
check        what is to be said of a catalog file
refresh      what the Hub says of a catalog's files by now
search       what the catalog has of some words
toml_text    a catalog file as text, changed in place
huggingface  the Hub: hub_reference (what is asked for), hub (what there is), quants and globs (what is chosen)
ollama       the registry of Ollama, and others: ollama_name (what is asked for), manifest (what there is)
url          a plain address
endpoints    whom to ask, with which token; the mirrors of the Hub
web          what a source that asks servers works with
"""
