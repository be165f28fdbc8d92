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
