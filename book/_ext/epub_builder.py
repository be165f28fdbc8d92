"""Sphinx extension: a builder that writes the pages as one EPUB 3 file, for tools/epub.py.

Convert formulas to MathML, embedded films to files, folded solutions to plain text. Package only files
that pages refer to.
"""

import base64
import hashlib
import html
import os
import posixpath
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from urllib.parse import quote, unquote

import bs4
from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx import addnodes
from sphinx.builders.epub3 import Epub3Builder
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from quiz import quiz_answer, quiz_question

ROOT = Path(__file__).resolve().parents[2]
# Permanent book ID. Never change.
IDENTIFIER = "urn:uuid:0b7c7a3e-52f4-4c0e-9a53-6e1f4d1f7a90"

BUILDER = "epub-of-the-book"
COVER = "_static/cover.png"
LICENSES = "THIRD_PARTY_LICENSES.txt"
STYLES = ("_static/pygments.css", "_static/epub.css")
MEDIA_TYPES = {
    ".xhtml": "application/xhtml+xml",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".woff": "font/woff",
    ".txt": "text/plain",
}
QUIZ_HINT = "答えとその理由は、問いのあとにまとめてあります。"
logger = logging.getLogger(__name__)


# Formulas

to_mathml = LatexToMathML(xml_namespace=True, fancy_error=False)


def mathml(tex: str, display: bool) -> str:
    """MathML 3 in XML syntax, as EPUB requires."""
    soup = bs4.BeautifulSoup(
        to_mathml.convert_with_local_state(tex, displaystyle=display), "html.parser"
    )
    if display:
        # Keep it inline beside its number, and breakable.
        del soup.math["display"]
        soup.math["displaystyle"] = "true"
    for tag in soup.find_all("mtable", scriptlevel=True):
        del tag["scriptlevel"]
    for tag in soup.find_all("mfrac", displaystyle=True):
        style = soup.new_tag("mstyle", displaystyle=tag.attrs.pop("displaystyle"))
        tag.wrap(style)
    # With most fonts accents touch the letter; as scripts they are too small.
    for tag in soup.find_all(accent=True):
        del tag["accent"]
        tag.find_all("mo")[-1]["mathsize"] = "140%"
    return soup.decode()


def formula(node: nodes.Element, display: bool) -> str:
    tex = node.astext()
    # Let formulas side by side wrap on narrow pages.
    parts = tex.split(r"\qquad") if r"\begin" not in tex else [tex]
    try:
        return " ".join(mathml(part, display) for part in parts)
    except LatexError as error:
        logger.warning("cannot convert the formula: %s", error, location=node)
        return html.escape(tex)


def visit_math(writer, node):
    writer.body.append(formula(node, display=False))
    raise nodes.SkipNode


def visit_math_block(writer, node):
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})</span>')
    writer.body.append(formula(node, display=True) + "</div>\n")
    raise nodes.SkipNode


# Outputs and solutions


class OfTheBook(SphinxPostTransform):
    builders = (BUILDER,)


class UnfoldSolutions(OfTheBook):
    """Not every reader can unfold: label the start of a solution instead."""

    default_priority = 198  # before MyST-NB folds them

    def run(self, **kwargs):
        for cell in self.document.findall(nodes.container):
            tags = cell.get("cell_metadata", {}).get("tags", [])
            if "hide-cell" in tags:  # the others are listings and tables
                cell.insert(0, nodes.paragraph("", "解答", classes=["solution"]))
            cell.attributes.pop("hide_mode", None)


class UnfoldQuizzes(OfTheBook):
    """Move the explanations of the answers behind the last question."""

    default_priority = 198

    def run(self, **kwargs):
        for quiz in self.document.findall(nodes.container):
            if "quiz" not in quiz["classes"]:
                continue
            quiz[0] = nodes.paragraph("", QUIZ_HINT)  # in place of how to unfold
            quiz += nodes.paragraph("", "", nodes.strong("", "確認クイズの答え"))
            for question in list(quiz.findall(quiz_question)):
                reasons = nodes.enumerated_list(enumtype="upperalpha")
                for answer in list(question.findall(quiz_answer)):
                    label, reason = answer
                    answer.replace_self(nodes.paragraph("", "", *label.children))
                    reasons += nodes.list_item("", reason)
                quiz += [nodes.paragraph("", "", question[0][0].deepcopy()), reasons]


class CleanRawHtml(OfTheBook):
    """Convert tables to XHTML and films, which EPUB forbids inside a page, to files; unfold <details>."""

    default_priority = 900  # after MyST-NB selected the outputs

    def run(self, **kwargs):
        for raw in list(self.document.findall(nodes.raw)):
            if "html" not in raw.get("format", "").split():
                continue
            soup = bs4.BeautifulSoup(raw.astext(), "html.parser")
            for video in soup.find_all("video"):
                video.replace_with(self.film(video))
            for link in soup.find_all("a", href=re.compile(r"\.(txt|zip)$")):
                link.unwrap()  # a download of the site, not a page
            for folded in soup.find_all(["details", "summary"]):
                folded.name = "div" if folded.name == "details" else "p"
            raw.replace_self(nodes.raw("", soup.decode(), format="html"))

    def film(self, video: bs4.Tag) -> bs4.BeautifulSoup:
        data = base64.b64decode(video.find(src=True)["src"].partition("base64,")[2])
        name = f"_images/{hashlib.sha256(data).hexdigest()[:16]}.mp4"
        path = Path(self.app.outdir, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        src = posixpath.relpath(name, posixpath.dirname(self.env.docname))
        alt = html.escape(video["aria-label"])
        return bs4.BeautifulSoup(
            f'<video controls="controls" src="{src}" aria-label="{alt}"></video>'
            f"<p>動画: {alt}。再生できないときは、HTML 版で見てください。</p>",
            "html.parser",
        )


# Pages and package


class Builder(Epub3Builder):
    """Sphinx's EPUB builder with another page template and package.

    Sphinx's template is for browsers. Its package contains unused files, declares no MathML, requires an
    author and misses pages outside the folder of the first one.
    """

    name = BUILDER

    def handle_page(self, pagename, addctx, *args, **kwargs):
        if "body" in addctx:  # not an index or a search page
            title = bs4.BeautifulSoup(addctx["title"], "html.parser").text
            # Deprecated in EPUB
            body = addctx["body"].replace(' role="doc-biblioentry"', "")
            self.write_page(pagename, title, body)

    def write_page(self, name: str, title: str, body: str) -> None:
        here = posixpath.dirname(name)
        links = "".join(
            f'<link rel="stylesheet" href="{posixpath.relpath(css, here)}"/>\n'
            for css in STYLES
        )
        path = Path(self.outdir, f"{name}.xhtml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"""<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
 lang="ja" xml:lang="ja">
<head>
<title>{html.escape(title)}</title>
{links}</head>
<body>
{body}
</body>
</html>
""",
            encoding="utf-8",
        )

    def handle_finish(self) -> None:
        title = html.escape(self.config.html_title)
        root = self.config.root_doc
        parts = [
            (toctree["caption"], [page for _, page in toctree["entries"]])
            for toctree in self.env.get_doctree(root).findall(addnodes.toctree)
        ]
        pages = [root, *(page for _, part in parts for page in part)]

        cover = f'<p class="cover"><img src="{COVER}" alt="{title}"/></p>'
        self.write_page("cover", title, cover)

        contents = self.contents_of(root)
        for caption, part in parts:
            entries = "".join(map(self.contents_of, part))
            contents += f"<li><span>{caption}</span>\n<ol>{entries}</ol></li>\n"
        nav = f'<nav epub:type="toc"><h1>目次</h1>\n<ol>{contents}</ol></nav>'
        self.write_page("nav", "目次", nav)

        spine = [f"{page}.xhtml" for page in ("cover", "nav", *pages)]
        write_package(Path(self.outdir), title, spine)

    def contents_of(self, page: str) -> str:
        """The title of a page and, nested, those of its sections."""
        numbers = self.env.toc_secnumbers.get(page, {})

        def entry(reference):
            anchor = reference["anchorname"]
            number = numbers.get(anchor)
            label = ".".join(map(str, number)) + ". " if number else ""
            label = html.escape(label + reference.astext())
            return f'<a href="{page}.xhtml{anchor}">{label}</a>'

        top = self.env.tocs[page][0]
        sections = "".join(
            f"<li>{entry(next(item.findall(nodes.reference)))}</li>\n"
            for item in (top[1] if len(top) > 1 else ())
            if isinstance(item, nodes.list_item)
        )
        nested = f"\n<ol>{sections}</ol>" if sections else ""
        return f"<li>{entry(next(top.findall(nodes.reference)))}{nested}</li>\n"


def write_package(root: Path, title: str, spine: list[str]) -> None:
    """Pack the pages of the spine in this order, and all files that they refer to."""
    properties = {"nav.xhtml": ' properties="nav"', COVER: ' properties="cover-image"'}
    files = dict.fromkeys(spine)
    for page in spine:
        tree = ET.parse(root / page)
        for element in tree.iter():
            kind = element.tag.rpartition("}")[2]
            if kind == "math":
                properties[page] = ' properties="mathml"'
            elif kind in ("link", "img", "video"):
                url = unquote(element.get("href") or element.get("src"))
                file = posixpath.join(posixpath.dirname(page), url)
                files[posixpath.normpath(file)] = None
    for font in (root / "_static").glob("*.woff"):
        files[f"_static/{font.name}"] = None
    shutil.copy(ROOT / LICENSES, root)
    files[LICENSES] = None

    names = {file: f"item-{number}" for number, file in enumerate(files)}
    manifest = "".join(
        f'<item id="{name}" href="{quote(file)}"'
        f' media-type="{MEDIA_TYPES[Path(file).suffix]}"{properties.get(file, "")}/>\n'
        for file, name in names.items()
    )
    order = "".join(f'<itemref idref="{names[page]}"/>\n' for page in spine)
    modified = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(edition()))
    package = f"""<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" xml:lang="ja"
 unique-identifier="identifier">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="identifier">{IDENTIFIER}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>ja</dc:language>
<meta property="dcterms:modified">{modified}</meta>
<meta name="cover" content="{names[COVER]}"/>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
</metadata>
<manifest>
{manifest}</manifest>
<spine page-progression-direction="ltr">
{order}</spine>
</package>
"""
    container = """<?xml version="1.0" encoding="UTF-8"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles>
<rootfile full-path="content.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""
    with zipfile.ZipFile(root.with_suffix(".epub"), "w") as epub:

        def add(name, data, how=zipfile.ZIP_DEFLATED):
            # ZipInfo without a time: reproducible.
            epub.writestr(zipfile.ZipInfo(name), data, how)

        add("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        add("META-INF/container.xml", container)
        add("content.opf", package)
        for file in files:
            add(file, (root / file).read_bytes())


def edition() -> int:
    """Time of the last change: SOURCE_DATE_EPOCH, the last commit, or without git the newest page."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        return int(subprocess.run(command, capture_output=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        pages = [*ROOT.glob("book/*.md"), *ROOT.glob("chapters/*.ipynb")]
        return int(max(page.stat().st_mtime for page in pages))


def setup(app):
    app.add_builder(Builder)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_post_transform(UnfoldSolutions)
    app.add_post_transform(UnfoldQuizzes)
    app.add_post_transform(CleanRawHtml)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
