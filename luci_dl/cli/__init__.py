"""The command line: words in, exit code out. One module a command; parts of a large one begin with its name.

main      the commands, and errors as messages and exit codes
session   what every command needs: settings, output, a run that signals cancel
complete  completions of a word, for TAB
child     another luci, as a child process
"""
