"""Recordings of sound: who speaks in them, and of whom, nothing here can hear.

Table E.1-1 of PS3.15 (edition 2026d) does not speak of waveforms. A dictation names its patient all the same, and a
voice is its speaker's own, so that objects of these classes are refused unless the request decides on the sound.

Public names: ``recording_rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import PROFILE_NAME
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.editing.actions import Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_WAVEFORM_SEQUENCE: Final = 0x54000100
_WAVEFORM_DATA: Final = 0x54001010
_RECORDINGS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.9.4.1", "1.2.840.10008.5.1.4.1.1.9.4.2"})
"""Basic Voice Audio and General Audio Waveform Storage (PS3.3 sections A.34.2 and A.34.10)."""


def recording_rules(sop_class: str) -> Mapping[int, Mapping[int, Rule]]:
    """Return the rules inside items of a class, by sequence and attribute; none for classes without sound."""
    if sop_class not in _RECORDINGS:
        return {}
    rule = Rule(Action.DUMMY, f"{PROFILE_NAME} and beyond (a recording of voices): D", _refuse)
    return {_WAVEFORM_SEQUENCE: {_WAVEFORM_DATA: rule}}


def _refuse(original: Original, _: InstanceIdentifiers) -> Value | None:
    if original.is_given:
        return None
    text = "a recording in which somebody may speak; Keep or Remove WaveformSequence[*].WaveformData decides on it"
    raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
