"""How results are packed for a recipient: the group ``export`` of a config, and the flags of ``deidflow export``.

Public names: ``ExportChoice``, ``DEFAULT_LAYOUT``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_LAYOUT: Final = "{PatientID}/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm"


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What an export is to be like.

    Attributes:
        layout: Template of each file's path, from attributes of the result by keyword.
        archive: ``none`` or ``zip``.
        per: ``patient`` or ``study``: what an archive holds.
        recipients: age public keys; archives and index are encrypted for all of them.
        include_review: Whether what a person should look at first is packed, too.

    """

    layout: str = DEFAULT_LAYOUT
    archive: str = "none"
    per: str = "patient"
    recipients: tuple[str, ...] = ()
    include_review: bool = False
