"""How many files this process, and those that it starts, may have open at a time.

Public names: ``allow_open_files``.
"""

from __future__ import annotations

import resource
from typing import Final

from deidflow.tasks.core.errors import Unusable

_NEEDED: Final = 256
"""A run with two workers has up to 30 open, one with 256 some 200. Where there are too few of them libraries wait for
ever (Python's event loops, Prefect), or take what is there for missing."""


def allow_open_files() -> None:
    """Raise this process's own limit to what a run needs, where the system lets it.

    Raises:
        Unusable: It does not.

    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _NEEDED:
        return
    if hard != resource.RLIM_INFINITY and hard < _NEEDED:
        text = f"the limit of open files must be at least {_NEEDED}, and is {hard}; raise it to {4 * _NEEDED}: by "
        how = "`ulimit -Hn` as root before the command, LimitNOFILE= in a unit of systemd, --ulimit of a container"
        raise Unusable(text + how)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_NEEDED, hard))
