"""Verify a file of evidence: ``python -m sessionstream.integrity FILE``; it needs no server, and no client of one.

The key is SESSIONSTREAM_SEAL_KEY. The exit code is 0 if nothing is found, 1 if something is, 2 if that cannot be told,
for want of a key too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sessionstream.errors import SessionStreamError
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.settings import settings_from

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Verify the file that the arguments name, and print what is found."""
    parser = argparse.ArgumentParser(
        prog="python -m sessionstream.integrity", description=(__doc__ or "").split(";")[0]
    )
    parser.add_argument("file", type=Path, help="the evidence")
    parser.add_argument("--anchor", type=Path, help="what was known outside of the server")
    options = parser.parse_args(arguments)
    try:
        evidence = verify_evidence(options.file, Keyring.of(settings_from()), anchor=options.anchor)
    except SessionStreamError as error:
        print(f"sessionstream: {error}", file=sys.stderr)
        return 2
    found = evidence.verification
    print(f"session {found.session_id} of namespace {evidence.namespace}")
    erased = f", {found.erased} of them erased" if found.erased else ""
    print(f"{found.version} events{erased}, {found.sealed_to} of them sealed")
    for one in found.findings:
        print(f"  ! {one.kind}: {one.offset or one.name or ''} {one.detail}")
    for told in found.unchecked:
        print(f"  ? not checked: {told.says}: {told.why}")
    print("nothing was found" if found.ok else f"{len(found.findings)} findings")
    return 1 if not found.ok else 2 if found.unproven else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
