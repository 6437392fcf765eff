"""What the bytes of a file must be, by its name. Reads in bounded time and memory, whatever the bytes are.

check         the first bytes of a file, and the whole
table         the formats: suffixes, beginnings, parsers
texts         texts that servers send in place of a file
gguf          the facts in the header of a GGUF file, and the smallest size that the file can have
kv_cache      how large the cache of a model is, by that header
safetensors, onnx     whether a file is whole
cursor, ggml          what gguf needs: numbers and strings in order, types of tensors
reading       what all parsers share
"""
