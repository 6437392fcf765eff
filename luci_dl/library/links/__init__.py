"""One copy on disk for several programs: names in their folders that lead to installed files.

entries       one name that a link makes: recognised, removed; making: how it is made
record        what luci has made for one model in one program, in luci's own folder (place)
targets       the programs, by name; what each needs of a model
hub_cache     the cache of huggingface_hub, and of all that use it
ollama        Ollama's manifests and blobs; ollama_manifest: what they say; ollama_names: what it calls a model;
              ollama_paths: where it keeps them; ollama_service: what it may not read
folders       LM Studio, and any folder
llama_server  the presets of llama-server
link          links made and removed, all names of one or none; standing: as they are now
follow        links of a model that is installed again, moved or removed
"""
