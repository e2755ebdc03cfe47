"""`fabric-bo report` on the embedded model, as small as can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from experiments.cli import main
from experiments.commands.report import report
from experiments.comparison.compare import FILE
from experiments.config.read import check_config, read_config
from experiments.config.schema import RunConfig
from experiments.report import facts, pictures
from experiments.report import run_page as page_module
from experiments.report.facts import config_text
from experiments.report.findings import Findings, read_findings
from experiments.report.run_page import draw, page
from experiments.report.style import Drawn
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from experiments.run.study import open_study, read_study
from fabric.knobs import KNOBS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

ConfigOf = Callable[..., RunConfig]
SECTIONS = ["settings", "images", "comparison", "convergence", "parameters", "run"]
NO_ADDRESS = ("data:image/", "data:text/csv", "data:application/json", "#")


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def two(config_of: ConfigOf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two objectives, which was not compared."""
    folder = tmp_path_factory.mktemp("two")
    optimize(Plan.of(config_of(folder, objective=["clip-prompt", "diversity"], trials=4)))
    report(read_findings(folder), folder / "report.html")
    return folder


class _Elements(HTMLParser):
    """Tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def _elements(text: str) -> list[tuple[str, dict[str, str]]]:
    return _Elements(text).found


def test_it_needs_no_other_file(html: str) -> None:
    for tag, attributes in _elements(html):
        assert tag not in ("link", "iframe", "object", "base")
        for name in attributes.keys() & {"src", "srcset", "href", "action", "poster"}:
            assert attributes[name].startswith(NO_ADDRESS), (tag, attributes[name][:80])
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_what_comes_from_outside_is_escaped(html: str) -> None:
    assert [attributes for tag, attributes in _elements(html) if tag == "script"] == [
        {"type": "application/json", "id": "parallel-data"},
        {},
        {},
        {},
        {},
    ]
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; a &#34;red&#34; $star$" in html
    assert "one &lt;b&gt; &amp; &#39;two&#39;" in html


def test_all_sections_are_there(html: str) -> None:
    ids = [attributes["id"] for tag, attributes in _elements(html) if tag == "section"]
    assert ids == SECTIONS
    links = [attributes for tag, attributes in _elements(html) if tag == "a"]
    assert [link["href"] for link in links if "download" not in link] == [f"#{name}" for name in SECTIONS]
    named = [link["download"] for link in links if "download" in link]
    assert named == ["trials.csv", "comparison.csv", "report.json"]


def test_every_parameter_says_what_it_is_and_where_it_was_searched(html: str) -> None:
    text = unescape(html)
    for name, knob in KNOBS.items():
        assert f"<summary>{name}</summary><small>{knob.meaning} {knob.effect}" in text
    strength = KNOBS["strength"]
    assert f"{strength.effect} Searched from 0.05 to 8 on a logarithmic scale.</small>" in text


def test_every_picture_says_what_it_shows(html: str) -> None:
    *images, enlarged = [attributes for tag, attributes in _elements(html) if tag == "img"]
    assert all(attributes["alt"] for attributes in images)
    assert enlarged == {"alt": ""}  # until an image is clicked on
    shown = [
        attributes["alt"] for attributes in images if "round" in attributes["alt"] and "image" in attributes["alt"]
    ]
    assert len([alt for alt in shown if alt.startswith("tuned, round 2")]) == 2 * 2  # prompts x images
    roles = [attributes.get("class") for tag, attributes in _elements(html) if tag == "button"]
    assert roles.count("zoom liked") == roles.count("zoom disliked") == 2 * 2  # arms with feedback x prompts


def test_plots_are_files_too(folder: Path) -> None:
    names = {path.stem for path in (folder / "report").glob("*.png")}
    single = {"convergence-0", "importance-0", "slices-0", "parallel-0"}
    assert names == single | {"differences", "rounds-0", "round-differences", "measures", "time"}
    for path in (folder / "report").glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width == 1600
    assert not list(folder.rglob("*.tmp"))


def test_the_configuration_beside_it_makes_the_run_again(folder: Path) -> None:
    assert read_config(folder / "report" / "config.yaml") == read_findings(folder).config


def test_the_headline_says_which_round_it_rests_on_and_the_mean_over_rounds(folder: Path, html: str) -> None:
    found = json.loads((folder / FILE).read_text())
    headline = unescape(next(line for line in html.splitlines() if 'class="verdict"' in line))
    best = found["best_preset"]
    assert f"({best}) in round 2, the last: {_interval(found['differences']['clip-prompt'][best])} " in headline
    ours, theirs = (
        np.mean(next(arm for arm in found["arms"] if arm["name"] == name)["scores"]["clip-prompt"], axis=(1, 2))
        for name in ("tuned", best)
    )
    assert f"Averaged over all rounds: {np.mean(ours - theirs):+.3f} [" in headline


def test_the_figures_are_those_of_the_comparison(folder: Path, html: str) -> None:
    found = json.loads((folder / FILE).read_text())
    assert found["verdict"] in unescape(html)
    for its in found["differences"]["clip-prompt"].values():
        assert _interval(its) in html


def _interval(its: dict[str, float]) -> str:
    return f"{its['mean']:+.3f} [{its['low']:+.3f}, {its['high']:+.3f}]"


def test_rounds_without_a_measure_have_none(html: str) -> None:
    assert "nan" not in html[html.index("<main>") :].split("data:image", 1)[0]
    assert ">– / " in html  # similarity to liked images, before there were any


def test_the_same_run_gives_the_same_page(folder: Path, html: str) -> None:
    found = read_findings(folder)
    assert page(found, draw(found), folder / "report.html", folder / "report" / "config.yaml") == html


def test_large_images_are_found_at_their_own_size(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_SIDE", 16)
    html = page(read_findings(folder), _no_plots(), tmp_path / "elsewhere.html", tmp_path / "config.yaml")
    addresses = [each["data-full"] for _, each in _elements(html) if "data-full" in each]
    assert len(addresses) == 3 * 2 * 2 * 2  # arms x prompts x rounds x images
    for address in addresses:
        with Image.open(tmp_path / unquote(address)) as picture:
            assert picture.size == (32, 32)


def test_without_a_comparison_it_says_how_to_make_one(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("comparison*", "report*"))
    path = tmp_path / "elsewhere.html"
    report(read_findings(tmp_path / "run"), path)
    html = path.read_text()
    assert f"fabric-bo compare {tmp_path / 'run'}" in html
    assert [each["id"] for tag, each in _elements(html) if tag == "section"] == SECTIONS
    alts = [each["alt"] for tag, each in _elements(html) if tag == "img"]
    assert any("(best preset)" in alt and "round 2" in alt for alt in alts)  # of the run's own prompts
    assert (tmp_path / "elsewhere" / "convergence-0.png").exists()


def test_a_comparison_of_other_settings_is_pointed_out(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("report*"))
    found = json.loads((tmp_path / "run" / FILE).read_text())
    found["arms"][0]["params"]["strength"] = 7.5
    (tmp_path / "run" / FILE).write_text(json.dumps(found))
    findings = read_findings(tmp_path / "run")
    assert "The comparison is of other settings" in page(
        findings, _no_plots(), tmp_path / "report.html", tmp_path / "config.yaml"
    )


def _no_plots() -> dict[str, list[Drawn]]:
    return {name: [] for name in ("comparison", "convergence", "parameters", "parallel", "front")}


def test_more_than_some_prompts_are_folded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_findings(folder)
    assert "<summary>1 more</summary>" not in page(found, _no_plots(), folder / "report.html", folder)
    monkeypatch.setattr(page_module, "SHOWN", 1)
    assert "<summary>1 more</summary>" in page(found, _no_plots(), folder / "report.html", folder)


def test_two_objectives_have_a_front(two: Path) -> None:
    html = (two / "report.html").read_text()
    ids = [attributes["id"] for tag, attributes in _elements(html) if tag == "section"]
    assert ids == [*SECTIONS[:-1], "front", "run"]
    assert (two / "report" / "front-1.png").exists()
    assert (two / "report" / "convergence-1.png").exists()
    for setting in read_findings(two).front:
        assert f"trial {setting[0].number}" in html


def test_presets_are_recognised(folder: Path) -> None:
    found = read_findings(folder)
    assert [one.phase for one in found.tried] == ["preset"] * 4 + ["search"] * 2
    assert [one.preset for one in found.tried] == [*found.presets, None, None]
    assert [one.preset for one in found.tried if one.preset and not one.exact] == ["official"]  # no window


def test_the_belief_after_all_trials_is_the_recommendation(folder: Path) -> None:
    found = read_findings(folder)
    moments = found.moments(0)
    assert len(moments) == 5  # from the second trial on
    assert found.recommended is not None
    assert moments[-1].best.number == found.recommended[0].number
    assert moments[-1].best.mean == pytest.approx(found.recommended[0].mean)


def test_a_run_that_has_just_begun(config_of: ConfigOf, tmp_path: Path) -> None:
    optimize(Plan.of(config_of(tmp_path, trials=1, prompts=["a red star"])))
    assert report(read_findings(tmp_path), tmp_path / "report.html") == 4


def test_nothing_to_report_is_one_line(
    config_of: ConfigOf, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: run: {tmp_path} is no output of a run (")
    assert error.count("\n") == 1
    open_study(tmp_path, config_of(tmp_path).model_dump(mode="json"))
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: report: {tmp_path} holds no finished trial")
    assert main(["report", str(folder), "--output", str(tmp_path / "page")]) == 2
    assert "allowed: a file that ends in .html" in capsys.readouterr().err
    (tmp_path / FILE).write_text('{"value": ')
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{FILE} cannot be read" in error
    assert error.count("\n") == 1


def test_a_password_stays_out_of_it(folder: Path) -> None:
    study, values = read_study(folder)
    config = check_config({**values, "storage": "postgresql://me:secret@host/studies"})
    text = config_text(Findings(folder, config, study, None))
    assert "secret" not in text
    assert "postgresql://me:***@host/studies" in text
    commands = dict(facts.commands(folder, folder / "config.yaml", config.storage))
    assert commands["every trial with its images"].startswith("optuna-dashboard 'postgresql://me:***@host/studies' ")
    assert "every trial with its images" not in dict(
        facts.commands(folder, folder / "config.yaml", "grpc://host:13000")
    )
