"""The differences between Orthanc and the local engine that are meant to be, each as narrow as possible, with reasons.

Every entry is a rule of deidflow's own, which goes before parity, or a mistake of Orthanc's that is not repeated. What
no entry accepts is a failure.

Public names: ``Accepted``, ``ACCEPTED``, ``accepting_entry``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.contract.parity import conditions
from tests.contract.parity import conditions_encoding as encoding
from tests.contract.parity import conditions_requests as requests
from tests.contract.parity.conditions_text import refused_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.parity.differences import Case, Difference


class Accepted(NamedTuple):
    """One accepted difference.

    Attributes:
        name: Short, for the report.
        reason: Why it is right, with the rule or the section of docs/orthanc.md.
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
        "names deidflow beside earlier steps; Orthanc overwrites them, and 1.10.1 leaves it out when there are edits",
        conditions.deidentification_method,
    ),
    Accepted(
        "absent or empty PatientID",
        "is keyed by the StudyInstanceUID, so that strangers are not merged; Orthanc makes them one patient",
        conditions.patient_id_without_original,
    ),
    Accepted("padding", "untouched elements keep theirs, DCMTK strips surplus blanks", encoding.padding_stays),
    Accepted(
        "group lengths",
        "are right for the bytes as they stand, which DCMTK writes anew with other lengths",
        encoding.group_length,
    ),
    Accepted(
        "group lengths in given items",
        "are passed over as at top level (docs/orthanc.md, Values); DCMTK writes them, computed",
        encoding.group_length_in_given_items,
    ),
    Accepted("encapsulated OW", "untouched PixelData keeps its VR, DCMTK writes OB", encoding.encapsulated_vr),
    Accepted(
        "elements sent as UN",
        "are treated by their tag; Orthanc leaves their values, identifiers among them, as they are",
        encoding.unknown_vr,
    ),
    Accepted(
        "two results of one identifier",
        "both fail; Orthanc keeps one of them in silence (docs/orthanc.md, hazard 5)",
        requests.collision,
    ),
    Accepted(
        "sequences sent as UN",
        "of undefined length stay UN; DCMTK writes them as SQ",
        encoding.sequence_as_unknown,
    ),
    Accepted(
        "SOP class in the meta information",
        "is the source's where the dataset has no readable SOPClassUID; DCMTK writes one of its own",
        encoding.meta_of_dataset,
    ),
    Accepted(
        "characters outside of the set",
        "text that pydicom can encode is written whole, Orthanc drops the characters (docs/orthanc.md, hazard 8)",
        conditions.lost_text,
    ),
    Accepted(
        "control characters",
        "are written as given; Orthanc drops them where the file's character set is plain ASCII or unknown",
        conditions.control_characters,
    ),
    Accepted(
        "text that cannot be encoded",
        "fails the instance, where Orthanc's result lacks characters, or declares another set over text that stays",
        refused_text,
    ),
    Accepted("new attributes", "have their VR; the server's older dictionary makes them UN", requests.newer_tag),
    Accepted(
        "several numbers",
        "are written, which Orthanc does from 1.12 on (AT: 1.13); negative ones in US or SS, too, which it refuses",
        requests.version_of_numbers,
    ),
    Accepted(
        "attributes of a patient with other studies",
        "can be changed at study level; Orthanc 1.12 refuses by what it holds (the planner checks the manifest's rows)",
        requests.patient_of_study,
    ),
    Accepted(
        "references to kept and replaced UIDs",
        "follow them, so that they stay true; Orthanc gives them another UID or leaves the original "
        "(docs/orthanc.md, UID map)",
        conditions.named_reference,
    ),
    Accepted(
        "private sequences that are not marked",
        "(UN or implicit VR, defined length) are edited as the sequences that they are; Orthanc leaves their bytes",
        conditions.unmarked_private_sequence,
    ),
    Accepted(
        "references outside the profile",
        "that name an object of the run are mapped, in kept sequences, too; Orthanc leaves them",
        conditions.object_of_the_run,
    ),
    Accepted(
        "PatientIdentityRemoved",
        "says NO where the request keeps or gives back the original name or ID",
        conditions.untrue_claim,
    ),
    Accepted(
        "digital signatures",
        "and trailing padding go, since no signature would fit; Orthanc leaves them in modify and under 2008",
        conditions.signatures,
    ),
    Accepted(
        "lookup tables",
        "can be given as bytes or numbers, Orthanc refuses them; "
        "1.13.0 refuses bytes and text for palettes and overlays, too",
        requests.lookup_table,
    ),
    Accepted(
        "images and PDF documents",
        "in Replace are refused: Orthanc makes another object of them than the one that is edited",
        requests.embedded_object,
    ),
    Accepted(
        "unknown members of a request",
        "are refused by name; Orthanc passes over them",
        requests.unknown_member,
    ),
    Accepted(
        "members of the other route",
        "are refused when their value is wrong; Orthanc does not read them (KeepLabels, LossyQuality: 1.10.1)",
        requests.member_of_the_other_route,
    ),
    Accepted(
        "one element twice",
        "in Replace, under two spellings, is refused; Orthanc takes one of them",
        requests.same_element_twice,
    ),
    Accepted(
        "syntaxes without a codec",
        "are refused before any work (JPEG and JPEG 2000 with loss); Orthanc writes them",
        requests.without_codec,
    ),
    Accepted(
        "syntaxes that Orthanc lacks",
        "are converted: it knows no JPEG 2000, writes no RLE, compresses no YBR_FULL_422 without loss, and leaves the "
        "file's syntax instead "
        "(docs/orthanc.md, Transcoding)",
        encoding.kept_syntax,
    ),
    Accepted(
        "pixels that cannot be converted",
        "fail the instance; Orthanc leaves the syntax in silence (docs/orthanc.md, Transcoding), "
        "or its decoder forgives more",
        encoding.impossible_conversion,
    ),
    Accepted(
        "values that Keep cancels",
        "are refused when they are numbers or objects; Orthanc does not look at them",
        requests.kept_value,
    ),
    Accepted(
        "SelectorUNValue",
        "is emptied as the profile 2023b has it; Orthanc fails the instance (docs/orthanc.md, Items)",
        requests.emptied_unknown,
    ),
    Accepted(
        "numbers of either sign",
        "converted from implicit VR follow PixelRepresentation (PS3.5 A.1), Orthanc writes US",
        encoding.number_of_either_sign,
    ),
    Accepted(
        "new attributes in implicit files",
        "get their VR when converted; the server's older dictionary makes them UN",
        encoding.newer_tag_without_vr,
    ),
    Accepted(
        "new transfer syntaxes",
        "are edited as any other; Orthanc takes the files and cannot write them again",
        encoding.newer_syntax,
    ),
    Accepted(
        "32-bit pixels in big endian",
        "are words of four bytes, as in pydicom's files, so that decoded pixels stay; Orthanc turns pairs of bytes",
        encoding.words_of_32_bits,
    ),
    Accepted(
        "identifiers of other levels",
        "follow Orthanc 1.12, which accepts with Force what 1.10.1 refuses (docs/orthanc.md, Which identifiers change)",
        requests.strict_identifiers,
    ),
    Accepted(
        "spellings of tags in items",
        "are the same as everywhere; Orthanc takes no parentheses and blanks there",
        requests.odd_spelling_in_item,
    ),
    Accepted(
        "empty numbers in items",
        "are written, since Clear must work at any depth; Orthanc takes them at top level only",
        requests.empty_number_in_item,
    ),
    Accepted(
        "hardening",
        "curves and overlays at top level are removed, nested PatientName and PatientID mapped; only when it is on",
        conditions.hardening,
    ),
    Accepted("new keywords", "are known from the edition of pydicom's dictionary", requests.newer_keyword),
    Accepted(
        "PixelData as text",
        "is always refused; Orthanc writes it into deflated files only",
        requests.pixels_as_text,
    ),
    Accepted(
        "private creators",
        "are LO (PS3.5 section 7.8.1, edition 2026c), Orthanc writes UN",
        encoding.private_creator,
    ),
    Accepted(
        "empty UID",
        "stays empty; Orthanc gives all empty ones the same new UID (docs/orthanc.md, UID map)",
        conditions.empty_uid,
    ),
    Accepted(
        "multi-valued UID",
        "each is mapped; Orthanc makes them one new UID (docs/orthanc.md, UID map)",
        conditions.multi_valued_uid,
    ),
)


def accepting_entry(case: Case, found: Difference) -> Accepted | None:
    """Return the entry that accepts a difference, None when it is a failure."""
    return next((entry for entry in ACCEPTED if entry.holds(case, found)), None)
