"""``python -m flows`` is the command ``deidflow``."""

from __future__ import annotations

from flows.cli import main

if __name__ == "__main__":
    main()
