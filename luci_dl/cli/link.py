"""`luci link`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import printable


@click.command(
    epilog=options.examples(
        "luci link hf mistral              # for transformers, vLLM, llama-server -hf",
        "luci link ollama mistral --as my-mistral",
        "luci link llama-server mistral phi-3",
        "luci link ~/ComfyUI/models/llm/ mistral",
        "luci link --list",
        more="Exit codes: 2 unknown program, 3 not installed or not for that program, 5 something else has the name, "
        "6 disk or permission.",
    )
)
@click.argument("target", metavar="TARGET", required=False, default="", shell_complete=complete.link_targets)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@click.option(
    "--how",
    metavar="WAY",
    default="auto",
    shell_complete=complete.ways_to_link,
    help="auto (the default), reflink, hardlink, symlink or copy.",
)
@click.option("--as", "given", metavar="NAME[:TAG]", default="", help="What the program should call the model.")
@options.flag("--list", "list_them", help="List all links, and what is wrong with them.")
@options.flag("--offline", help="Ask no server.")
@options.flag("-n", "--dry-run", help="Only show what would be made.")
@options.json_events
@options.quiet
def command(
    target: str,
    names: tuple[str, ...],
    folder: str | None,
    how: str,
    given: str,
    list_them: bool,
    offline: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Let other programs use installed models, without a second copy.

    TARGET is hf (the cache of the Hub's own tools), ollama, lmstudio, llama-server (a file of presets), or a folder.
    The program gets the same bytes: as shared blocks where the file system can do that, else by a hard link, else by a
    symlink. What luci did not make stays as it is. Links follow a model that is upgraded or moved, and are removed
    with it.
    """
    if list_them:
        return _list(target, names, as_json=as_json)

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.link import HOW, NAMES, link

        if not target or not names:
            raise UsageError(
                "give a program and a model", f"For example: luci link hf mistral. The programs: {', '.join(NAMES)}."
            )
        way = next((each for each in HOW if each == how), None)
        if way is None:
            raise UsageError(f'--how: expected {", ".join(HOW[:-1])} or {HOW[-1]}, found "{printable(how)}"')
        link(
            target,
            *names,
            folder=folder,
            how=way,
            given=given,
            offline=offline,
            dry_run=dry_run,
            token=token,
            emit=emit,
        )
        return 0

    return session.run(work, json=as_json, quiet=quiet, what="Linking")


def _list(target: str, names: tuple[str, ...], *, as_json: bool) -> int:
    from luci_dl.api.link import links

    if target or names:
        raise UsageError("--list takes no words", "It shows all links.")
    found, output = links(session.warn), session.output()
    if as_json:
        output.results([answer("link --list", found)])
    elif found:
        rows = [
            ("MODEL", "PROGRAM", "NAME THERE", "STATE"),
            *(
                (
                    each.link.reference,
                    each.link.target if each.link.target != "folder" else str(each.link.root),
                    each.link.name,
                    "; ".join(f"{path} {problem}" for path, problem in each.problems) or "ok",
                )
                for each in found
            ),
        ]
        output.results(table(rows, output.out, (0, 2, 3)))
    else:
        output.say(["No models are linked. `luci link --help` shows how."])
    return 0
