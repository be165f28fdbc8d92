"""`make book`: a rebuild leaves what a fresh build would."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import book  # tools/book.py
import site_files  # book/_ext/site_files.py
from built import HTML

# Stands for Jupyter Book: a page of HTML for each source, half of them if one is called broken.
BUILDER = """
import pathlib, sys
site = pathlib.Path("_build/html")
site.mkdir(parents=True)
for source in sorted(pathlib.Path("pages").iterdir()):
    if source.read_text() == "broken":
        sys.exit(1)
    site.joinpath(source.name).write_text(source.read_text().upper())
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A book of two pages with a translation; the names and texts of what a build leaves."""
    for name in ("pages", "book/locale"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pages/a").write_text("a")
    (tmp_path / "pages/b").write_text("b")
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(book, "HTML", tmp_path / "_build/html")
    monkeypatch.setattr(book, "STAMP", tmp_path / "_build/.passed")
    downloads = {"PDF": tmp_path / "_build/pdf/book.pdf"}
    monkeypatch.setattr(book, "DOWNLOADS", downloads)
    monkeypatch.setattr(book, "COMMAND", [sys.executable, "-c", BUILDER])
    pages = tmp_path / "pages"
    monkeypatch.setattr(book, "files_of_the_book", lambda: sorted(pages.iterdir()))
    assert book.main() == 0
    return tmp_path


def built(root: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in sorted((root / "_build/html").iterdir())}


def test_nothing_is_built_while_nothing_has_changed(small, monkeypatch):
    monkeypatch.setattr(book, "COMMAND", ["not called"])
    os.utime(small / "pages/a", (2e9, 2e9))  # a clock in the future
    assert book.main() == 0
    assert built(small) == {"a": "A", "b": "B"}


def damage_page(root):
    (root / "_build/html/a").write_text("half")


def remove_page(root):
    (root / "_build/html/a").unlink()


def add_page(root):
    (root / "_build/html/c").write_text("of another build")


def set_clock(root):
    os.utime(root / "_build/.passed", (4e9, 4e9))
    (root / "pages/a").write_text("new")


def leave_book(root):
    (root / "pages/a").unlink()


def change_translation(root):
    (root / "book/locale/old.mo").write_bytes(b"compiled earlier")
    (root / "pages/a").write_text("new")


def interrupt(root):
    (root / "pages/b").write_text("broken")
    assert book.main() == 1
    (root / "pages/b").write_text("b")


@pytest.mark.parametrize(
    "change",
    [
        *(damage_page, remove_page, add_page, set_clock),
        *(leave_book, change_translation, interrupt),
    ],
)
def test_nothing_of_an_earlier_build_is_left(small, change):
    change(small)
    assert book.main() == 0
    assert built(small) == {
        p.name: p.read_text().upper() for p in small.glob("pages/*")
    }
    assert not list(small.rglob("*.mo"))


@pytest.mark.parametrize("name", book.ADDRESSES)
def test_a_new_address_is_a_new_build(small, monkeypatch, name):
    monkeypatch.setenv(name, "https://example.com/")
    monkeypatch.setattr(book, "COMMAND", [sys.executable, "-c", "raise SystemExit(1)"])
    assert book.main() == 1


def test_permissions_count_and_the_downloads_of_a_published_book(small, monkeypatch):
    before = book.state()
    (small / "pages/a").chmod(0o755)
    assert book.state() != before
    local = book.state()
    made = book.DOWNLOADS["PDF"]
    made.parent.mkdir(parents=True)
    made.write_bytes(b"pdf")
    assert book.state() == local  # what an earlier `make pdf` has left
    monkeypatch.setenv("SITE_URL", "https://example.com/")
    published = book.state()
    made.write_bytes(b"newer")
    assert book.state() != published != local


@pytest.mark.slow
def test_fresh_build_elsewhere_is_identical(tmp_path):
    """To the one here, which may be the last of many."""
    with zipfile.ZipFile(HTML / site_files.ZIP) as archive:
        for entry in archive.infolist():
            Path(archive.extract(entry, tmp_path)).chmod(entry.external_attr >> 16)
    (root,) = tmp_path.iterdir()
    command = [sys.executable, "tools/book.py"]
    subprocess.run(command, cwd=root, check=True)

    def contents(site):
        return {p.relative_to(site): p.read_bytes() for p in site.rglob("*.*")}

    here, there = contents(HTML), contents(root / "_build/html")
    assert {name for name in here if here[name] != there.get(name)} == set()
    assert set(here) == set(there)
