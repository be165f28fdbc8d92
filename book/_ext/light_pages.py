"""Sphinx extension: a fast first paint, also on a slow phone.

Style sheets and scripts in the head block rendering and compete with pictures. Bundle them into one
style sheet and one script, and load pictures lazily.
"""

import hashlib
import posixpath
import re
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

# book/templates/static/webpack-macros.html links all.css and all.js; insert a digest of the content, so
# that browsers do not use an outdated cached file.
ALL = "_static/all"


def size_of(picture: Path) -> tuple[int, int]:
    if picture.suffix == ".svg":
        svg = ElementTree.parse(picture).getroot()
        return int(svg.attrib["width"]), int(svg.attrib["height"])
    with Image.open(picture) as image:
        return image.size


def let_pictures_wait(app, pagename, templatename, context, doctree) -> None:
    """Load lazily, with sizes, so that the text does not jump."""
    sources = {name: Path(app.srcdir, uri) for uri, name in app.builder.images.items()}

    def waiting(tag: re.Match) -> str:
        width, height = size_of(sources[posixpath.basename(tag["src"])])
        return f'<img loading="lazy" width="{width}" height="{height}"{tag["rest"]}'

    picture = re.compile(r'<img(?P<rest> [^>]*src="(?P<src>[^"]*)"[^>]*>)')
    if "body" in context:
        context["body"] = picture.sub(waiting, context["body"])


def words_of(site: Path) -> set[str]:
    """Every word of the pages and their scripts, among them the classes that these name."""
    sources = [*site.glob("*.html"), *site.glob("*/*.html"), *site.rglob("*.js")]
    ours = (path for path in sources if "mathjax" not in path.parts)
    return {
        word
        for path in ours
        for word in re.findall(r"-?[A-Za-z_][\w-]*", path.read_text(encoding="utf-8"))
    }


def without_unused_rules(styles: str, words: set[str]) -> str:
    """Drop the rules of the theme for classes that nothing in the book has: three fifths of them."""

    def applies(selector: str) -> bool:
        classes = re.findall(r"\.(-?[A-Za-z_][\w-]*)", selector)
        # Bootstrap's script puts together the names that begin with bs-
        return all(name in words or name.startswith("bs-") for name in classes)

    def kept(rule: re.Match) -> str:
        selectors = re.sub(r":not\([^)]*\)", "", rule[1])
        return rule[0] if any(map(applies, selectors.split(","))) else ""

    return re.sub(
        r"([^{};]+)\{[^{}]*\}", kept, re.sub(r"/\*.*?\*/", "", styles, flags=re.S)
    )


def write_and_link(site: Path, suffix: str, text: str) -> None:
    """Also relink pages of an earlier build."""
    for old in site.glob(f"{ALL}*.{suffix}"):
        old.unlink()
    name = f"{ALL}.{hashlib.sha256(text.encode()).hexdigest()[:8]}.{suffix}"
    (site / name).write_text(text, encoding="utf-8")
    link = re.compile(rf"{ALL}(\.[0-9a-f]{{8}})?\.{suffix}(?=\")")
    for page in [*site.glob("*.html"), *site.glob("[!_]*/*.html")]:
        html = page.read_text(encoding="utf-8")
        page.write_text(link.sub(name, html), encoding="utf-8")


class OneFile:
    """Bundle the style sheets and the scripts of Sphinx and its extensions; MathJax where it has work."""

    def __init__(self):
        # Ordered sets of paths, starting with the two that the theme's template links.
        self.styles = dict.fromkeys(
            ["_static/basic.css", "_static/styles/pydata-sphinx-theme.css"]
        )
        self.scripts = {}

    def collect(self, app, pagename, templatename, context, doctree) -> None:
        scripts = context["script_files"]
        # Deferred scripts do not block; inline ones have no filename.
        joined = [f for f in scripts if f.filename and "defer" not in f.attributes]
        self.styles |= {f.filename.split("?")[0]: None for f in context["css_files"]}
        self.scripts |= {f.filename.split("?")[0]: None for f in joined}
        context["css_files"] = []
        # Sphinx loads it on the first page too, for the formulas of those that its contents list.
        formulas = 'class="math' in context.get("body", "")
        context["script_files"] = [
            f
            for f in scripts
            if f not in joined and (formulas or "mathjax" not in str(f.filename))
        ]

    def write(self, app, exception) -> None:
        if exception is not None or not self.scripts:
            return  # no page was written: keep the last bundle
        site = Path(app.outdir)
        scripts = ((site / name).read_text(encoding="utf-8") for name in self.scripts)
        styles = "\n".join(self.read_style(site, name) for name in self.styles)
        write_and_link(site, "js", "\n;\n".join(scripts))
        write_and_link(site, "css", without_unused_rules(styles, words_of(site)))

    @staticmethod
    def read_style(site: Path, name: str) -> str:
        """Text with its url()s relative to the bundle."""

        def moved(address: re.Match) -> str:
            target = posixpath.join(posixpath.dirname(name), address[1])
            return f"url({posixpath.relpath(target, posixpath.dirname(ALL))})"

        text = (site / name).read_text(encoding="utf-8")
        return re.sub(r'url\((?!["\']?data:)([^)]+)\)', moved, text)


def are_light_without_script(app, exception) -> None:
    """Default to the light colours without JavaScript; the theme sets them by script."""
    if exception is None:
        for page in Path(app.outdir).rglob("*.html"):
            html = page.read_text(encoding="utf-8")
            if 'data-theme="auto"' in html:
                light = html.replace('data-theme="auto"', 'data-theme="light"', 1)
                page.write_text(light, encoding="utf-8")


def begin(app) -> None:
    if app.builder.name == "html":
        files = OneFile()
        app.connect("html-page-context", let_pictures_wait)
        # After the extensions that add and copy files
        app.connect("html-page-context", files.collect, priority=900)
        app.connect("build-finished", files.write, priority=900)
        app.connect("build-finished", are_light_without_script)


def setup(app) -> dict:
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
