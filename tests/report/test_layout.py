"""The page in a browser: nothing is wider than the window."""

import re
import shutil
import subprocess

import pytest
from tests.report.cases import page, subject
from tests.report.test_page import HOSTILE, cleaned

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WRAPPER = """<!doctype html><body><iframe id="f" style="width:{width}px;height:3000px;border:0"
src="page.html"></iframe><script>
window.onload = () => {{
  const root = document.getElementById("f").contentDocument.documentElement;
  document.body.setAttribute("data-widths", [root.scrollWidth, root.clientWidth].join(" "));
}};</script></body>"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"No browser is here to measure in: none of {', '.join(BROWSERS)}.")
    return found


def widths(browser, folder, text, width):
    """Return how wide the page is and how wide its window is, in pixels."""
    (folder / "page.html").write_text(text)
    (folder / "wrapper.html").write_text(WRAPPER.format(width=width))
    ran = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--allow-file-access-from-files",
         f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--dump-dom",
         "--virtual-time-budget=5000", (folder / "wrapper.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'data-widths="(\d+) (\d+)"', ran.stdout)
    assert found, ran.stderr[-500:]
    return tuple(map(int, found.groups()))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_nothing_needs_scrolling_sideways(kind, width, browser, tmp_path):
    found = subject(features=4, names=HOSTILE, classes=4 if kind == "classification" else 0)
    scroll, client = widths(browser, tmp_path, page(cleaned(found)), width)
    assert client == width
    assert scroll <= client


def test_a_page_that_is_too_wide_would_be_seen(browser, tmp_path):
    text = page(subject(rows=5, held=0)).replace("<main>", '<main><p style="width:800px">wide</p>')
    scroll, client = widths(browser, tmp_path, text, 390)
    assert scroll > client
