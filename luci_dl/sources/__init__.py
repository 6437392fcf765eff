"""A reference becomes a model.

base         the `Source` protocol and the tuple of all sources: where to add one
selection    which files of a reference are meant, as the options say
context      what a source works with to ask servers
endpoints    which servers to ask, with which token; the mirrors of the Hub; away: who else is asked
huggingface  the Hub: reference (what is asked for), answers (what its documents say), hub (what a repository has),
             quants (what is selected), fitting (what fits this machine)
ollama       the registry of Ollama and others of its kind: name (what is asked for), manifest (what a model has)
docker       Docker's registry of models: name, manifest, index (which of several manifests), and resolve
s3           buckets: place (an address in one), manifest (what was pushed there), and resolve
url          a plain http(s) address
pages        pages of a browser: which file they show
file_names   what the file at a plain address is called
"""
