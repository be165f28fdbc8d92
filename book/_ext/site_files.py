"""Sphinx extension: remove unused files of the theme and MathJax; add the book as a zip, EPUB and PDF."""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from colab import address
from front_page import offered

ROOT = Path(__file__).resolve().parents[2]

# Contents of the zip: all that is needed to read, run, build and test the book.
BOOK = (
    *(".ci", ".gitattributes", ".github", ".gitignore", ".textlintrc.yml"),
    *("CONTRIBUTING.md", "Makefile", "THIRD_PARTY_LICENSES.txt"),
    *("README.md", "_config.yml", "_toc.yml", "benchmarks", "book", "chapters"),
    *("conftest.py", "package-lock.json", "package.json", "pyproject.toml"),
    *("requirements-bench.txt", "requirements.in", "requirements.txt"),
    *("rlbook_helpers", "tests", "tools"),
)
ZIP = "dezero-dqn.zip"

UNUSED = (
    "_static/**/*.map",
    "_static/**/*.ttf",  # browsers use the woff2
    "_static/scripts/fontawesome.js",  # see book/templates/static/webpack-macros.html
    "_static/mathjax/*",
)
NEEDED = (
    "_static/mathjax/tex-chtml.js",
    "_static/mathjax/input/tex/extensions/*",
    "_static/mathjax/output/chtml/fonts/woff-v2/*",
)


def remove_unused(site: Path) -> None:
    needed = {path for pattern in NEEDED for path in site.glob(pattern)}
    for pattern in UNUSED:
        for path in site.glob(pattern):
            files = path.rglob("*") if path.is_dir() else [path]
            for file in files:
                if file.is_file() and file not in needed:
                    file.unlink()


def files_of_the_book() -> Iterator[Path]:
    for name in BOOK:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            made = {"__pycache__", ".ipynb_checkpoints"} & set(file.parts)
            if file.is_file() and not made and file.suffix != ".mo":
                yield file


def pack(path: Path) -> None:
    """Write a reproducible zip, without the times of the files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files_of_the_book():
            name = Path(path.stem) / file.relative_to(ROOT)
            entry = zipfile.ZipInfo(name.as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (file.stat().st_mode & 0o777) << 16
            archive.writestr(entry, file.read_bytes())


def set_address(app, config) -> None:
    """Link previews need absolute addresses."""
    config.ogp_site_url = address("SITE_URL")


def finish(app, exception) -> None:
    if exception is None and app.builder.name == "html":
        site = Path(app.outdir)
        remove_unused(site)
        pack(site / ZIP)
        for file in offered(app.config).values():
            shutil.copyfile(file, site / file.name)


def setup(app) -> dict:
    app.connect("config-inited", set_address)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
