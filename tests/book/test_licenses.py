"""THIRD_PARTY_LICENSES.txt lists all that the site, the zip and the EPUB contain of others."""

import fnmatch
import re
import zipfile

import pytest

import site_files  # book/_ext/site_files.py
from built import HTML, ROOT

NAME = "THIRD_PARTY_LICENSES.txt"
TEXT = (ROOT / NAME).read_text(encoding="utf-8")
LIST, *LICENSES = re.split(r"\n=+\n(.+)\n=+\n", TEXT)
ENTRIES = {
    entry.partition("\n")[0]: entry for entry in re.split(r"\n\n(?=\S)", LIST)[2:]
}


def field(entry: str, name: str) -> str:
    """The value of a field, including its continuation lines."""
    found = re.search(rf"^    {name}: (.*(?:\n        .*)*)", entry, re.MULTILINE)
    return " ".join(found[1].split())


def patterns(entry: str) -> list[str]:
    """Patterns of the files of the site."""
    in_the_site = re.split(r";|EPUB:|zip:|none", field(entry, "Files"))[0]
    return in_the_site.split()


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry_names_author_licence_and_files(entry):
    assert re.search(r"^    https://\S+", entry, re.MULTILINE)
    assert re.search(r"^    Copyright ?\S", entry, re.MULTILINE)
    texts = dict(zip(LICENSES[::2], LICENSES[1::2], strict=True))
    for licence in re.sub(r" \([^)]*\)", "", field(entry, "Licence")).split(", "):
        assert len(texts[licence]) > 800
    for pattern in patterns(entry):
        files = [p for p in HTML.glob(pattern) if "_static" in p.parts]
        assert files, f"nothing in the site is {pattern}"


def test_every_file_of_the_site_is_ours_or_listed():
    listed = [pattern for entry in ENTRIES.values() for pattern in patterns(entry)]
    ours = {path.name for path in (ROOT / "book/static").rglob("*")} | {"logo.svg"}
    unknown = [
        name
        for path in HTML.glob("_static/**/*")
        if path.is_file() and path.name not in ours
        for name in [path.relative_to(HTML).as_posix()]
        if not any(fnmatch.fnmatch(name, p) for p in [*listed, "_static/all.*"])
    ]
    assert not unknown, "unlisted files"


def test_everyone_named_in_a_banner_is_listed():
    """Licence banners survive joining and minifying."""
    found = set()
    for path in [*HTML.glob("_static/**/*.css"), *HTML.glob("_static/**/*.js")]:
        text = path.read_text(encoding="utf-8")
        for comment in re.findall(r"/\*.*?\*/", text, re.DOTALL):
            found |= set(
                re.findall(
                    r"(?:Copyright|©)(?: \(c\))?[ \d,-]*(?:by )?(?:the )?([^\W\d].*?)"
                    r"(?:,? see| \(|\n|,|\*/|\.$)",
                    comment,
                )
            )
    names = {name.strip() for name in found}
    assert len(names) >= 4
    assert not [name for name in names if name.lower() not in TEXT.lower()]


def test_site_and_zip_include_the_list():
    wanted = (ROOT / NAME).read_bytes()
    assert (HTML / NAME).read_bytes() == wanted
    with zipfile.ZipFile(HTML / site_files.ZIP) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(f"/{NAME}")]
        assert archive.read(name) == wanted
