"""The supervisor as a script: ``python -I -S …/supervisor/__main__.py folder runtime binary grace patience``."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Appended, not put in front: in site-packages there may be modules named like some of the standard library.
    package = os.path.abspath(__file__)
    for _ in range(5):
        package = os.path.dirname(package)
    sys.path.append(package)

    from sessionstream.wire.embedded.supervisor.start import main

    sys.exit(main(sys.argv[1:]))
