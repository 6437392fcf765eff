"""Update luci's built-in catalog from the Hub.

.venv/bin/python scripts/update_catalog.py --dry-run
.venv/bin/python scripts/update_catalog.py mistral phi-3
"""

from __future__ import annotations

import argparse
import sys

from luci_dl.api.catalog_edit import built_in_file
from luci_dl.api.config import settings as settings_of
from luci_dl.cli.catalog_update import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these models")
    parser.add_argument("--pin", action="store_true", help="also write the commit of files that have none")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only report what would change")
    parser.add_argument("--json", action="store_true", help="for programs, on stdout")
    args = parser.parse_args()
    settings = settings_of()
    catalog_file = built_in_file(settings)
    return run(settings, catalog_file, args.names, pin=args.pin, dry_run=args.dry_run, as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
