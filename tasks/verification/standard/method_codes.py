"""Whether the codes of a de-identification say what was applied, and no more (engine local, PS3.15 profile).

Source: DICOM PS3.15 sections E.1.1 and E.3 (edition 2026d), PS3.16 CID 7050.

Public names: ``check_codes``, ``codes_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import IDENTIFIERS, Path, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.standard.profile import overruled, standard_profile

if TYPE_CHECKING:
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.leaks.identifying import Treated
    from deidflow.tasks.verification.reader import Item, Read

_CODES: Final = 0x00120064
_CODE_VALUE: Final = 0x00080100
_BASIC: Final = b"113100"
_OF_OPTIONS: Final = {
    "clean-pixel-data": b"113101",
    "clean-recognizable-visual-features": b"113102",
    "clean-graphics": b"113103",
    "clean-structured-content": b"113104",
    "clean-descriptors": b"113105",
    "retain-longitudinal-full-dates": b"113106",
    "retain-longitudinal-modified-dates": b"113107",
    "retain-patient-characteristics": b"113108",
    "retain-device-identity": b"113109",
    "retain-uids": b"113110",
    "retain-safe-private": b"113111",
    "retain-institution-identity": b"113112",
}
_DEVICE_IDENTITY: Final = "retain-device-identity"
_CLEAN_PIXELS: Final = "clean-pixel-data"
_RETAIN_UIDS: Final = "retain-uids"
_PROTECTED: Final = frozenset({Fate.REMOVED, Fate.EMPTIED, Fate.UID, Fate.DUMMY, Fate.CHANGED})


def check_codes(request: Request, profile: ProfileChoice, treated: Treated, source: Read, result: Read) -> None:
    """Compare the codes that a result has beside its source's with the profile, its options and the request.

    Args:
        request: An anonymization; where it names the codes itself they are passed over.
        profile: Of the run.
        treated: What the profile does without the request.
        source: Read to its end.
        result: Likewise.

    Raises:
        InstanceFailed: ``result-differs``: an option is claimed that was not asked for, or the basic profile although
            the request keeps what it protects or an option is overruled; or less than all is claimed where the request
            keeps nothing.

    """
    edits = request.edits
    if Path((), _CODES) in set(edits.paths()):
        return
    earlier, now = codes_of(source), codes_of(result)
    allowed = {_BASIC, *(_OF_OPTIONS[option] for option in profile.options if option in _OF_OPTIONS)}
    named = {path.tag for path in edits.keep if not path.is_nested} & standard_profile(profile.options).top.keys()
    if _RETAIN_UIDS in profile.options:
        named -= set(IDENTIFIERS)  # the option keeps them in the request's name
    departs = any(treated.fate(tag, 0) in _PROTECTED for tag in named)
    is_overruled = _has_any(source.elements, overruled(profile.options))
    if is_overruled:  # what device identity keeps is not kept in full, and nothing else says that it is kept at all
        allowed.discard(_OF_OPTIONS[_DEVICE_IDENTITY])
    if departs or is_overruled:
        allowed.discard(_BASIC)
    asks_for_more = edits.keep or request.settings.keep_private_tags
    lacks = not asks_for_more and not allowed - {_OF_OPTIONS[_CLEAN_PIXELS]} <= now
    if now - earlier - allowed or lacks:
        text = f"{describe_tag(_CODES)} of the result does not say what was applied"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _has_any(elements: Item, tags: frozenset[int]) -> bool:
    """Whether one of the attributes is at any depth."""
    return bool(tags) and any(
        tag in tags or any(_has_any(item, tags) for item in items or ()) for tag, _, _, _, items in elements
    )


def codes_of(read: Read) -> set[bytes]:
    """Return the code values of De-identification Method Code Sequence at top level, without padding."""
    return {
        read.value(start, end).strip(b" \0")
        for tag, _, _, _, items in read.elements
        if tag == _CODES
        for item in items or ()
        for inner, _, start, end, _ in item
        if inner == _CODE_VALUE
    }
