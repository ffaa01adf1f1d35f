"""Facts for tests of rules about pixels."""

from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.pixels.facts import KeptRegion, PixelFacts


def facts_of(*regions: KeptRegion, **values: str | int) -> PixelFacts:
    """Return facts of an image with the given elements, by keyword, and items of SequenceOfUltrasoundRegions."""
    tags = {name: tag_for_keyword(name) for name in values}
    assert None not in tags.values()
    return PixelFacts({tags[name] or 0: str(value) for name, value in values.items()}, regions)
