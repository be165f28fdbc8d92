"""Print the built HTML as one PDF with Chromium or Chrome: contents, page numbers, bookmarks.

python tools/pdf.py         _build/pdf/dezero-dqn.pdf
python tools/pdf.py FILE    another file

The pages become one document, whose links lead within it. It is printed twice: the first time tells on
which page each section begins.
"""

import html
import posixpath
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

import bs4
import yaml
from playwright.sync_api import sync_playwright

from browser import launch

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf" / "dezero-dqn.pdf"
STYLE = ROOT / "tools" / "pdf.css"
# What a page shows only to a mouse
SCREEN = ".headerlink, .copybtn, .quiz-hint, .toctree-wrapper, script"
# Of code, keywords, strings and comments keep their colours
PLAIN = ".highlight pre span:not([class^=k], [class^=s], [class^=c])"
# What has at most so many lines stays on one page; a row of a table takes one for each 60 letters.
WHOLE = 30
FITS = 90  # letters of a line of code
# Ready to be printed: formulas set, pictures there
READY = """async () => {
    await MathJax.startup.promise;
    const pictures = [...document.images];
    pictures.forEach((picture) => { picture.loading = "eager"; });
    await Promise.all(pictures.map((picture) => picture.decode()));
    await document.fonts.ready;
}"""

FILL = """(numbers) => document.querySelectorAll("nav a").forEach((link) => {
    link.dataset.page = numbers[link.hash.slice(1)];
})"""
PRINT = {"prefer_css_page_size": True, "print_background": True}


def parts() -> list[tuple[str, list[str]]]:
    """The captions of _toc.yml with their pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [
        (
            part["caption"],
            [page["file"].removesuffix(".ipynb") for page in part["chapters"]],
        )
        for part in toc["parts"]
    ]
    return [("", [toc["root"]]), *pages]


def place(page: str, anchor: str = "") -> str:
    """The name in the document of a place on a page."""
    return f"{page}-{anchor}".replace("/", "-") if anchor else page.replace("/", "-")


def printable(page: str, pages: list[str]) -> bs4.Tag:
    """The text of a page: all unfolded, with the places and links of the one document."""
    soup = bs4.BeautifulSoup((SITE / f"{page}.html").read_text("utf-8"), "html.parser")
    article = soup.select_one("article")
    for tag in article.select(SCREEN):
        tag.decompose()
    for film in article.find_all("video"):
        film.replace_with(f"動画：{film['aria-label']}。HTML 版で見てください。")
    for token in article.select(PLAIN):
        token.unwrap()  # a tagged PDF has an object for each
    for fold in article.find_all("details"):
        fold["open"] = ""
    for block in article.find_all(["pre", "table"]):
        rows = block.find_all("tr") or block.get_text().strip().split("\n")
        long = len(block.get_text()) // 60 if block.name == "table" else 0
        if len(rows) + long <= WHOLE:
            block["class"] = [*block.get("class", []), "whole"]
    for block in article.select(".highlight pre"):
        hang(block)
    for tag in article.find_all(id=True):
        tag["id"] = place(page, tag["id"])
    for link in article.find_all("a", href=True):
        address, anchor = urldefrag(link["href"])
        if re.match(r"\w+:", address):
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), address))
        target = path.removesuffix(".html") if address else page
        if target in pages:
            link["href"] = "#" + place(target, unquote(anchor))
        else:
            link.unwrap()  # a download of the site, a picture at its full size
    article["id"] = place(page)
    return article


def hang(block: bs4.Tag) -> None:
    """What wraps of a long line of code hangs below its beginning, as code_lines.js does on a screen."""
    lines = block.decode_contents().splitlines(keepends=True)
    for k, line in enumerate(lines):
        code = html.unescape(re.sub(r"<[^>]*>", "", line))
        if len(code) > FITS:
            depth = min(len(code) - len(code.lstrip()), 12) + 2
            lines[k] = f'<span class="line" style="--depth: {depth}ch">{line}</span>'
            block["class"] = ["wrapped", *block.get("class", [])]
    if "wrapped" in block.get("class", []):
        block.clear()
        block.append(bs4.BeautifulSoup("".join(lines), "html.parser"))


def contents(articles: dict[str, bs4.Tag]) -> str:
    """Titles and sections with links."""

    def entry(name: str, title: bs4.Tag) -> str:
        return f'<li><a href="#{name}">{html.escape(title.get_text())}</a>'

    lines = []
    for caption, pages in parts():
        lines.append(f"<p>{caption}</p><ol>")
        for page in pages:
            lines.append(entry(place(page), articles[page].h1) + "<ol>")
            for title in articles[page].find_all("h2"):
                if (section := title.find_parent(id=True)) is not None:
                    lines.append(entry(section["id"], title) + "</li>")
            lines.append("</ol></li>")
        lines.append("</ol>")
    return f"<nav><h1>目次</h1>{''.join(lines)}</nav>"


def document(articles: dict[str, bs4.Tag]) -> str:
    styles = next(SITE.glob("_static/all.*.css")).name
    cover = (ROOT / "book" / "figures" / "cover.svg").read_text(encoding="utf-8")
    bodies = "".join(map(str, articles.values()))
    return f"""<!DOCTYPE html>
<html lang="ja" data-theme="light">
<head>
<meta charset="utf-8">
<title>DeZero で作る DQN</title>
<link rel="stylesheet" href="../_static/{styles}">
<style>{STYLE.read_text(encoding="utf-8")}</style>
<script>MathJax = {{ options: {{ processHtmlClass: "math" }} }};</script>
<script defer src="../_static/mathjax/tex-chtml.js"></script>
</head>
<body>
<div class="cover">{cover}</div>
{contents(articles)}
{bodies}
</body>
</html>"""


def page_numbers(pdf: bytes) -> dict[str, int]:
    """The page of each place that a link leads to, from the objects that Chromium writes as plain text."""
    (root,) = re.findall(rb"/Type /Catalog\s+/Pages (\d+) 0 R", pdf)
    tree = {
        number: re.findall(rb"(\d+) 0 R", kids)
        for number, kids in re.findall(
            rb"\n(\d+) 0 obj\s+<</Type /Pages\b.*?/Kids \[(.*?)\]", pdf, re.S
        )
    }

    def leaves(number: bytes) -> list[bytes]:
        kids = tree.get(number)
        return (
            [number] if kids is None else [leaf for kid in kids for leaf in leaves(kid)]
        )

    order = {page: number for number, page in enumerate(leaves(root), 1)}
    places = re.findall(rb"/([\w-]+) \[(\d+) 0 R /XYZ", pdf)
    return {name.decode(): order[page] for name, page in places}


def main(out: Path = PDF) -> int:
    pages = [page for _, part in parts() for page in part]
    text = document({page: printable(page, pages) for page in pages})
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            print("no Chromium or Chrome found", file=sys.stderr)
            return 1
        tab = browser.new_page()
        tab.route(
            "**/print.html",
            lambda route: route.fulfill(
                body=text, content_type="text/html; charset=utf-8"
            ),
        )
        tab.goto((SITE / "book" / "print.html").as_uri())
        tab.evaluate(READY)
        tab.evaluate(FILL, page_numbers(tab.pdf(**PRINT)))
        printed = tab.pdf(**PRINT, outline=True, tagged=True)
        browser.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(printed)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
