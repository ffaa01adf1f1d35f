"""Which deidflow this is.

Public names: ``deidflow_version``.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def deidflow_version() -> str:
    """Return the installed version, "0" in an uninstalled checkout."""
    try:
        return version("deidflow")
    except PackageNotFoundError:
        return "0"
