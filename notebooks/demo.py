"""Write into demo/ what attnwidget makes: a page, figures, and the quickstart notebook executed.

Nothing is downloaded: the models come with the installed packages.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attnwidget as aw

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "demo"
NOTEBOOK = ROOT / "notebooks" / "01_quickstart.ipynb"
TEXT = "The cat sat on the mat because it was tired"


def figures() -> list[Path]:
    """Save the widget over the pocket model as a page without a kernel, and as figures."""
    model, tokenizer = aw.pocket()
    view = aw.view(model, TEXT, tokenizer=tokenizer, layer=3, heads=[3, 1], query="it")
    names = ("attention.html", "attention.svg", "attention.pdf", "attention.png")
    return [view.save(TARGET / name) for name in names]


def quickstart() -> Path:
    """Run every cell of the quickstart notebook and keep the outputs.

    Raises:
        SystemExit: A cell failed; nbconvert has printed which.
    """
    done = subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
        [
            *(sys.executable, "-m", "nbconvert", "--log-level=WARN"),
            *("--to", "notebook", "--execute", "--output-dir", str(TARGET), str(NOTEBOOK)),
        ],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        sys.exit(done.returncode)
    return TARGET / NOTEBOOK.name


def main() -> None:
    """Make everything and say where it is."""
    TARGET.mkdir(exist_ok=True)
    print("Drawing the pocket model's attention ...", flush=True)
    page, *pictures = figures()
    print("Executing the quickstart notebook (a minute or so) ...", flush=True)
    notebook = quickstart()
    print("\nThe widget in one page; open it in any browser, the network may be off:")
    print(f"  {page}")
    print("Figures of the same view:")
    for picture in pictures:
        print(f"  {picture}")
    print("The quickstart notebook, executed:")
    print(f"  {notebook}")
    print("\nTo use the widget yourself, in JupyterLab:\n  make lab")


if __name__ == "__main__":
    main()
