"""Studies that an Orthanc finds by their attributes: ``POST /tools/find``.

A server can be told to answer with so many resources at most (``LimitFindResults``), and does not say that it left some
out: then nothing is found by it, and everything has to be listed. Cost: one request for each question, and one for each
level that is asked for the first time.

Public names: ``find_studies``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.orthanc.connection.answers import resource_ids, whole
from deidflow.tasks.orthanc.resources.bulk_content import read_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.manifest.conditions import Find
    from deidflow.tasks.orthanc.connection.client import OrthancClient

_COUNTS: Final = {Level.PATIENT: "CountPatients", Level.STUDY: "CountStudies", Level.SERIES: "CountSeries"}
_WHAT: Final = "found resources"


def find_studies(client: OrthancClient, finds: Iterable[Find]) -> list[str] | None:
    """Find studies.

    Case is passed over, and the server's own ways of comparing hold: whoever asks looks at each answer again.

    Args:
        client: The server.
        finds: What to ask; not at the level of instances.

    Returns:
        Orthanc's identifiers of the studies at, above or below what any of them finds, each once; None when the server
        does not answer in full.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    complete: dict[Level, bool] = {}
    found: dict[str, None] = {}
    for find in finds:
        if find.level not in complete:
            complete[find.level] = _answers_in_full(client, find.level)
        if not complete[find.level]:
            return None
        names = _find(client, find.level, dict(find.query))
        if find.level is Level.STUDY:
            found.update(dict.fromkeys(names))
        else:
            found.update(dict.fromkeys(study.id for study in read_content(client, names, Level.STUDY)))
    return list(found)


def _answers_in_full(client: OrthancClient, level: Level) -> bool:
    held = whole(client.get("statistics"), _COUNTS[level], "statistics", 0)
    return len(_find(client, level, {})) >= held


def _find(client: OrthancClient, level: Level, query: dict[str, str]) -> list[str]:
    body: dict[str, Any] = {"Level": level.value.capitalize(), "Query": query, "CaseSensitive": False, "Expand": False}
    return resource_ids(client.post("tools/find", body), _WHAT)
