"""Words in, exit code out: one file a command. The one place where an error becomes a message and a code.

main      the commands; click's own errors
session   what a command works with: settings, events, the token, the end by a signal
"""
