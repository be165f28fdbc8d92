"""What the tests of the built book have in common."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.md"))
PAGES = [f"book/{path.stem}" for path in sorted((ROOT / "book").glob("*.md"))]
PAGES += [f"chapters/{stem}" for stem in CHAPTERS]
each_page = pytest.mark.parametrize("page", PAGES)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def show_pictures(tab) -> None:
    """All pictures of the page, which wait until a reader comes near; a broken one is an error."""
    tab.evaluate(
        """async () => {
            const pictures = [...document.images];
            pictures.forEach((picture) => { picture.loading = "eager"; });
            await Promise.all(pictures.map((picture) => picture.decode()));
        }"""
    )
