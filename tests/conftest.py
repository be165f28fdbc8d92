import os
import shutil

import pytest
from threadpoolctl import threadpool_limits


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
