"""Helpers for the tests of the built book."""

import contextlib
import functools
import http.server
import json
import re
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.md"))
PAGES = [f"book/{path.stem}" for path in sorted((ROOT / "book").glob("*.md"))]
PAGES += [f"chapters/{stem}" for stem in CHAPTERS]
each_page = pytest.mark.parametrize("page", PAGES)


def weekly(value):
    return pytest.param(value, marks=pytest.mark.slow)


def weekly_but(*pages: str) -> list:
    """All pages; those that are not named for the slow tests."""
    return [page if page in pages else weekly(page) for page in PAGES]


each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def squeeze(text: str) -> str:
    """Drop all white space."""
    return re.sub(r"\s+", "", text)


def cells_of(chapter: str) -> list[dict]:
    """The cells of the executed notebook."""
    path = ROOT / "chapters" / f"{chapter}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def address(page: str) -> str:
    return (HTML / f"{page}.html").as_uri()


@contextlib.contextmanager
def serve(site):
    """The address of a web server for a built book; unknown paths give its 404 page."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def send_error(self, code, message=None, explain=None):
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((site / "404.html").read_bytes())

    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# In a browser

PATIENCE = 60_000  # milliseconds; the machine may have other work


@contextlib.contextmanager
def watched_tab(browser, home="file:", **options):
    """A tab that lists its requests in `asked`, and errors and foreign requests in `troubles`."""
    context = browser.new_context(locale="ja-JP", **options)
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    tab.troubles, tab.asked = [], []

    def note(request):
        tab.asked.append(request.url)
        if not request.url.startswith((home, "data:", "blob:")):
            tab.troubles.append(f"asks for {request.url}")

    tab.on("request", note)
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on(
        "console",
        lambda message: message.type == "error" and tab.troubles.append(message.text),
    )
    yield tab
    context.close()


def shorten(tab, kept: str) -> None:
    """Take all text from the pages to come but these elements, before their scripts run.

    Chapters of 20,000 pixels take long to lay out. Figures stay out of sight of each other.
    """
    tab.add_init_script(
        f"""document.addEventListener("readystatechange", () => {{
            const others = `article *:not({kept}, :has({kept}), :is({kept}) *)`;
            document.querySelectorAll(others).forEach((e) => e.remove());
            document.querySelectorAll("figure").forEach((e) => {{ e.style.marginBottom = "1000px"; }});
        }}, {{ once: true }})"""
    )


def settle(tab) -> None:
    """Wait for scripts in the next frame, then for transitions.

    At most three seconds: a page that is not drawn gives no frames, and its transitions never end.
    """
    tab.evaluate(
        """async () => {
            const frame = () => new Promise((done) => requestAnimationFrame(done));
            const settled = async () => {
                await frame();
                await frame();
                await Promise.allSettled(document.getAnimations().map((a) => a.finished));
            };
            await Promise.race([settled(), new Promise((done) => setTimeout(done, 3_000))]);
        }"""
    )


def compute(tab, function: str, given=None):
    """What a function of JavaScript makes of `given`; as JSON, as Playwright takes seconds for long lists."""
    code = f"async (given) => JSON.stringify(await ({function})(JSON.parse(given)))"
    return json.loads(tab.evaluate(code, json.dumps(given)))


def widths(tab, *sizes: int):
    """Resize the page to a desktop, a tablet and a phone, one after the other."""
    for width in sizes or (1280, 768, 360):
        tab.set_viewport_size({"width": width, "height": 800})
        settle(tab)
        yield width


def set_scheme(tab, scheme: str) -> None:
    """Show the page in light or dark, as its own button does.

    The theme hears of a new medium with the next frame only, and a page that is not drawn has none.
    """
    tab.emulate_media(color_scheme=scheme)
    tab.evaluate(
        "scheme => { document.documentElement.dataset.theme = scheme; }", scheme
    )
    settle(tab)


def unfold(tab) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach((e) => e.open = true)")


def wait_for_formulas(tab) -> None:
    """Wait until MathJax has typeset all of them and their fonts are loaded."""
    tab.wait_for_function(
        """() => document.querySelectorAll("article mjx-container").length
            >= document.querySelectorAll("article .math").length"""
    )
    tab.evaluate("async () => { await document.fonts.ready; }")


def show_pictures(tab) -> None:
    """Load all pictures of the page, which are lazy; a broken one is an error."""
    tab.evaluate(
        """async () => {
            const pictures = [...document.images];
            pictures.forEach((picture) => { picture.loading = "eager"; });
            await Promise.all(pictures.map((picture) => picture.decode()));
        }"""
    )
