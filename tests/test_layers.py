"""The shape of the code: imports point down, each foreign library and each change to the disk has one door."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import luci_dl

PACKAGE = Path(luci_dl.__file__).parent

WORDS = {
    "errors",
    "events",
    "model",
    "plan",
    "rate_limit",
    "frozen",
    "cancel",
    "pool",
    "text",
    "figures",
    "names",
    "environment",
}
MAY_IMPORT = {
    "__main__": {"cli"},
    "__init__": {"api", "config", "library", "sources", "disk"},
    "cli": {"ui", "api"},
    "ui": set(),
    "api": {
        *(
            "transport",
            "serve",
            "install",
            "doctor",
            "library",
            "catalog",
            "sources",
            "config",
            "machine",
            "net",
            "formats",
        ),
        "disk",
    },
    "transport": {"install", "library", "catalog", "sources", "net", "disk"},
    "serve": {"install", "library", "catalog", "sources", "config", "net", "formats", "disk"},
    "install": {"library", "catalog", "sources", "config", "machine", "swarm", "net", "formats", "disk"},
    "doctor": {"library", "catalog", "sources", "config", "net", "disk"},
    "library": {"catalog", "sources", "formats", "disk"},
    "catalog": {"sources", "machine", "formats", "disk"},
    "sources": {"machine", "net", "formats"},
    "config": {"disk"},
    "net": {"formats"},
    "swarm": set(),
    "disk": {"formats"},
    "formats": set(),
    "machine": set(),
    "words": set(),
}
"""What each folder may import besides itself and the words."""

DOORS = {
    "urllib3": ("net/client.py", "net/connections.py", "net/redirects.py", "net/socks.py", "net/translate.py"),
    "tomlkit": ("catalog/edit.py",),
    "truststore": ("net/certificates.py",),
    "xxhash": ("disk/blocks.py",),
    "socks": ("net/socks.py",),
    "obstore": ("net/objects.py",),
    "filelock": ("disk/lock.py",),
    "aiohttp": ("serve/",),
    "libtorrent": ("swarm/",),
    "click": ("cli/",),
    "rich": ("ui/",),
    "signal": ("cancel.py", "cli/shell_signals.py"),
    "ctypes": ("disk/file.py",),
    "tempfile": ("cli/demo",),
}

CHANGES = re.compile(
    r"""
    os\.( [fl]?ch(mod|own) | copy_file_range | f?truncate | f(data)?sync | (sym)?link | mk(dir|fifo|nod) | makedirs
        | posix_fallocate | p?writev? | remove(dirs|xattr)? | renames? | replace | rmdir | sendfile | setxattr | splice
        | sync | unlink | utime )
    | shutil\.( chown | copy\w* | move | rmtree )
    | \.( l?chmod | hardlink_to | mkdir | rename | rmdir | symlink_to | touch | unlink | write_bytes | write_text )
    """,
    re.VERBOSE,
)
"""Calls that change what is outside the process; those of a path begin with a dot."""
MAY_CHANGE = {
    "disk/fs.py": "",
    "disk/file.py": "",
    "disk/folders.py": "",
    "cli/demo": "",  # in its own temporary folder
    "__main__.py": "os.open",  # /dev/null
    "cancel.py": "os.write",  # into its own pipe
    "ui/": "os.write",  # to the terminal
}
"""Who may change what is outside the process: everything, or one call."""


class Source:
    """One module, and what it does that it must not."""

    def __init__(self, path: Path, package: Path) -> None:
        self.name = path.relative_to(package).as_posix()
        self._siblings = {entry.stem for entry in package.iterdir()} - {"__init__"}
        self._package = package.name
        self._tree = ast.parse(path.read_text(), str(path))
        self._imported: dict[str, str] = {}
        """What the imported names stand for: "os" for a module, "os.replace" for a function of one."""

    def faults(self) -> Iterator[str]:
        """Each fault as "file:line: what is wrong"."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                yield from self._imports(node, [(alias.name, alias.asname) for alias in node.names])
            elif isinstance(node, ast.ImportFrom):
                names = [(f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names]
                yield from self._imports(node, names) if node.level == 0 else self._fault(node, "imports relatively")
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._call(node)

    def _fault(self, node: ast.stmt | ast.expr, what: str) -> Iterator[str]:
        yield f"{self._package}/{self.name}:{node.lineno}: {what}"

    def _imports(self, node: ast.stmt, names: Sequence[tuple[str, str | None]]) -> Iterator[str]:
        for full, local in names:
            top, _, rest = full.partition(".")
            self._imported[local or top] = full if local else top
            if top == self._package:
                yield from self._import_of_ours(node, rest.partition(".")[0])
            elif top in DOORS and not self.name.startswith(DOORS[top]):
                yield from self._fault(node, f"imports {top}, which only {' and '.join(DOORS[top])} may")

    def _import_of_ours(self, node: ast.stmt, imported: str) -> Iterator[str]:
        if imported == "__version__":
            return
        here, there = layer(self.name.partition("/")[0].removesuffix(".py")), layer(imported)
        if imported not in self._siblings:
            yield from self._fault(node, f"imports {imported or 'the package'} from the top of the package")
        elif here not in MAY_IMPORT:
            yield from self._fault(node, f"is in no layer: add {here} to one in {Path(__file__).name}")
        elif there != here and there != "words" and there not in MAY_IMPORT[here]:
            yield from self._fault(node, f"{here} may not import {there}")

    def _call(self, node: ast.Call) -> Iterator[str]:
        called = self._name_of(node.func)
        if not (CHANGES.fullmatch(called) or _opens_to_write(node, called) or _replaces_a_path(node, called)):
            return
        if not any(self.name.startswith(who) and what in ("", called) for who, what in MAY_CHANGE.items()):
            yield from self._fault(node, f"calls {called}, which only disk/fs.py may")

    def _name_of(self, function: ast.expr) -> str:
        """Its dotted name, imports looked up; what is neither imported nor `open` becomes nothing: ".unlink"."""
        if isinstance(function, ast.Attribute):
            owner = self._name_of(function.value)
            return f".{function.attr}" if owner.startswith(".") else f"{owner}.{function.attr}"
        name = function.id if isinstance(function, ast.Name) else ""
        return self._imported.get(name, "open" if name == "open" else "")


def layer(module: str) -> str:
    return "words" if module in WORDS else module


def _opens_to_write(node: ast.Call, called: str) -> bool:
    if called == "os.open":
        flags = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
        return bool(flags & {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"})
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return called in ("open", ".open", "os.fdopen") and any(re.fullmatch("[rbt]*[wax+][bt+]*", text) for text in texts)


def _replaces_a_path(node: ast.Call, called: str) -> bool:
    """Of a path it takes one argument, of a string two, of a date only named ones."""
    return called == ".replace" and len(node.args) == 1 and not node.keywords


def faults_of(package: Path) -> list[str]:
    return [fault for path in sorted(package.rglob("*.py")) for fault in Source(path, package).faults()]


LISTED = {
    *("config", "disk", "doctor", "formats", "install", "library", "net", "serve", "sources", "swarm", "transport"),
    "ui",
}
"""The folders whose modules are listed one by one; of the others each is a command, or a name says it all."""


@pytest.mark.parametrize("folder", sorted(LISTED))
def test_every_module_is_on_the_map(folder: str) -> None:
    """In the head of the package, or in that of its folder."""
    heads = [ast.get_docstring(ast.parse((place / "__init__.py").read_text())) for place in (PACKAGE, PACKAGE / folder)]
    of_all, own = (head or "" for head in heads)
    section = re.split(r"\n    \S", of_all.partition(f"\n    {folder}/")[2])[0]
    modules = {entry.stem for entry in (PACKAGE / folder).iterdir() if entry.stem.strip("_") == entry.stem}
    assert modules - set(re.findall(r"\w+", f"{section} {own}")) == set()
    assert set(re.findall(r"^([a-z_]+)  ", own, re.MULTILINE)) <= modules


def test_imports_point_down_and_every_door_is_the_only_one() -> None:
    assert not faults_of(PACKAGE), "\n" + "\n".join(faults_of(PACKAGE))


@pytest.mark.parametrize(
    ("file", "code", "fault"),
    [
        ("net/a.py", "from luci_dl.disk import fs", "1: net may not import disk"),
        ("disk/a.py", "import luci_dl.net", "1: disk may not import net"),
        ("ui/a.py", "from luci_dl.install.batch import run", "1: ui may not import install"),
        ("library/clean.py", "def f():\n    from luci_dl import cli", "2: library may not import cli"),
        ("errors.py", "from luci_dl.disk.fs import open", "1: words may not import disk"),
        ("ui/a.py", "from ..disk import fs", "1: imports relatively"),
        ("cli/a.py", "from luci_dl import install_all", "1: imports install_all from the top of the package"),
        ("disk/b.py", "import luci_dl", "1: imports the package from the top of the package"),
        ("utils.py", "from luci_dl import errors", "1: is in no layer: add utils to one in test_layers.py"),
        ("net/retry.py", "import truststore", "1: imports truststore, which only net/certificates.py may"),
        (
            "install/batch.py",
            "from signal import SIGINT",
            "1: imports signal, which only cancel.py and cli/shell_signals.py may",
        ),
        ("cli/a.py", "import rich", "1: imports rich, which only ui/ may"),
        ("disk/a.py", "import os\nos.replace(a, b)", "2: calls os.replace, which only disk/fs.py may"),
        ("disk/a.py", "import os as o\no.fsync(3)", "2: calls os.fsync, which only disk/fs.py may"),
        ("disk/a.py", "from os import unlink as u\nu(a)", "2: calls os.unlink, which only disk/fs.py may"),
        ("disk/a.py", "import os\nos.open(a, os.O_CREAT)", "2: calls os.open, which only disk/fs.py may"),
        ("net/a.py", "import os\nos.write(1, b'')", "2: calls os.write, which only disk/fs.py may"),
        ("library/clean.py", "import shutil\nshutil.rmtree(a)", "2: calls shutil.rmtree, which only disk/fs.py may"),
        ("library/clean.py", "open(a, 'w')", "1: calls open, which only disk/fs.py may"),
        ("library/clean.py", "open(a, mode='r+b')", "1: calls open, which only disk/fs.py may"),
        ("library/clean.py", "a.open('xb')", "1: calls .open, which only disk/fs.py may"),
        ("library/clean.py", "self.b.c(d).unlink()", "1: calls .unlink, which only disk/fs.py may"),
        ("library/clean.py", "a.replace(b)", "1: calls .replace, which only disk/fs.py may"),
    ],
)
def test_the_check_sees(tmp_path: Path, file: str, code: str, fault: str) -> None:
    assert faults_of(_tree(tmp_path, file, code)) == [f"luci_dl/{file}:{fault}"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("cli/a.py", "import click\nfrom luci_dl import __version__, api\nfrom luci_dl.ui import bars"),
        ("install/batch.py", "from luci_dl.disk import fs\nfrom luci_dl.net import fetch\nfs.unlink(a)"),
        ("disk/fs.py", "import os\nos.replace(a, b)\nopen(a, 'w')"),
        ("disk/file.py", "import os, ctypes\nos.ftruncate(a, 1)"),
        ("library/clean.py", "import os\n'a'.replace('b', 'c')\nopen(a, 'rb')\nos.open(a, os.O_RDONLY)\na.open()"),
        ("library/clean.py", "import dataclasses\ndataclasses.replace(a, b=1)\nnow.replace(tzinfo=None)"),
        ("cancel.py", "import os, signal\nos.write(1, b'!')"),
    ],
)
def test_the_check_lets_pass(tmp_path: Path, file: str, code: str) -> None:
    assert faults_of(_tree(tmp_path, file, code)) == []


def _tree(folder: Path, file: str, code: str) -> Path:
    """A package of empty modules, and one with `code` in it."""
    package = folder / "luci_dl"
    for name in [*MAY_IMPORT.keys() - {"words"}, *WORDS]:
        is_file = name in WORDS or name.startswith("__")
        module = package / (f"{name}.py" if is_file else f"{name}/__init__.py")
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
    (package / file).write_text(code)
    return package
