"""Earlier runs whose destination had another name: a folder behind a link, a server before it was given TLS.

An Orthanc that edits draws new identifiers for each result, and notes what it was made from, so a server that holds
such results of a run is the one that made them. To another one some may have been sent, but there nothing is noted.
What addresses lead to proves nothing: one address may serve several servers, by their names.

Public names: ``find_under_other_addresses``, ``in_one_folder``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.ledger.state.state import RunPlace, State

_SAMPLES: Final = 100
"""Results of each run that are looked for, the smallest identifiers: some may have been deleted since."""


def find_under_other_addresses(state: State, config: Config, where: RunPlace) -> None:
    """Have runs of a config count as runs at its server where that holds what they made, under whatever address.

    Args:
        state: Up to date; what is found is kept in it.
        config: Of the run that is planned.
        where: Of that run.

    Raises:
        DeidflowError: The server cannot be asked, see ``deidflow.tasks.orthanc.connection.errors``.

    """
    if config.engine != "orthanc":
        return
    elsewhere = [run.number for run in state.runs().values() if run.is_loaded and _may_be_here(run.where, where)]
    if not elsewhere:
        return
    from deidflow.tasks.orthanc.resources.bulk_content import read_content  # noqa: PLC0415 (not for folders: httpx)
    from deidflow.tasks.steps.access.servers import connect  # noqa: PLC0415 (likewise)

    url = json.loads(where.place)["destination"]["orthanc"]
    with connect(url, config.orthanc, warn=False) as client, state.transaction():
        for number in elsewhere:
            if any(result.origins for result in read_content(client, state.results_of(number, _SAMPLES))):
                state.move(number, where.place)


def in_one_folder(its: RunPlace, where: RunPlace) -> bool:
    """Whether two places differ in nothing but the path of one folder of results."""
    if its.place == where.place:
        return False
    one, other = json.loads(its.place), json.loads(where.place)
    here, there = ((place.pop("destination") or {}).get("folder") for place in (one, other))
    if one != other or not here or not there:
        return False
    try:
        return os.path.samefile(here, there)  # noqa: PTH121 (texts)
    except OSError:
        return False


def _may_be_here(its: RunPlace, where: RunPlace) -> bool:
    """Whether two places differ in nothing but the server's address, and the configs are one."""
    if its.name != where.name or its.place == where.place:
        return False
    one, other = json.loads(its.place), json.loads(where.place)
    return all(one.get(key) == other.get(key) for key in ("engine", "scope"))
