"""What a GGUF file says of itself in its header, read in bounded time and memory, whatever the bytes are.

header    what is said, and how many bytes the file must have
cursor    a walk over the bytes, never beyond their end
ggml      the types of tensors and files
"""
