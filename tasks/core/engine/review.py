"""Instances that a person should look at before the results are given away, and why.

What is known when the plan is made stands in the ledger then; the engine adds what only reading a whole file shows.

Public names: ``ReviewCode``, ``REVIEW_TEXTS``, ``may_show_text``, ``content_of``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ReviewCode(StrEnum):
    """Why a person should look: a closed set."""

    BURNED_IN_TEXT = "burned-in-text"
    CONTENT_EMPTIED = "content-emptied"
    DRAWN_GRAPHICS = "drawn-graphics"
    KNOWN_CLEAN = "known-clean"
    PAINTED_PIXELS = "painted-pixels"
    REGION_OUTSIDE = "region-outside"
    UNKNOWN_WORDS = "unknown-words"


REVIEW_TEXTS: Final[dict[str, str]] = {
    ReviewCode.BURNED_IN_TEXT: "text may be burned into the pixels, and nothing was painted over: "
    "BurnedInAnnotation is YES, or it is of a kind that often has it (docs/pixels.md), such as a screen capture",
    ReviewCode.PAINTED_PIXELS: "regions of images that often have text in their pixels were painted over, by a rule of "
    "pixels.rules; `deidflow pixels` shows what each of them paints",
    ReviewCode.KNOWN_CLEAN: "images of a kind that often has text in its pixels, of which a rule of pixels.rules says "
    "that there is none",
    ReviewCode.REGION_OUTSIDE: "a region of the rule that was applied lies wholly outside the frame, so that the rule "
    "may be meant for other images",
    ReviewCode.DRAWN_GRAPHICS: "lines and points of a presentation stay under clean-graphics; drawn by hand they may "
    "be writing",
    ReviewCode.UNKNOWN_WORDS: "words that no vocabulary knows stayed in a text, as text.unknown: review asks; each of "
    "them stands in review.csv once, as unknown-word",
    ReviewCode.CONTENT_EMPTIED: "a document, report or presentation that the profile emptied of its content; Keep of "
    "EncapsulatedDocument, ContentSequence or GraphicAnnotationSequence brings it through",
}
"""What the codes mean."""

_OFTEN_WITH_TEXT: Final = (
    *(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("3", "6", "7", "12", "77.1.1", "77.1.4", "77.1.7")),
    *("1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30"),
)
"""Ultrasound (twice), secondary captures, angiography and fluoroscopy, endoscopy, photographs, dermoscopy, hard copies,
and the classes beneath them (PS3.4 annex B.5): what at_risk.yaml in tasks/core/config/pixel_rules knows by class."""
_CONTENTS: Final = {
    "1.2.840.10008.5.1.4.1.1.104.": 0x00420011,
    "1.2.840.10008.5.1.4.1.1.88.": 0x0040A730,
    "1.2.840.10008.5.1.4.1.1.11.": 0x00700001,
}
"""Encapsulated documents, structured reports and presentation states (PS3.4 annex B.5) and their content."""

_SLIDE_IMAGES: Final = frozenset({"LABEL", "OVERVIEW"})
_CAPTURES: Final = ("SCREEN", "CAPTURE", "REPORT", "DOSE_INFO")


def may_show_text(sop_class_uid: str, image_type: str) -> bool:
    """Whether an object of this kind often has text in its pixels: by its class, as a capture, or as a slide's label.

    Args:
        sop_class_uid: "" when unknown.
        image_type: Its values, joined by a backslash (PS3.3 sections C.7.6.1.1.2 and C.8.12.4.1.1, edition 2026c).

    """
    if any(sop_class_uid == kind or sop_class_uid.startswith(kind + ".") for kind in _OFTEN_WITH_TEXT):
        return True
    values = {value.strip().upper() for value in image_type.split("\\")}
    return bool(values & _SLIDE_IMAGES) or any(word in value for value in values for word in _CAPTURES)


def content_of(sop_class_uid: str) -> int | None:
    """Return the attribute that holds the content of a document, report or presentation; None for other objects."""
    return next((tag for prefix, tag in _CONTENTS.items() if sop_class_uid.startswith(prefix)), None)
