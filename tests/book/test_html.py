"""The built HTML, without a browser: text, outputs, links, references, metadata."""

import base64
import inspect
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pybtex.database import parse_file

import bibliography  # book/_ext/bibliography.py
import rlbook_helpers
from built import (
    CHAPTERS,
    HTML,
    PAGES,
    ROOT,
    cells_of,
    each_chapter,
    each_page,
    squeeze,
)

BIB = parse_file(str(ROOT / "book/references.bib"), "bibtex").entries


@each_page
def test_page_is_japanese_with_one_title(soups, page):
    soup = soups[f"{page}.html"]
    assert soup.html["lang"] == "ja"
    assert len(soup.find("article").find_all("h1")) == 1
    assert soup.title.string.strip()


@each_page
def test_pictures_have_alternative_texts_and_captions(soups, page):
    article = soups[f"{page}.html"].find("article")
    assert all(img.get("alt", "").strip() for img in article.find_all("img"))
    assert all(video.get("aria-label") for video in article.find_all("video"))
    for figure in article.find_all("figure"):
        assert re.match(r"図 ?\d", figure.find(class_="caption-number").text)
        assert figure.find(class_="caption-text").text.strip()


@each_page
def test_text_waits_for_two_files_and_no_picture(soups, page):
    soup = soups[f"{page}.html"]
    awaited = soup.select("link[rel=stylesheet], script[src]:not([defer])")
    names = [(tag.get("href") or tag["src"]).rsplit("/")[-1] for tag in awaited]
    assert [name[:4] + name[-3:] for name in names] == ["all.css", "all..js"]
    pictures = soup.find("article").find_all("img")
    assert all(picture["loading"] == "lazy" for picture in pictures)


@pytest.fixture(scope="module")
def anchors(soups):
    """The names in each page that a link can lead to."""
    return {
        name: {tag["id"] for tag in soup.find_all(id=True)}
        for name, soup in soups.items()
    }


@each_page
def test_links_and_anchors_resolve(soups, anchors, page):
    broken = []
    for a in soups[f"{page}.html"].find_all("a", href=True):
        url = urlsplit(a["href"])
        if url.scheme or url.netloc:
            continue
        here = HTML / f"{page}.html"
        target = (
            Path(os.path.normpath(here.parent / unquote(url.path)))
            if url.path
            else here
        )
        if not target.is_file():
            broken.append(a["href"])
            continue
        ids = anchors.get(target.relative_to(HTML).as_posix(), ())
        if url.fragment and unquote(url.fragment) not in ids:
            broken.append(a["href"])
    assert not broken


@each_page
def test_page_loads_nothing_from_another_host(soups, page):
    for tag in soups[f"{page}.html"].find_all(
        ["script", "link", "img", "video", "source", "iframe"]
    ):
        url = tag.get("src") or (tag.get("href") if tag.name == "link" else None) or ""
        assert not re.match(r"(https?:)?//", url), tag


@each_chapter
def test_page_shows_every_output_of_the_notebook(soups, chapter):
    page = squeeze(soups[f"chapters/{chapter}.html"].find("article").text)
    pictures = 0
    for cell in cells_of(chapter):
        if "remove-cell" in cell["metadata"].get("tags", []):
            continue
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                assert squeeze("".join(output["text"])) in page
            pictures += "image/png" in output.get("data", {})
    figures = soups[f"chapters/{chapter}.html"].select("figure img[src$='.png']")
    assert len(figures) == pictures


@pytest.mark.parametrize("name", ["ReplayBuffer", "QLearningAgent", "DQNAgent"])
def test_listings_are_the_code_of_the_package(soups, name):
    source = inspect.getsource(getattr(rlbook_helpers, name))
    listings = [
        pre
        for chapter in CHAPTERS
        for pre in soups[f"chapters/{chapter}.html"].select(
            ".cell_output .highlight pre"
        )
        if pre.text.strip() == source.strip()
    ]
    assert listings and listings[0].find("span", class_="k") is not None


@each_chapter
def test_folded_code_is_labelled_and_shows_its_output(soups, chapter):
    """A solution opens with its prose; of code that draws or checks, the output stays in sight."""
    article = soups[f"chapters/{chapter}.html"].find("article")
    assert not article.find(re.compile("h[1-6]"), string=re.compile("^解答"))
    hidden = {"hide-cell": [], "hide-input": []}
    for cell in cells_of(chapter):
        for tag in hidden.keys() & set(cell["metadata"].get("tags", [])):
            hidden[tag].append(cell)
    for tag, cells in hidden.items():
        shown = article.select(f".tag_{tag}")
        assert len(shown) == len(cells)
        for cell, container in zip(cells, shown):
            fold = container.find("details")
            assert squeeze("".join(cell["source"])) in squeeze(fold.text)
            if tag == "hide-cell":
                assert fold.parent == container and fold.select(".cell_output")
                continue
            draws = "figure" in cell["metadata"].get("mystnb", {})
            imports = "setup" in cell["metadata"]["tags"]
            words = "準備のコード" if imports else "確かめるコード"
            words = "図のコード" if draws else words
            words = cell["metadata"].get("mystnb", {}).get("code_prompt_show", words)
            assert fold.select_one("summary .collapsed").text == words
            both = "hide-output" in cell["metadata"]["tags"]
            assert bool(fold.select(".cell_output")) == both
            assert bool(container.find("figure")) == draws


def test_folded_outputs_say_what_they_hide(soups):
    labels = {
        cell.select_one("code, pre").text.strip(): cell.select_one(".collapsed").text
        for cell in soups["chapters/07_clinic.html"].select(".tag_hide-output")
    }
    assert len(set(labels.values())) == len(labels), "each label says what it opens"
    kinds = {
        "show_source(subject.Subject.learn)": "Subject.learn のコードを見る",
        "display(show_source(probes": "Probe.step と Watched.update のコードを見る",
        "plan = ": "計画を見る",
        "def show(": "所見の表を見る",
    }
    for call, word in kinds.items():
        assert [v for k, v in labels.items() if k.startswith(call)] == [word], call


def test_prose_of_a_solution_is_folded_with_its_code(soups):
    exercises = soups["chapters/01_dezero.html"].select(
        "section > details:not(.admonition), .tag_hide-cell"
    )
    assert len(exercises) >= 4
    for container in exercises:
        prose = container.select_one("details > div > p")
        assert len(prose.text) > 40 and not prose.find_previous_sibling("div")


@each_page
def test_cited_equations_are_numbered(soups, page):
    for a in soups[f"{page}.html"].select("article a.reference[href*='equation-']"):
        assert re.fullmatch(r"\(\d+(\.\d+)?\)", a.text.strip())


def test_table_of_symbols_links_chapters(soups):
    article = soups["book/notation.html"].find("article")
    for table in article.find_all("table"):
        if table.find_all("th")[-1].text == "章":
            for row in table.select("tbody tr"):
                cell = row.find_all("td")[-1]
                number = int(cell.text)
                assert re.search(
                    rf"chapters/{int(number):02}_\w+\.html$", cell.a["href"]
                )


@each_chapter
def test_exercises_are_numbered(soups, chapter):
    titles = soups[f"chapters/{chapter}.html"].select("article h3")
    exercises = [title.text for title in titles if "演習" in title.text]
    assert len(exercises) >= 3
    for title in exercises:
        assert re.match(r"演習 \d+\.\d+ ", title)


def test_teachers_find_all_drawings_and_exercises(soups):
    page = soups["book/teachers.html"].find("article")
    chapters = [soups[f"chapters/{chapter}.html"] for chapter in CHAPTERS]
    drawn = {
        Path(image["src"]).name
        for soup in chapters
        for image in soup.select("article figure img[src$='.svg']")
    }
    offered = page.select(".all-figures a.image-reference")
    assert {Path(a["href"]).name for a in offered} == drawn
    assert "eq-" not in page.text, "captions give the numbers of equations"
    titles = {
        title.contents[0].strip()
        for soup in chapters
        for title in soup.select("article h3")
        if title.text.startswith("演習")
    }
    lists = page.select(".all-exercises dd")
    assert len(lists) == 3 and all(entries.select("a") for entries in lists)
    assert {a.text for a in page.select(".all-exercises a")} == titles


def test_titles_have_one_form(soups):
    titles = {page: soup.title.text for page, soup in soups.items() if soup.title}
    assert titles.pop("book/index.html") == "DeZero で作る DQN"
    others = {
        p for p, title in titles.items() if not title.endswith(" — DeZero で作る DQN")
    }
    assert len(titles) >= 15 and others <= {"index.html"}  # it leads to the first page


@each_page
def test_only_chapters_link_terms_automatically(soups, page):
    terms = soups[f"{page}.html"].select("article .term")
    assert bool(terms) == page.startswith("chapters/")


def test_solutions_are_folded(soups):
    solutions = soups["chapters/01_dezero.html"].select(".tag_hide-cell details")
    assert len(solutions) >= 3
    for solution in solutions:
        assert not solution.has_attr("open")
        assert "解答を見る" in solution.summary.text


def test_page_without_scripts_is_light(soups):
    schemes = {soups[f"{page}.html"].html.get("data-theme") for page in PAGES}
    assert schemes == {"light"}


def test_films_are_small_and_wait_for_the_reader(soups):
    films = [film for soup in soups.values() for film in soup.select("article video")]
    assert len(films) >= 3
    for film in films:
        source = film.get("src") or film.find("source")["src"]
        assert len(base64.b64decode(source.partition("base64,")[2])) <= 125_000
        assert film.has_attr("controls") and not film.has_attr("autoplay")
        assert "動画" in film.find_parent("figure").figcaption.text


# References

CITATION = re.compile(r"\[([^\]]+)\]\((?:\.\./book/)?references\.md#(\w+)\)")


def sources() -> dict[str, str]:
    paths = [*(ROOT / "book").glob("*.md"), *(ROOT / "chapters").glob("*.md")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_citations_name_authors_and_year():
    found = [cited for text in sources().values() for cited in CITATION.findall(text)]
    assert len(found) >= 40
    for words, key in found:
        names, year = bibliography.names_of(BIB[key]), BIB[key].fields.get("year")
        allowed = {f"{names} ({year})", f"{names}, {year}"} if year else {names}
        assert words in allowed


def test_references_are_sorted_and_link_back(soups):
    entries = soups["book/references.html"].select("article .citation")
    assert {entry["id"] for entry in entries} == set(BIB)
    authors = [BIB[entry["id"]].persons["author"] for entry in entries]
    first = [
        str(" ".join(a[0].prelast_names + a[0].last_names)).lower() for a in authors
    ]
    assert first == sorted(first)
    cited = {
        key
        for name, text in sources().items()
        for _, key in CITATION.findall(text)
        if name != "references.md"
    }
    for entry in entries:
        links = entry.select(".cited-from a")
        assert bool(links) == (entry["id"] in cited)
        for link in links:
            path, _, anchor = link["href"].partition("#")
            page = (HTML / "book" / path).resolve().relative_to(HTML.resolve())
            place = soups[page.as_posix()]
            place = place.find(id=anchor) if anchor else place
            assert place.select_one(f'a[href$="references.html#{entry["id"]}"]')
    assert len(cited) >= 20


# Metadata


@each_page
def test_page_has_metadata_for_previews(soups, page):
    soup = soups[f"{page}.html"]
    meta = {
        tag.get("name") or tag.get("property"): tag.get("content", "")
        for tag in soup.find_all("meta")
    }
    assert 30 <= len(meta["description"]) <= 130
    assert meta["og:description"] == meta["description"]
    assert meta["og:title"] and meta["og:site_name"] == "DeZero で作る DQN"
    assert meta["og:image"].endswith("_static/cover.png")
    assert (HTML / "_static/cover.png").is_file()
    assert soup.find("link", rel="icon")["href"].endswith("logo.svg")


def test_descriptions_differ(soups):
    tags = [
        soups[f"{page}.html"].find("meta", {"name": "description"}) for page in PAGES
    ]
    assert len({tag["content"] for tag in tags}) == len(PAGES)


def test_previous_and_next_follow_the_contents(soups):
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    order = re.findall(r"(?:root|file): (\S+?)(?:\.ipynb)?$", toc, re.MULTILINE)
    assert sorted(order) == sorted(PAGES)

    def target(page, side):
        link = soups[f"{page}.html"].select_one(f".prev-next-area a.{side}")
        return link and ((HTML / page).parent / link["href"]).resolve()

    pages = [HTML / f"{page}.html" for page in order]
    assert [target(page, "right-next") for page in order] == [*pages[1:], None]
    assert [target(page, "left-prev") for page in order] == [None, *pages[:-1]]
