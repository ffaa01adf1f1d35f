"""What an Orthanc is able to do, by its version and its own word.

Source: ``GET /system`` (all versions; ``ReadOnly`` since 1.12.5, ``IngestTranscoding`` since 1.11.0,
``DatabaseServerIdentifier`` and the limits of the storage on 1.12.7, not on 1.10.1) and the release notes.

Public names: ``Server``, ``read_server``, ``MINIMUM``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.plan.server_abilities import shown
from deidflow.tasks.orthanc.connection.errors import BadRequest, NotFound, ServerError, WrongAddress

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient

Version = tuple[int, int, int]

MINIMUM: Final[Version] = (1, 9, 4)
"""The first with ``/tools/bulk-modify``, ``/tools/bulk-anonymize`` and ``/tools/bulk-content``."""

_NEWEST: Final[Version] = (999, 0, 0)
_STRANGER: Final = (
    "what answers there is not an Orthanc; check address and port, and that no proxy wants a client certificate or a "
    "log-in"
)


@dataclass(frozen=True, slots=True)
class Server:
    """One Orthanc as it presents itself.

    Attributes:
        version: ``(1, 10, 1)``; development builds (``mainline``) count as newer than all.
        text: The version as it tells it.
        read_only: It writes nothing.
        makes_room: Whether it deletes its oldest patients when it is full; None when it does not say (1.10.1).
        identity: ``DatabaseServerIdentifier`` (1.11.1 on), else "".
        may_convert: Whether it stores other bytes than it is sent (``IngestTranscoding``), or does not say (before
            1.11.0).

    """

    version: Version
    text: str
    read_only: bool = False
    makes_room: bool | None = None
    identity: str = ""
    may_convert: bool = True

    @property
    def checks_patients(self) -> bool:
        """Whether modify at level Study wants study IDs and values that agree with the patient's other studies."""
        return self.version >= (1, 11, 3)

    @property
    def loses_links(self) -> bool:
        """Whether a result that is converted as it is stored (``IngestTranscoding``) does not tell its original.

        AnonymizedFrom and ModifiedFrom were lost by it until 1.11.3.
        """
        return self.version < (1, 11, 3)

    @property
    def repeats_jobs(self) -> bool:
        """Whether it runs jobs again that were at work when it was killed (1.10.1; 1.12.7 has them in Failure)."""
        return self.version < (1, 12, 7)

    @property
    def has_user_data(self) -> bool:
        """Whether a job keeps ``UserData``."""
        return self.version >= (1, 12, 9)


def read_server(client: OrthancClient) -> Server:
    """Ask a server what it is.

    Raises:
        WrongAddress: It is no Orthanc, or older than 1.9.4.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    try:
        answer = client.get("system")
    except (NotFound, BadRequest):
        answer = None
    except ServerError as error:
        if error.http_status >= 500:  # noqa: PLR2004 (a server's trouble, not a stranger's page)
            raise
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("Version"), str):
        raise WrongAddress(_STRANGER)
    numbers = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", answer["Version"])
    version = (int(numbers[1]), int(numbers[2]), int(numbers[3])) if numbers else _NEWEST
    if version < MINIMUM:
        message = f"the Orthanc is too old ({shown(version)}); bulk editing needs {shown(MINIMUM)} or later"
        raise WrongAddress(message)
    identity = answer.get("DatabaseServerIdentifier")
    return Server(
        version,
        shown(version) if numbers else "mainline",
        answer.get("ReadOnly") is True,
        _makes_room(answer),
        identity if isinstance(identity, str) else "",
        answer.get("IngestTranscoding") != "",
    )


def _makes_room(answer: dict[str, Any]) -> bool | None:
    """Whether patients are deleted when the server is full (``MaximumStorageMode`` Recycle, the only way before)."""
    limits = [answer[key] for key in ("MaximumPatientCount", "MaximumStorageSize") if key in answer]
    if not limits:
        return None
    return any(limits) and answer.get("MaximumStorageMode", "Recycle") != "Reject"
