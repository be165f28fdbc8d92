"""Execute the chapters: read chapters/*.md, run the cells, write chapters/*.ipynb.

    python tools/execute.py             every chapter
    python tools/execute.py 04_dqn      one of them (04 or chapters/04_dqn.md will do as well)

A notebook depends only on its .md and on what the cells print: no versions, times, random ids or
paths of the machine are written into it, so that running twice changes nothing.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from PIL import Image

MAXCOVERAGE = Image.Quantize.MAXCOVERAGE
CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"

# The same for everybody. pygments_lexer is what makes jupytext write "{code-cell} ipython3".
METADATA = {
    "jupytext": {"formats": "md:myst,ipynb"},
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


class ChapterError(Exception):
    """Why a chapter cannot be published, in a sentence for its author."""


class ThisPython(KernelSpecManager):
    """Finds one kernel, the running interpreter, whatever "python3" the user has registered."""

    def get_kernel_spec(self, kernel_name):
        # The log level: not a word about running over TCP, which is how every local kernel runs.
        return KernelSpec(**get_kernel_dict(extra_arguments=["--log-level=ERROR"]))


def to_myst(notebook, md_path):
    """The text that jupytext writes for a notebook (with the settings that JupyterLab uses too)."""
    return jupytext.writes(
        notebook, fmt="md:myst", config=load_jupytext_config(str(md_path))
    )


def read_pair(md_path):
    """The text of a chapter, and the text that jupytext would write from its notebook.

    The pair is in step when the two are equal: they hold the sources, tags and other cell metadata.
    """
    md_path = Path(md_path)
    notebook = nbformat.read(md_path.with_suffix(".ipynb"), as_version=4)
    return md_path.read_text(encoding="utf-8"), to_myst(notebook, md_path)


def read_notebook(md_path):
    """The notebook of a chapter without its outputs; ids are a pure function of the sources."""
    notebook = jupytext.read(md_path)
    # Page-level front matter (orphan, tocdepth ...) stays; the rest is what METADATA says.
    notebook.metadata = nbformat.from_dict({**notebook.metadata, **METADATA})
    seen = {}
    for cell in notebook.cells:
        short = hashlib.sha1(cell.source.encode()).hexdigest()[:8]
        seen[short] = seen.get(short, 0) + 1
        cell.id = short if seen[short] == 1 else f"{short}-{seen[short]}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with cell ids
    return notebook


def seal(notebook):
    """A digest of all outputs: not even one that nbval ignores, or a figure, is edited by hand."""
    outputs = [cell.get("outputs") for cell in notebook["cells"]]
    text = json.dumps(outputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(cell):
    """'code cell 3, "plt.plot(x)"' is easier to find than a number alone."""
    first_line = cell.source.strip().partition("\n")[0]
    return f"セル / cell [{cell.execution_count}] {first_line!r}"


def run(notebook, md_path):
    """Fill in the outputs, with this interpreter and none of the user's IPython or matplotlib settings."""
    metadata = notebook.metadata.copy()
    with tempfile.TemporaryDirectory() as empty:
        matplotlibrc = Path(empty, "matplotlibrc")
        matplotlibrc.touch()
        settings = {
            "IPYTHONDIR": empty,
            "MATPLOTLIBRC": str(matplotlibrc),
            "TQDM_DISABLE": "1",
        }
        environment = {**os.environ, **settings}
        environment.pop("PYTHONSTARTUP", None)
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_spec_manager=ThisPython()),
            resources={"metadata": {"path": str(md_path.parent)}},
            timeout=None,
            record_timing=False,
            coalesce_streams=True,  # how prints are cut into messages is a matter of timing
        )
        try:
            client.execute(
                env=environment, cleanup_kc=True
            )  # nbclient would leave a kernel it was given alive
        except CellExecutionError as error:
            # The last one: earlier cells may be tagged raises-exception.
            cell = [
                c
                for c in notebook.cells
                if any(o.output_type == "error" for o in c.get("outputs", []))
            ][-1]
            raise ChapterError(
                f"{error.traceback}\n{md_path.name} の {describe(cell)} が {error.ename} で止まりました / raised it"
            ) from None
        except DeadKernelError:
            raise ChapterError(
                f"{md_path.name} のカーネルが落ちました / its kernel died"
            ) from None
    # What nbclient noted down on the way: the version of Python, the state of widgets.
    notebook.metadata = metadata

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if (
                output.get("name") == "stderr"
            ):  # a warning, which is a defect in a published book
                raise ChapterError(
                    f"{output.text}\n{md_path.name} の {describe(cell)} が標準エラー出力に書きました / wrote to stderr"
                )
            if "application/vnd.jupyter.widget-view+json" in output.get(
                "data", {}
            ):  # dead without its kernel
                raise ChapterError(
                    f"{md_path.name} の {describe(cell)} がウィジェットを出力しました / displayed a widget"
                )


def lighten(notebook):
    """Plots of 256 colours weigh less than half: in the pages, the zip, the EPUB and the notebook.

    Colours are chosen so that the worst error is small (16 of 255 in the plots of this book, where
    Pillow's default has 63 and draws a colour bar in steps), then moved to the means of their pixels.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                plot = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
                plot = plot.convert("RGB").quantize(256, MAXCOVERAGE, kmeans=3)
                file = io.BytesIO()
                plot.save(file, "PNG", optimize=True)
                data["image/png"] = base64.b64encode(file.getvalue()).decode() + "\n"


def write(path, text):
    """Write all or nothing, with the same newlines on every system."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def execute(md_path):
    notebook = read_notebook(md_path)
    run(notebook, md_path)
    lighten(notebook)
    nbformat.validate(notebook)
    # As it will be read again, where nbformat has split or joined lines
    notebook.metadata["outputs_sha256"] = seal(
        nbformat.reads(nbformat.writes(notebook), as_version=4)
    )
    write(
        md_path.with_suffix(".ipynb"),
        nbformat.writes(notebook, indent=1, ensure_ascii=False).rstrip("\n") + "\n",
    )
    text, canonical = read_pair(md_path)
    if text != canonical:
        write(md_path, canonical)
        print(
            f"{md_path.name} を jupytext の標準の書式に直しました / rewritten the way jupytext writes it"
        )


def find_chapters(name):
    """The chapter that a name means; all of them without a name."""
    if not name:
        return sorted(CHAPTERS.glob("*.md"))
    stem = Path(name).stem
    found = [
        path
        for path in sorted(CHAPTERS.glob("*.md"))
        if path.stem == stem or path.stem.startswith(stem + "_")
    ]
    if len(found) != 1:
        raise ChapterError(
            f"{name} という章は {len(found)} 個あります / chapters of that name: {len(found)}"
        )
    return found


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(
            errors="backslashreplace"
        )  # a Windows pipe may not be able to carry Japanese
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapter", nargs="?")
    try:
        for md_path in find_chapters(parser.parse_args().chapter):
            print(f"{md_path.name} を実行しています / executing ...", flush=True)
            execute(md_path)
    except ChapterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
