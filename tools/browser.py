"""The browser that prints the book and that the page tests use."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def launch(playwright):
    """Launch Chromium or Chrome; None if there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    arguments = {"executable_path": path} if path else {"channel": "chrome"}
    try:
        # Containers have neither a sandbox nor a graphics card, and the pages are our own.
        flags = ["--no-sandbox", "--disable-gpu"]
        return playwright.chromium.launch(args=flags, **arguments)
    except Exception:
        if path:
            raise
        return None
