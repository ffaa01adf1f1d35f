"""report.html in a real browser: nothing is cut at 400 pixels or on paper, and colours can be read, dark and light."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.jobs import DEMO_DATA, Job, read_csv

if TYPE_CHECKING:
    from pathlib import Path

BROWSER: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(BROWSER is None, reason="NO BROWSER: Debian: apt-get install chromium"),
]

# Of every element with text of its own: whether it is cut, and the contrast of its colour (WCAG 2.2, 1.4.3).
MEASURE: Final = """
<script>
function luminance(text) {
  const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
function paper(element) {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
  }
  return "rgb(255, 255, 255)";
}
addEventListener("load", () => {
  const width = document.documentElement.clientWidth, cut = [], faint = [];
  let texts = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(element);
    // The names of columns are hidden on a narrow page, where each cell names its own.
    if (!own || element.closest("svg, script") || (innerWidth < 640 && element.closest("thead"))) continue;
    texts += 1;
    const box = element.getBoundingClientRect();
    const hidden = style.overflow !== "visible" && element.scrollWidth > element.clientWidth + 1;
    if (box.right > width + 1 || box.left < -1 || hidden) cut.push(element.textContent.trim().slice(0, 60));
    const [one, other] = [luminance(style.color), luminance(paper(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) faint.push(`${element.className} ${style.color} on ${paper(element)}`);
  }
  const wide = document.documentElement.scrollWidth > width + 1;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.title = JSON.stringify({texts, cut, faint: [...new Set(faint)], wide, dark});
});
</script>
"""


@pytest.fixture
def page(job: Job) -> Path:
    """The page of a run with three kinds of failure, things to look at, and files that were not used."""
    shutil.copytree(DEMO_DATA, job.source)
    job.write_config()
    rows = job.inventory()
    (job.source / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM\2\0\0\0UL\4\0\xff\0\0\0")
    files = sorted(path for path in job.source.rglob("*") if path.is_file() and path.stat().st_size > 5000)
    files[0].write_bytes(files[0].read_bytes()[:-2000])
    unknown = "0" * 8 + ("-" + "0" * 8) * 4
    extra = [rows[0] | {"orthanc_id": unknown, "instances": ""}, rows[0] | {"orthanc_id": "no-id", "instances": ""}]
    job.write_manifest([*rows, *extra])
    done = job("run", "job.yaml", "--run-id", "three", "--skip-invalid")
    assert 1 == done.code, done.err
    assert "deidflow resume" in done.out
    return job.root / "runs" / "three" / "report.html"


def _measured(page: Path, width: int, *flags: str) -> dict[str, Any]:
    """Return what the page says of itself in a window of a width in pixels."""
    text = page.read_text(encoding="utf-8")
    # A browser makes no window narrower than 500 pixels; a frame may have any width.
    inner = page.with_name("measured.html")
    inner.write_text(text.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    outer = page.with_name("frame.html")
    outer.write_text(
        f'<iframe id="f" src="measured.html" style="width:{width}px;height:2000px;border:0"></iframe>'
        '<script>addEventListener("load", () => '
        "setTimeout(() => { document.title = f.contentDocument.title }, 500));</script>"
    )
    command = [
        str(BROWSER),
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            "--virtual-time-budget=5000",
        ),
        f"--user-data-dir={page.with_name('browser')}",
        *flags,
        "--dump-dom",
        outer.as_uri(),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (title,) = re.findall("<title>(.*?)</title>", said)
    found: dict[str, Any] = json.loads(title.replace("&quot;", '"').replace("&amp;", "&"))
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_cut_or_faint(page: Path, dark: bool) -> None:
    """At 400 pixels, at the width of paper and on a desktop; contrast at least 4.5 to 1."""
    flags = ["--blink-settings=preferredColorScheme=0"] if dark else []
    for width in (400, 640, 1200):
        found = _measured(page, width, *flags)
        assert dark == found["dark"]
        assert found["texts"] > 60
        assert ([], [], False) == (found["cut"], found["faint"], found["wide"]), width


def test_no_identifier_is_in_it(page: Path) -> None:
    """Neither those of the manifest nor of what the results became; the reasons and what to do next are."""
    text = page.read_text(encoding="utf-8")
    for name in ("manifest.csv", "runs/three/crosswalk.csv"):
        for row in read_csv(page.parents[2] / name):
            for column in ("orthanc_id", "original_orthanc_id", "original_dicom_id", "new_dicom_id"):
                value = row.get(column, "")
                assert len(value) < 8 or value not in text
    for code in ("not-found", "invalid-row", "damaged"):
        assert f"<code>{code}</code>" in text


def test_it_can_be_printed(page: Path) -> None:
    """Every line of text of the page is in the PDF that the browser prints."""
    target = page.with_suffix(".pdf")
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.with_name('browser')}"),
        f"--print-to-pdf={target}",
        page.as_uri(),
    ]
    subprocess.run(command, capture_output=True, check=True, timeout=120)

    assert target.read_bytes().startswith(b"%PDF")


def test_the_measuring_finds_what_is_cut(page: Path) -> None:
    """Without its rules for narrow pages the same page is cut at 400 pixels, and grey on white is faint."""
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("max-width: 40rem", "max-width: 1rem").replace("--soft: #59636e", "--soft: #aab"))
    found = _measured(page, 400)

    assert found["cut"] or found["wide"]
    assert found["faint"]
