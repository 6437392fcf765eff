"""`luci serve`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from luci_dl.api.serve import DEFAULT_BIND, nginx_configuration, serve
from luci_dl.cancel import CancelToken
from luci_dl.cli import options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci serve",
        "luci serve --bind 192.168.1.5:8480 --allow 'bartowski/*'",
        "luci serve --bind :8480 --only-installed",
    )
)
@click.option(
    "--bind", default=DEFAULT_BIND, show_default=True, metavar="HOST:PORT", help="Listen there; :PORT on every address."
)
@options.folder("Fetch into this models folder.", may_be_missing=True)
@click.option(
    "--pull/--only-installed", default=True, help="Fetch what is asked for and missing (the default), or not."
)
@click.option(
    "--allow",
    multiple=True,
    metavar="OWNER/REPO",
    help="Fetch only what matches, such as 'OWNER/*', at the Hub and at Ollama; may be repeated.",
)
@click.option(
    "--quota", metavar="SIZE", help="Disk space that fetched files may take, such as 500G; no finished file is evicted."
)
@click.option("--limit-rate", metavar="RATE", help="Limit of the speed of all fetches together, such as 20M.")
@click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Certificate with its chain, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key, PEM.")
@click.option("--print-nginx", is_flag=True, help="Print a configuration that puts nginx in front, and exit.")
@click.option("--swarm", is_flag=True, help="Let luci on other machines share the files that are here with each other.")
@options.json_events
def command(folder: str | None, as_json: bool, **given: Any) -> int:
    """Serve models to other machines on the network.

    Other machines ask it in place of the Hub and of Ollama's registry: luci, hf, llama.cpp, Ollama, curl. What is
    installed here is sent; what is missing is fetched once, verified, and sent to all who ask for it while it comes.
    `luci help serve` shows what to set on the other machines.
    """
    certificate = _certificate(given["tls_cert"], given["tls_key"])
    if given["print_nginx"]:
        click.echo(nginx_configuration(bind=given["bind"], folder=folder, certificate=certificate), nl=False)
        return 0

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.config import KEYS, settings

        chosen = settings(folder).options
        if given["limit_rate"] is not None:
            chosen = replace(
                chosen, limit_rate=KEYS["limit_rate"].kind.parse(given["limit_rate"], "--limit-rate", Path())
            )
        quota = given["quota"] and KEYS["min_free"].kind.parse(given["quota"], "--quota", Path())
        serve(
            bind=given["bind"],
            folder=folder,
            pull=given["pull"],
            allow=given["allow"],
            quota=quota,
            certificate=certificate,
            swarm=given["swarm"],
            options=chosen,
            token=token,
            emit=emit,
        )
        token.check()
        return 0

    return session.run(work, json=as_json, what="Serving")


def _certificate(chain: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if (chain is None) != (key is None):
        missing = "--tls-key" if key is None else "--tls-cert"
        raise UsageError(f"{missing} is missing: TLS needs a certificate and its key", "Give both, or none.")
    return (chain, key) if chain and key else None
