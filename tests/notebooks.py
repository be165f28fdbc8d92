"""What the executed chapters show: their tables and printed lines."""

import json
from pathlib import Path

import bs4

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"


def _outputs(chapter: str):
    notebook = json.loads((CHAPTERS / f"{chapter}.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        yield from cell.get("outputs", [])


def tables(chapter: str) -> list[list[list[str]]]:
    """All tables, as rows of texts without the head."""
    found = []
    for output in _outputs(chapter):
        html = "".join(output.get("data", {}).get("text/html", ""))
        for table in bs4.BeautifulSoup(html, "html.parser").find_all("table"):
            rows = [tr.find_all("td") for tr in table.find_all("tr")[1:]]
            found.append([[td.get_text(strip=True) for td in row] for row in rows])
    return found


def outputs(chapter: str) -> list[str]:
    """All HTML."""
    kinds = [output.get("data", {}) for output in _outputs(chapter)]
    return ["".join(data["text/html"]) for data in kinds if "text/html" in data]


def printed(chapter: str) -> str:
    """All that is printed."""
    return "".join(
        "".join(output["text"])
        for output in _outputs(chapter)
        if output["output_type"] == "stream"
    )
