"""Words in, exit code out: one file a command. The one place where an error becomes a message and a code.

main      the commands; click's own errors
session   what a command works with: settings, events, the token, the end by a signal
complete  what a word may go on as, for TAB
shell     the prompt: editor reads a line, line completes it, child runs it in a luci of its own
"""
