"""``python -m flows`` is the command ``deidflow``; so is the console script, which comes in here."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being loaded is answered in plain words, too."""
    try:
        from deidflow.flows.cli import main as run  # noqa: PLC0415 (takes a moment, in which Ctrl-C may come)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was changed\n")
        sys.stderr.flush()
        # Python forgets no Ctrl-C that struck inside an exec(), as in dataclasses: sys.exit would end by the signal.
        os._exit(130)
    run()


if __name__ == "__main__":
    main()
