"""Execute the chapters: read chapters/*.md, run the cells, write chapters/*.ipynb.

    python tools/execute.py             every chapter
    python tools/execute.py 04_dqn      one of them (04 or chapters/04_dqn.md will do as well)
    python tools/execute.py --discard   also where cells stand only in the .ipynb

Reproducible: write no versions, times, random ids or paths of the machine into the notebooks.
"""

import argparse
import base64
import hashlib
import importlib
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

# Independent of the machine. pygments_lexer makes jupytext write "{code-cell} ipython3".
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
    """Why a chapter cannot be published."""


class ThisPython(KernelSpecManager):
    """Use the running interpreter as kernel, whatever "python3" the user has registered."""

    def get_kernel_spec(self, kernel_name):
        # Hide the warning about TCP, which every local kernel uses.
        return KernelSpec(**get_kernel_dict(extra_arguments=["--log-level=ERROR"]))


def to_myst(notebook, md_path):
    """Convert a notebook to the text of a chapter, with the settings of jupytext in JupyterLab."""
    return jupytext.writes(
        notebook, fmt="md:myst", config=load_jupytext_config(str(md_path))
    )


def read_pair(md_path):
    """The text of a chapter, and the text generated from its notebook; equal if the two are in sync."""
    md_path = Path(md_path)
    notebook = nbformat.read(md_path.with_suffix(".ipynb"), as_version=4)
    return md_path.read_text(encoding="utf-8"), to_myst(notebook, md_path)


def id_of(cell):
    return hashlib.sha1(cell.source.encode()).hexdigest()[:8]


def refuse_to_overwrite(md_path, chapter):
    """Stop at a cell that somebody wrote into the .ipynb: its id is not ours, the .md does not have it."""
    path = md_path.with_suffix(".ipynb")
    if not path.exists():
        return
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (ValueError, KeyError, AttributeError) as error:
        raise ChapterError(
            f"{path.name} を読めないので、上書きしません。要らなければ消してください / "
            f"cannot read it; delete it if you do not need it ({error})"
        ) from None
    kept = {cell.source for cell in chapter.cells}
    for cell in cells:
        if cell.source not in kept and cell.get("id", "")[:8] != id_of(cell):
            first_line = cell.source.strip().partition("\n")[0]
            raise ChapterError(
                f"{path.name} だけにあるセルが消えてしまいます: {first_line!r}。{md_path.name} に写すか、"
                f"要らなければ make execute CHAPTER={md_path.stem} DISCARD=1 と打ってください / "
                f"copy this cell to the .md, or discard it with DISCARD=1"
            )


def read_notebook(md_path):
    """Convert a chapter to a notebook without outputs; ids depend only on the sources."""
    notebook = jupytext.read(md_path)
    # Keep front matter of the page (orphan, tocdepth ...).
    notebook.metadata = nbformat.from_dict({**notebook.metadata, **METADATA})
    seen = {}
    for cell in notebook.cells:
        short = id_of(cell)
        seen[short] = seen.get(short, 0) + 1
        cell.id = short if seen[short] == 1 else f"{short}-{seen[short]}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with cell ids
    return notebook


def seal(notebook):
    """Digest of all outputs, to detect edits by hand, also of those that nbval ignores."""
    outputs = [cell.get("outputs") for cell in notebook["cells"]]
    text = json.dumps(outputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(cell):
    """Number and first line of a cell."""
    first_line = cell.source.strip().partition("\n")[0]
    return f"セル / cell [{cell.execution_count}] {first_line!r}"


def run(notebook, md_path):
    """Fill in the outputs, with this interpreter and without the user's IPython or matplotlib settings."""
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
            coalesce_streams=True,  # messages are split by timing
        )
        try:
            # cleanup_kc: nbclient does not stop a kernel manager passed to it.
            client.execute(env=environment, cleanup_kc=True)
        except CellExecutionError as error:
            # Earlier cells may be tagged raises-exception.
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
    # Discard what nbclient added: the version of Python, the state of widgets.
    notebook.metadata = metadata

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ChapterError(
                    f"{output.text}\n{md_path.name} の {describe(cell)} が標準エラー出力に書きました / wrote to stderr"
                )
            if "application/vnd.jupyter.widget-view+json" in output.get("data", ()):
                raise ChapterError(
                    f"{md_path.name} の {describe(cell)} がウィジェットを出力しました / displayed a widget"
                )


def lighten(notebook):
    """Reduce plots to 256 colours, less than half the size.

    MAXCOVERAGE limits the worst error (16 of 255 in the plots of this book; with Pillow's default 63, and
    steps in a colour bar).
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
    """Write atomically, with the same newlines on every system."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def execute(md_path, discard=False):
    notebook = read_notebook(md_path)
    if not discard:
        refuse_to_overwrite(md_path, notebook)
    run(notebook, md_path)
    lighten(notebook)
    nbformat.validate(notebook)
    # nbformat splits and joins lines: seal what a reader gets.
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
    """The chapter of that name, or all."""
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
        # Windows pipes may not encode Japanese.
        stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapter", nargs="?")
    parser.add_argument(
        "--discard", action="store_true", help="drop cells of the .ipynb"
    )
    arguments = parser.parse_args()
    # Kernels inherit it: whatever the home is like, no cell prints Matplotlib's notice of it.
    os.environ["MPLCONFIGDIR"] = str(CHAPTERS.parent / "_build" / "matplotlib")
    importlib.import_module("matplotlib.font_manager")  # builds the font cache
    try:
        for md_path in find_chapters(arguments.chapter):
            print(f"{md_path.name} を実行しています / executing ...", flush=True)
            execute(md_path, arguments.discard)
    except ChapterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
