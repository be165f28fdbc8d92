"""The site that is published: built from the zip as in pages.yml, at an address of its own."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import bs4
import pytest

import site_files  # book/_ext/site_files.py
from built import CHAPTERS, HTML, PAGES, ROOT, serve, widths

pytestmark = pytest.mark.slow  # a second build of the whole book


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The zip, unpacked in a folder with Japanese letters and a space in its name."""
    folder = tmp_path_factory.mktemp("download") / "本 棚"
    with zipfile.ZipFile(HTML / site_files.ZIP) as archive:
        for entry in archive.infolist():  # as unzip does, with the files' permissions
            Path(archive.extract(entry, folder)).chmod(entry.external_attr >> 16)
    (root,) = folder.iterdir()
    return root.rename(folder / "rl book")


@pytest.fixture(scope="module")
def plain_locale():
    """The environment as with LANG=C, and without Python's help against it."""
    helping = {"LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING"}
    kept = {name: value for name, value in os.environ.items() if name not in helping}
    return {**kept, "LC_ALL": "C"}


@pytest.fixture(scope="module")
def published(unpacked, plain_locale):
    """The address and the folder of the site; with the packages that are installed here."""
    site = unpacked / "_build" / "html"
    for kind in ("epub", "pdf"):
        file = unpacked / "_build" / kind / f"dezero-dqn.{kind}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"made before the book")
    with serve(site) as url:
        environment = {
            **plain_locale,
            "SITE_URL": f"{url}/",
            "REPOSITORY_URL": "https://github.com/someone/a.book",
        }
        program = Path(sys.executable).with_name("jupyter-book")
        command = [program, *"build . -W -n --keep-going -q".split()]
        subprocess.run(
            command, cwd=unpacked, check=True, capture_output=True, env=environment
        )
        yield f"{url}/", site


def read(page: Path) -> bs4.BeautifulSoup:
    return bs4.BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def test_book_can_be_built_from_the_zip(published):
    _, site = published
    for page in PAGES:
        assert (site / f"{page}.html").is_file()
    same = (site / site_files.ZIP).read_bytes() == (HTML / site_files.ZIP).read_bytes()
    assert same, "the book's zip from the zip's book"


@pytest.mark.parametrize("kind", ["epub", "pdf"])
def test_site_offers_what_was_made_before(published, kind):
    _, site = published
    (link,) = read(site / "book/index.html").select(f"article a[href$='.{kind}']")
    offered = (site / "book" / link["href"]).read_bytes()
    made = site.parent / kind / f"dezero-dqn.{kind}"
    assert offered == made.read_bytes()


def test_published_pages_report_mistakes_as_issues(published):
    _, site = published
    for page in PAGES:
        (link,) = read(site / f"{page}.html").select(".report a")
        url = urlsplit(link["href"])
        assert f"{url.netloc}{url.path}" == "github.com/someone/a.book/issues/new"
        body = parse_qs(url.query)["body"][0]
        assert f"（{page}）\n節：\n版：" in body


def test_published_chapters_link_to_colab(published, soups):
    _, site = published
    home = "https://colab.research.google.com/github/someone/a.book/blob/colab/chapters"
    for chapter in CHAPTERS:
        (link,) = read(site / f"chapters/{chapter}.html").select("a[href*='colab.r']")
        assert link["href"] == f"{home}/{chapter}.ipynb"
        assert link.text.strip() == "Colab で開く"
        assert link["title"] == "この章を Google Colab で開いて動かす"
    (link,) = read(site / "book/index.html").select("a[href*='colab.r']")
    assert link["href"] == f"{home}/{CHAPTERS[0]}.ipynb"
    assert link.find_parent(class_="start") and link.text == "Colab で開く"
    # A book without addresses offers nothing that it does not have.
    for page in PAGES:
        assert not soups[f"{page}.html"].select("a[href*='colab.r']"), page


def test_colab_button_fits_a_phone_and_a_laptop(browser, published):
    _, site = published
    tab = browser.new_page()
    tab.goto((site / "chapters/03_cartpole_replay.html").as_uri())
    for width in widths(tab, 1280, 360):
        box = tab.locator(".btn-colab").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_published_notebooks_have_one_cell_more(published):
    url, site = published
    for chapter in CHAPTERS:
        text = (site / f"_sources/chapters/{chapter}.ipynb").read_text("utf-8")
        notebook = json.loads(text)
        first = next(c for c in notebook["cells"] if c["cell_type"] == "code")
        assert f'SITE = "{url}"\n' in first["source"]
        notebook["cells"].remove(first)
        original = (ROOT / "chapters" / f"{chapter}.ipynb").read_text("utf-8")
        assert json.dumps(notebook, indent=1, ensure_ascii=False) + "\n" == original


def versions(python: Path) -> dict[str, str]:
    command = [python, "-m", "pip", "list", "--format=json"]
    answer = subprocess.run(command, check=True, capture_output=True).stdout
    return {package["name"]: package["version"] for package in json.loads(answer)}


# The versions of Colab in 2026, which its kernel and its other packages depend on
LIKE_COLAB = "ipython==7.34.0 ipykernel==6.17.1 numpy==2.0.2 matplotlib==3.10.0".split()


@pytest.mark.parametrize("chapter", ["06_lander"])
def test_published_notebook_installs_what_it_lacks_and_runs(
    published, tmp_path, chapter
):
    """In an empty folder, with nothing but Jupyter, NumPy and Matplotlib, whose versions stay."""
    _, site = published
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [python, "-m", "pip", "install", "-q", "nbclient", *LIKE_COLAB]
    subprocess.run(install, check=True)
    before = versions(python)
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(site / f"_sources/chapters/{chapter}.ipynb", folder)
    execute = "from nbclient.cli import main; main()"
    command = [python, "-c", execute, "--timeout=-1", f"{chapter}.ipynb"]
    # Twice: the kernel may be started again, and finds what the first one has installed.
    for _ in range(2):
        subprocess.run(command, cwd=folder, check=True)
    after = versions(python)
    assert {name: after[name] for name in before} == before
