"""What is saved follows from the ending of the path: no record in a file called .svg."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import attnwidget as aw

if TYPE_CHECKING:
    from pathlib import Path

EVEN = np.full((2, 2, 3, 3), 1 / 3, np.float32)
MAGIC = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF", ".html": b"<!doctype html"}


def results() -> dict[str, aw.Attention | aw.Comparison | aw.Survey]:
    attention = aw.from_weights(EVEN, ["the", "cat", "sat"])
    model, tokenizer = aw.pocket()
    survey = aw.survey(model, ["the cat sat ."], tokenizer, progress=False)
    return {
        "attention": attention,
        "comparison": aw.compare(attention, attention),
        "series": aw.compare(attention, attention, attention),
        "survey": survey,
    }


@pytest.fixture(scope="module")
def made() -> dict[str, aw.Attention | aw.Comparison | aw.Survey]:
    return results()


@pytest.mark.parametrize("ending", MAGIC)
@pytest.mark.parametrize("name", ["attention", "comparison", "survey"])
def test_a_figure_or_a_page_by_the_ending(
    made: dict, name: str, ending: str, tmp_path: Path
) -> None:
    pytest.importorskip("py_mini_racer", reason="figures are an optional extra")
    for file in (f"it{ending}", f"IT{ending.upper()}", ending):
        path = tmp_path / file
        assert made[name].save(path) == path
        assert path.read_bytes().startswith(MAGIC[ending])


def test_a_figure_takes_the_options_of_figure(made: dict, tmp_path: Path) -> None:
    pytest.importorskip("py_mini_racer", reason="figures are an optional extra")
    attention = made["attention"]
    path = attention.save(tmp_path / "it.svg", layer=-1, head=1, form="matrix", query="cat")
    expected = attention.figure("matrix", layer=1, heads=[1], query=1).svg
    assert path.read_text(encoding="utf-8") == expected
    kind = attention.save(tmp_path / "all.svg", kind="model")
    assert kind.read_text(encoding="utf-8") == attention.figure("model").svg


@pytest.mark.parametrize("name", ["attention", "comparison", "series", "survey"])
def test_a_page_as_text_is_the_page_of_the_file(made: dict, name: str, tmp_path: Path) -> None:
    result = made[name]
    options = {"budget": "1 MB", "layer": 1}
    written = result.save(tmp_path / "it.html", **options).read_text(encoding="utf-8")
    assert result.html(**options) == written
    assert result.html(budget="1 MB", layer=0) != written
    with pytest.raises(ValueError, match=r"budget=1,000 bytes is less than the page takes"):
        result.html(budget=1000)
    with pytest.raises(TypeError, match="width"):
        result.html(width=300)


@pytest.mark.parametrize("name", ["attention", "survey"])
@pytest.mark.parametrize("file", ["run.safetensors", "run.SafeTensors", "run"])
def test_its_own_file(made: dict, name: str, file: str, tmp_path: Path) -> None:
    path = made[name].save(tmp_path / file)
    read = aw.load(path) if name == "attention" else aw.Survey.load(path)
    assert repr(read) == repr(made[name])
    with pytest.raises(TypeError, match="layer is for figures and pages"):
        made[name].save(tmp_path / "other.safetensors", layer=1)
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("attention", "it.csv", r"attention\.to_dataframe\(\)\.to_csv\("),
        ("attention", "it.npy", r"numpy\.save\("),
        ("attention", "it.nc", r"to_xarray\(\)\.to_netcdf\("),
        ("attention", "it.svgz", r"\.safetensors \(the attention itself\), \.svg, \.pdf, \.png"),
        ("attention", "it.svg.gz", "got '.*it.svg.gz'"),
        ("attention", "it.pt", "path must end in"),
        ("attention", ".jpg", "path must end in"),
        ("comparison", "it.safetensors", r"its records: comparison\.a\.save\('a\.safetensors'\)"),
        ("comparison", "it", r"its records: comparison\.a\.save"),
        ("comparison", "it.parquet", r"comparison\.changed\(top=None\)\.to_parquet\("),
        ("survey", "it.csv", r"survey\.head_scores\(\)\.to_csv\("),
        ("survey", "it.gif", r"\.safetensors \(the survey itself\)"),
    ],
)
def test_another_ending_is_refused_with_what_is_accepted(
    made: dict, name: str, file: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        made[name].save(tmp_path / file)
    assert list(tmp_path.iterdir()) == []


def test_views_and_figures_name_what_they_do_not_write(made: dict, tmp_path: Path) -> None:
    view = made["attention"].view()
    with pytest.raises(ValueError, match=r"view\.attention\.save\("):
        view.save(tmp_path / "it.safetensors")
    with pytest.raises(
        ValueError, match=r"path must end in \.svg, \.pdf or \.png.*a page holds a view"
    ):
        made["attention"].figure().save(tmp_path / "it.html")
    (tmp_path / "it.svg").write_text("<svg/>", encoding="utf-8")
    with pytest.raises(ValueError, match="it is no safetensors file"):
        aw.load(tmp_path / "it.svg")
    with pytest.raises(TypeError, match=r"budget means nothing for a \.svg file"):
        made["attention"].save(tmp_path / "it.svg", budget=1)
