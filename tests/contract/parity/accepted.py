"""The differences between Orthanc and the local engine that are meant to be, each as narrow as possible, with reasons.

Every entry is a rule of deidflow's own, which goes before parity, or a mistake of Orthanc's that is not repeated. What
no entry accepts is a failure.

Public names: ``Accepted``, ``ACCEPTED``, ``accepting_entry``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.contract.parity import conditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.parity.compare import Case, Difference


class Accepted(NamedTuple):
    """One accepted difference.

    Attributes:
        name: Short, for the report.
        reason: Why it is right, with the rule or the reference.
        holds: Whether a difference is this one.

    """

    name: str
    reason: str
    holds: Callable[[Case, Difference], bool]


ACCEPTED: Final = (
    Accepted(
        "PatientName",
        "the engine's is Anonymized^ and the new PatientID's first eight characters, the same in every run",
        conditions.patient_name,
    ),
    Accepted(
        "DeidentificationMethod",
        "names deidflow, always with the profile; Orthanc 1.10.1 leaves it out when there are Replace, Keep or Remove",
        conditions.deidentification_method,
    ),
    Accepted(
        "absent or empty PatientID",
        "is keyed by the StudyInstanceUID, so that strangers are not merged; Orthanc makes them one patient",
        conditions.patient_id_without_original,
    ),
    Accepted("padding", "untouched elements keep theirs, DCMTK strips surplus blanks", conditions.padding_stays),
    Accepted(
        "group lengths", "untouched ones stay, DCMTK computes all anew with its own encoding", conditions.group_length
    ),
    Accepted("encapsulated OW", "untouched PixelData keeps its VR, DCMTK writes OB", conditions.encapsulated_vr),
    Accepted("file meta of modify", "what the source lacks is not added by modify", conditions.meta_of_modify),
    Accepted(
        "elements sent as UN",
        "are treated by their tag; Orthanc leaves their values, identifiers among them, as they are",
        conditions.unknown_vr,
    ),
    Accepted(
        "two results of one identifier",
        "both fail; Orthanc keeps one of them in silence (reference 0, hazard 5)",
        conditions.collision,
    ),
    Accepted(
        "sequences sent as UN", "of undefined length stay UN; DCMTK writes them as SQ", conditions.sequence_as_unknown
    ),
    Accepted(
        "SOP class in the meta information",
        "modify leaves what contradicts the dataset; without a readable SOPClassUID DCMTK writes one of its own",
        conditions.meta_of_dataset,
    ),
    Accepted(
        "characters outside of the set",
        "text that pydicom can encode is written whole, Orthanc drops the characters (reference 0, hazard 8)",
        conditions.lost_text,
    ),
    Accepted(
        "control characters",
        "are written as given; Orthanc drops them where the file's character set is plain ASCII or unknown",
        conditions.control_characters,
    ),
    Accepted(
        "text that cannot be encoded",
        "the instance fails; Orthanc drops the characters in silence (reference 0, hazard 8)",
        conditions.refused_text,
    ),
    Accepted("new attributes", "have their VR; the server's older dictionary makes them UN", conditions.newer_tag),
    Accepted(
        "several numbers",
        "are written, which Orthanc does from 1.12 on (AT: 1.13); negative ones in US or SS, too, which it refuses",
        conditions.version_of_numbers,
    ),
    Accepted(
        "attributes of a patient with other studies",
        "can be changed at study level; Orthanc 1.12 refuses by what it holds (the planner checks the manifest's rows)",
        conditions.patient_of_study,
    ),
    Accepted(
        "references to kept and replaced UIDs",
        "follow them, so that they stay true; Orthanc gives them another UID or leaves the original (reference 3.3)",
        conditions.named_reference,
    ),
    Accepted("lookup tables", "can be given as bytes, Orthanc refuses them", conditions.lookup_table),
    Accepted(
        "images and PDF documents",
        "in Replace are refused: Orthanc makes another object of them than the one that is edited",
        conditions.embedded_object,
    ),
    Accepted(
        "mistakes in a request",
        "are refused: unknown members, wrong types of those that the route ignores, odd spellings of tags and indices",
        conditions.surely_a_mistake,
    ),
    Accepted(
        "identifiers of other levels",
        "follow Orthanc 1.12, which accepts with Force what 1.10.1 refuses (reference 2.1)",
        conditions.strict_identifiers,
    ),
    Accepted(
        "spellings of tags in items",
        "are the same as everywhere; Orthanc takes no parentheses and blanks there",
        conditions.odd_spelling_in_item,
    ),
    Accepted(
        "empty numbers in items",
        "are written, since Clear must work at any depth; Orthanc takes them at top level only",
        conditions.empty_number_in_item,
    ),
    Accepted(
        "hardening",
        "curves and overlays at top level are removed, nested PatientName and PatientID mapped; only when it is on",
        conditions.hardening,
    ),
    Accepted("new keywords", "are known from the edition of pydicom's dictionary", conditions.newer_keyword),
    Accepted(
        "PixelData as text", "is always refused; Orthanc writes it into deflated files only", conditions.pixels_as_text
    ),
    Accepted(
        "private creators", "are LO (PS3.5 section 7.8.1, edition 2026c), Orthanc writes UN", conditions.private_creator
    ),
    Accepted(
        "empty UID", "stays empty; Orthanc gives all empty ones the same new UID (reference 3.3)", conditions.empty_uid
    ),
    Accepted(
        "multi-valued UID",
        "each is mapped; Orthanc makes them one new UID (reference 3.3)",
        conditions.multi_valued_uid,
    ),
)


def accepting_entry(case: Case, found: Difference) -> Accepted | None:
    """Return the entry that accepts a difference, None when it is a failure."""
    return next((entry for entry in ACCEPTED if entry.holds(case, found)), None)
