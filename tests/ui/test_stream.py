from __future__ import annotations

import os
import threading

from luci_dl.ui.stream import Stream
from tests.ui.taps import Taps, full_pipe, read_all


def test_a_closed_pipe_swallows_output() -> None:
    """When nobody reads any more, writing has no effect and raises nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = Stream(writer)
    stream.write("one\n")
    os.close(writer)
    stream.write("two\n")


def test_a_terminal_that_is_gone_swallows_output() -> None:
    """A write to one that hung up fails (EIO), which ends the output and nothing else."""
    master, fd = os.openpty()
    stream = Stream(fd)
    os.close(master)
    stream.write("one\n")
    assert stream.gone
    stream.may_draw()
    stream.size()
    os.close(fd)


def test_a_non_blocking_descriptor_gets_every_byte() -> None:
    """Writing waits for a pipe that a parent process made non-blocking."""
    reader, writer = full_pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(target=Stream(writer).write, args=("the end",))
    thread.start()
    text = ""
    while not text.endswith("the end"):
        text += read_all(reader)
    thread.join()
    os.close(reader)
    os.close(writer)


def test_characters_that_the_encoding_lacks_are_escaped(ascii_taps: Taps) -> None:
    """An ASCII stream gets words for emoji, and escapes for letters."""
    ascii_taps.output.say(["✅ Installed café.gguf"])
    assert ascii_taps.err() == "OK: Installed caf\\xe9.gguf\n"


def test_paths_reach_a_program_byte_for_byte(taps: Taps) -> None:
    """Even a file name that is not valid text reaches a pipe unchanged."""
    path = os.fsdecode(b"/m/\xff\x1b.gguf")
    taps.output.paths([path])
    assert taps.out() == f"{path}\n"
    assert taps.err() == ""
