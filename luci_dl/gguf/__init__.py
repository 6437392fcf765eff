"""The headers of GGUF files, read in bounded time and memory whatever the bytes are.

header    the facts in a header, and the smallest size that the file can have
reading   the headers of several files
cursor    reads numbers and strings, never beyond the end of the file
ggml      types of tensors and files
"""
