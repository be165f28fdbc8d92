import contextlib
import functools
import http.server
import os
import shutil
import threading

import pytest
from threadpoolctl import threadpool_limits

from built import HTML, PAGES, address

NO_BROWSER = "no Chromium or Chrome found"


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
            refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            refuse(NO_BROWSER)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter):
    """One line at the end of the run; otherwise only a number of skipped tests would tell of it."""
    skipped = terminalreporter.stats.get("skipped", [])
    unseen = sum(NO_BROWSER in str(report.longrepr) for report in skipped)
    if unseen:
        terminalreporter.write_line(
            f"ブラウザで見る {unseen} 個のテスト (配置、見やすさ、検索、印刷、速さなど) を飛ばしました。"
            "Chromium か Chrome を入れてください / "
            f"{unseen} tests did not look at the pages in a browser (layout, accessibility, search, "
            "print, speed ...): install Chromium or Chrome, e.g. sudo apt install chromium"
        )


@contextlib.contextmanager
def watched_tab(browser, **options):
    """A tab that remembers what went wrong."""
    context = browser.new_context(locale="ja-JP", **options)
    tab = context.new_page()
    tab.troubles = []
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on(
        "console",
        lambda message: message.type == "error" and tab.troubles.append(message.text),
    )
    tab.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or tab.troubles.append(f"asks for {request.url}")
        ),
    )
    yield tab
    context.close()


@pytest.fixture
def tab(browser):
    with watched_tab(browser) as tab:
        yield tab


@pytest.fixture(scope="module", params=PAGES)
def opened(browser, request):
    """A tab with one page of the book, opened once for all tests of a module that look at it."""
    with watched_tab(browser, viewport={"width": 1280, "height": 800}) as tab:
        tab.goto(address(request.param))
        yield tab


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


@contextlib.contextmanager
def serve(site):
    """The address of a web server for a built book, which answers like the usual hosts."""

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


@pytest.fixture(scope="session")
def server():
    with serve(HTML) as url:
        yield url
