"""The Python API: what the commands do, as functions that raise errors and emit events. They print nothing and set no
signal handlers.

One module for each command, which also offers what the command line needs beyond the public function. The command line
imports nothing from the layers below.
"""
