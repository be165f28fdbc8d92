import functools
import http.server
import os
import shutil
import threading

import pytest
from threadpoolctl import threadpool_limits

from built import HTML


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """More threads fight for the cores: updates would take ten times as long on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield


def browser_or_none(playwright):
    """Chromium or Chrome, wherever this system keeps it."""
    found = [
        shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")
    ]
    path = next(filter(None, found), None)
    arguments = {"executable_path": path} if path else {"channel": "chrome"}
    try:
        # Containers offer no sandbox; the pages are our own.
        return playwright.chromium.launch(args=["--no-sandbox"], **arguments)
    except Exception:
        if path:
            raise
        return None


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = browser_or_none(playwright)
        if browser is None:
            message = (
                "no Chromium or Chrome found: the pages were not checked in a browser"
            )
            pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(
                message
            )
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 768, 360], ids=["desktop", "tablet", "phone"])
def tab(browser, request):
    """A tab that remembers what went wrong."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 800}, locale="ja-JP"
    )
    page = context.new_page()
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on(
        "console",
        lambda message: message.type == "error" and page.troubles.append(message.text),
    )
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or page.troubles.append(f"asks for {request.url}")
        ),
    )
    yield page
    context.close()


@pytest.fixture(scope="session")
def soups():
    """Every page of the built book, parsed, by its path."""
    bs4 = pytest.importorskip("bs4")
    assert HTML.is_dir(), "make book first"
    paths = {path.relative_to(HTML).as_posix(): path for path in HTML.rglob("*.html")}
    return {
        name: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for name, path in paths.items()
        if not name.startswith("_static")
    }


@pytest.fixture(scope="session")
def server():
    """The address of a web server for the book, which answers like the usual hosts."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def send_error(self, code, message=None, explain=None):
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((HTML / "404.html").read_bytes())

    handler = functools.partial(Handler, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
