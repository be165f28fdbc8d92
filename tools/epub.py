"""Build the EPUB from the sources and settings of `make book`.

python tools/epub.py         _build/epub/dezero-dqn.epub
python tools/epub.py FILE    another file
"""

import os
import shutil
import sys
from pathlib import Path

import yaml
from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).resolve().parent.parent
EPUB = ROOT / "_build" / "epub" / "dezero-dqn.epub"
BUILDER = "epub-of-the-book"  # of book/_ext/epub_builder.py
# Only for pages in a browser.
NOT_FOR_EPUB = (
    *("sphinx-mathjax-offline", "light_pages", "live_figures"),
    *("search_text", "site_files", "colab"),
)
# Preferred form of an output first.
MIME_TYPES = ("text/markdown", "text/html", "image/png", "text/plain")
SETTINGS = {
    "html_css_files": [],
    "html_js_files": [],
    "html_math_renderer": "mathml",
    "html_static_path": ["book/epub"],
    "nb_mime_priority_overrides": [
        [BUILDER, mime_type, rank] for rank, mime_type in enumerate(MIME_TYPES)
    ],
    "pygments_style": "a11y-high-contrast-light",
    "epub_show_urls": "no",
    "nitpicky": True,
    "external_toc_path": (ROOT / "_toc.yml").as_posix(),
    "latex_individualpages": False,
}


def build(epub: Path = EPUB) -> bool:
    """Build the EPUB from scratch without executing notebooks. False if Sphinx warned."""
    work = epub.parent / "work"
    shutil.rmtree(work, ignore_errors=True)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    extensions = config["sphinx"]["config"]["extensions"]
    result = build_sphinx(
        ROOT,
        work / "pages",
        noconfig=True,
        path_config=ROOT / "_config.yml",
        confoverrides={
            **SETTINGS,
            "extensions": [e for e in extensions if e not in NOT_FOR_EPUB]
            + ["epub_builder"],
        },
        doctreedir=work / "doctrees",
        builder=BUILDER,
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if result != 0:
        return False
    os.replace(work / "pages.epub", epub)
    shutil.rmtree(work)
    return True


if __name__ == "__main__":
    sys.exit(not build(*map(Path, sys.argv[1:])))
