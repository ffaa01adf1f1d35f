"""What a container gives a command: a number without a name as its user, no home, and one folder that can be written.

Public names: ``contained``, ``why_not``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_USER = "12345"
# The rest of the file system is made read-only for this process and its children alone.
_SCRIPT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind /
mount -o remount,rw,bind "$1"
cd "$1"
shift
! touch /tmp/deidflow-is-read-only 2>/dev/null
exec "$@"
"""
# Python and this project may lie where only root may look; nothing more can be written for it.
_AS_A_NUMBER = [
    "setpriv",
    *("--reuid", _USER, "--regid", _USER, "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
]


def why_not() -> str:
    """Say why no command can be contained here, "" when one can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return "NOT IN A CONTAINER: only root can make the root file system read-only for a command (unshare, setpriv)"
    trial = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)  # noqa: S607 (Debian's)
    return "" if trial.returncode == 0 else "NOT IN A CONTAINER: unshare -m is not allowed here"


def contained(folder: Path, command: list[str], variables: dict[str, str]) -> list[str]:
    """Return the command line that runs a command in such surroundings.

    Args:
        folder: Its current folder, given to its user; all that it can write.
        command: With its arguments.
        variables: Its whole environment, but for PATH.

    """
    subprocess.run(["chown", "-R", f"{_USER}:{_USER}", folder], check=True)  # noqa: S607 (likewise)
    environment = ["env", "-i", f"PATH={os.defpath}", *(f"{name}={value}" for name, value in variables.items())]
    return ["unshare", "-m", "sh", "-c", _SCRIPT, "sh", str(folder), *_AS_A_NUMBER, *environment, *command]
