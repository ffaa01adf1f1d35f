"""What documents and sources say of one another: every section that is cited and every path that is named exists."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ORTHANC: Final = ROOT / "docs" / "orthanc.md"
SOURCES: Final = tuple(
    path
    for folder in ("", "benchmarks/**/", "configs/**/", "docs/**/", "flows/**/", "tasks/**/", "tests/**/")
    for path in ROOT.glob(f"{folder}*")
    if path.suffix in {".py", ".md", ".csv", ".yaml", ".toml"}
)
# A number after "reference", over the ends of lines of comments and texts.
_NUMBERED: Final = re.compile(r"\breferences?,?\s+(?:sections?\s+)?\d+(?:\.\d+)?(?=[\s,;.):])", re.IGNORECASE)
_CITED: Final = re.compile(r"docs/orthanc\.md, ([^.;:)]+)")
_HAZARDS: Final = re.compile(r"hazards? (\d+(?:(?:, | and )\d+)*)")
NAMING: Final = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "configs/*.md", "docs/**/*.md", "tests/tools/*.md")
    for path in ROOT.glob(pattern)
)
FULL_OF_PATHS: Final = frozenset({"README.md", "CONTRIBUTING.md", "docs/architecture.md"})
_PATH: Final = re.compile(
    r"(?<![\w/.-])(?:tasks|flows|tests|configs|docs|benchmarks|\.ci)/[\w./*-]*|(?<![\w/.-])[\w-]+\.(?:md|toml|lock)\b|Makefile"
)


def _text(path: Path) -> str:
    """Return a file as one line: what stands between the lines of a comment or of parted texts is taken out."""
    return re.sub(r"\"?\n\s*(?:# |\")?", " ", path.read_text("utf-8"))


def _sections() -> set[str]:
    return set(re.findall("^## (.+)$", ORTHANC.read_text("utf-8"), re.MULTILINE))


def test_no_source_cites_a_document_by_a_number() -> None:
    """A number is one of a document that is not in the repository: cite a section of docs/orthanc.md by its name."""
    # A table of the standard names a "Reference 2001 ..." of a maker.
    ours = (path for path in SOURCES if path != Path(__file__) and path.name != "safe_private.csv")
    found = {path.relative_to(ROOT): _NUMBERED.findall(_text(path)) for path in ours}
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_cited_sections_of_the_orthanc_page_exist() -> None:
    """What follows the name of the page begins with a section of it, or names hazards by their numbers."""
    sections = _sections()
    hazards = ORTHANC.read_text("utf-8").partition("## Hazards")[2].partition("\n## ")[0]
    numbers = set(re.findall(r"^(\d+)\. ", hazards, re.MULTILINE))
    wrong, cited = [], 0
    for path in SOURCES:
        for what in _CITED.findall(_text(path)) if path != Path(__file__) else ():
            cited += 1
            if found := _HAZARDS.match(what):
                is_there = set(re.findall(r"\d+", found[1])) <= numbers
            else:
                is_there = any(re.match(rf"{re.escape(section)}(?:$|\W)", what) for section in sections)
            if not is_there:
                wrong.append((path.relative_to(ROOT), what))
    assert wrong == []
    assert cited > 40


@pytest.mark.parametrize("name", NAMING)
def test_paths_that_a_document_names_exist(name: str) -> None:
    """As they stand there, from the root of the repository; a star stands for any name."""
    document = ROOT / name
    text = document.read_text("utf-8")
    named = {path.rstrip(".") for path in _PATH.findall(text)}
    missing = [path for path in sorted(named) if not (any(ROOT.glob(path)) or any(document.parent.glob(path)))]
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not (document.parent / link).exists()]
    assert (missing, links) == ([], [])
    assert named or name not in FULL_OF_PATHS


def _anchors(path: Path) -> set[str]:
    """Return what GitHub makes of the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMING)
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    """To a file from its own folder, and to a heading in it."""
    document = ROOT / name
    links = re.findall(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)", document.read_text("utf-8"))
    wrong = []
    for path, anchor in links:
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append((path, anchor))

    assert wrong == []
