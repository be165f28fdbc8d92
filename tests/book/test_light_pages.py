"""The one style sheet and the one script of the site, and what is left out of them."""

import hashlib
import re

import pytest

import light_pages  # book/_ext/light_pages.py
from built import HTML, each_page

ICON_RULE = r"((?:\.fa-[\w-]+:before,?)+)\{content:"


def icons(styles: str) -> set[str]:
    """The icons that a style sheet can draw."""
    rules = "".join(re.findall(ICON_RULE, styles))
    return set(re.findall(r"fa-[\w-]+", rules))


def joined(soup) -> list[str]:
    links = [*soup.find_all("link", href=True), *soup.find_all("script", src=True)]
    addresses = [tag.get("href") or tag["src"] for tag in links]
    return [a for a in addresses if re.search(r"_static/all\b", a)]


@pytest.mark.parametrize("suffix", ["css", "js"])
def test_new_content_gets_a_new_name(tmp_path, suffix):
    (tmp_path / "_static").mkdir()
    (tmp_path / "chapters").mkdir()
    page = tmp_path / "chapters" / "page.html"
    page.write_text(f'<link href="../_static/all.{suffix}" rel="x">')
    pages = []
    for text in ("old", "new", "new", "old"):
        light_pages.write_and_link(tmp_path, suffix, text)
        pages.append(page.read_text())
        (file,) = (tmp_path / "_static").iterdir()
        assert file.read_text() == text
        assert pages[-1] == f'<link href="../_static/{file.name}" rel="x">'
    assert pages[0] == pages[3] != pages[1] == pages[2]


@each_page
def test_pages_link_the_two_files_by_their_digest(soups, page):
    addresses = joined(soups[f"{page}.html"])
    assert [address[-3:] for address in addresses] == ["css", ".js"]
    for address in addresses:
        file = (HTML / page).parent / address
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.name.split(".")[1] == digest[:8]


def test_files_of_earlier_builds_are_removed():
    assert len([*HTML.glob("_static/all*")]) == 2


@each_page
def test_style_sheet_keeps_the_icons_in_use(soups, page):
    theme = HTML / "_static/styles/pydata-sphinx-theme.css"
    (sheet,) = HTML.glob("_static/all.*.css")
    known = icons(theme.read_text(encoding="utf-8"))
    kept = icons(sheet.read_text(encoding="utf-8"))
    assert len(kept) < 100
    assert len(known) > 1500
    classes = {
        name
        for tag in soups[f"{page}.html"].find_all(class_=True)
        for name in tag["class"]
    }
    shown = classes & known
    assert len(shown) >= 5
    assert shown <= kept
