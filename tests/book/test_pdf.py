"""The PDF of `make pdf`: pages, links, bookmarks, fonts. As Chromium writes it, its objects are plain text."""

import re

import pytest

import pdf  # tools/pdf.py
from browser import launch
from built import ROOT


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        if (browser := launch(playwright)) is None:
            pytest.skip("no Chromium or Chrome found")
        browser.close()
    file = tmp_path_factory.mktemp("本 棚") / "book.pdf"
    assert pdf.main(file) == 0
    return file.read_bytes()


PAGES = [page for _, part in pdf.parts() for page in part]


def test_page_is_unfolded_and_its_links_lead_within_the_document():
    page = pdf.printable("chapters/01_dezero", PAGES)
    assert page["id"] == "chapters-01_dezero"
    assert all(fold.has_attr("open") for fold in page.find_all("details"))
    assert not page.select("script, .headerlink, video")
    names = {tag["id"] for tag in page.find_all(id=True)} | {page["id"]}
    links = [link["href"] for link in page.find_all("a", href=True)]
    own = {link[1:] for link in links if link.startswith("#chapters-01_dezero")}
    assert own and own <= names
    assert any(link.startswith("#book-references-") for link in links)
    assert all(link.startswith(("#", "http")) for link in links)
    source = (ROOT / "_build/html/chapters/01_dezero.html").read_text("utf-8")
    assert source.count('<span class="k">') == len(page.select(".highlight .k"))


def test_short_listings_stay_on_one_page_and_long_ones_do_not():
    listings = pdf.printable("chapters/07_clinic", PAGES).select("pre")
    whole = [pre.text.strip().count("\n") < pdf.WHOLE for pre in listings]
    assert whole == ["whole" in pre.get("class", []) for pre in listings]
    assert any(whole) and not all(whole)


def test_page_numbers_are_read_from_a_tree_of_pages():
    tree = b"""
1 0 obj
<</Type /Catalog
/Pages 2 0 R>>
endobj
2 0 obj
<</Type /Pages
/Count 3
/Kids [3 0 R 6 0 R]>>
endobj
3 0 obj
<</Type /Pages
/Count 2
/Kids [5 0 R 4 0 R]>>
endobj
7 0 obj
<</a-b [4 0 R /XYZ 0 841 0]
/c_d [6 0 R /XYZ 0 841 0]>>
endobj
"""
    assert pdf.page_numbers(tree) == {"a-b": 2, "c_d": 3}


@pytest.mark.slow
def test_book_is_one_small_pdf_with_links_bookmarks_and_fonts(printed):
    assert len(printed) < 20_000_000
    numbers = pdf.page_numbers(printed)
    begins = [numbers[pdf.place(page)] for page in PAGES]
    assert begins == sorted(set(begins)), "each page of the book on a page of its own"
    assert begins[0] > 1, "after the cover and the contents"
    assert re.search(rb"/Type /Catalog.*?/Outlines", printed, re.S)
    assert printed.count(b"/Subtype /Link") > 500
    objects = dict(re.findall(rb"\n(\d+) 0 obj\n(<<.{0,2000}?)endobj", printed, re.S))
    kinds = (
        rb"/Subtype /(?:CIDFontType\d|TrueType|Type1)\b"  # Type 3 has its glyphs within
    )
    fonts = [text for text in objects.values() if re.search(kinds, text)]
    described = [re.search(rb"/FontDescriptor (\d+) 0 R", text)[1] for text in fonts]
    assert described and all(b"/FontFile" in objects[number] for number in described)
