"""What the tests of the built book have in common."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.md"))
PAGES = [f"book/{path.stem}" for path in sorted((ROOT / "book").glob("*.md"))]
PAGES += [f"chapters/{stem}" for stem in CHAPTERS]
each_page = pytest.mark.parametrize("page", PAGES)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def squeeze(text: str) -> str:
    """As two texts are compared when only their letters count."""
    return re.sub(r"\s+", "", text)


def cells_of(chapter: str) -> list[dict]:
    """The cells of the executed notebook."""
    path = ROOT / "chapters" / f"{chapter}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def address(page: str) -> str:
    return (HTML / f"{page}.html").as_uri()


# In a browser


def settle(tab) -> None:
    """Until the page has answered to a change: scripts in the next frame, then gliding styles.

    At most three seconds: a page that is not drawn gives no frames, and its styles never end.
    """
    tab.evaluate(
        """async () => {
            const frame = () => new Promise((done) => requestAnimationFrame(done));
            const settled = async () => {
                await frame();
                await frame();
                await Promise.allSettled(document.getAnimations().map((a) => a.finished));
            };
            await Promise.race([settled(), new Promise((done) => setTimeout(done, 3_000))]);
        }"""
    )


def widths(tab, *sizes: int):
    """The page as on a desktop, a tablet and a phone, one after the other, without a new visit."""
    for width in sizes or (1280, 768, 360):
        tab.set_viewport_size({"width": width, "height": 800})
        settle(tab)
        yield width


def wait_for_formulas(tab) -> None:
    """Until MathJax has set all of them and their fonts are there."""
    tab.wait_for_function(
        """() => document.querySelectorAll("article mjx-container").length
            >= document.querySelectorAll("article .math").length""",
        timeout=20_000,
    )
    tab.evaluate("async () => { await document.fonts.ready; }")


def show_pictures(tab) -> None:
    """All pictures of the page, which wait until a reader comes near; a broken one is an error."""
    tab.evaluate(
        """async () => {
            const pictures = [...document.images];
            pictures.forEach((picture) => { picture.loading = "eager"; });
            await Promise.all(pictures.map((picture) => picture.decode()));
        }"""
    )
