"""The page: Gradio holds the frame, and the modules in `static/` draw into it what `PageApi` answers."""

from __future__ import annotations

import functools
import html
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import gradio as gr

from experiments.studio.web.api import PageApi
from fabric.knobs import KNOBS

Values: TypeAlias = dict[str, Any]

_FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "sans-serif",
)  # of the machine: none is fetched
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")
THEME = gr.themes.Base(primary_hue="teal", neutral_hue="stone", font=_FONTS, font_mono=_MONO, radius_size="lg").set(
    body_text_color_subdued="*neutral_500",  # readable on white: 4.8 to 1
    button_primary_background_fill="*primary_700",  # white on it: 5.5 to 1
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_800",
)

_START = "import(new URL('studio/static/main.js', document.baseURI)).then((page) => page.start(server))"
_APPEARED = "window.studio?.changed()"
# A click before the scripts have started is done as soon as they have.
_NEXT = """(prompt, negative) => {
  const go = () => (window.studio ? window.studio.generate(prompt, negative) : setTimeout(go, 100));
  go();
  return [];
}"""


def build_page(api: PageApi) -> gr.Blocks:
    """The page of a session.

    Args:
        api: answers the page.
    """
    with gr.Blocks(title="FABRIC studio", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            _HEAD.format(study=html.escape(api.session.options.study), knobs=html.escape(_about_knobs())),
            js_on_load=_START,
            server_functions=[_function(ask) for ask in _answers(api)],
        )
        with gr.Tab("Studio", id="studio"):
            _studio()
        with gr.Tab("Gallery", id="gallery"):
            _place("studio-gallery")
        if api.blind is not None:
            with gr.Tab("Blind comparison", id="blind"):
                _place("studio-blind")
    return page


def _studio() -> None:
    with gr.Row(elem_id="studio-composer"):
        prompt = gr.Textbox(
            label="Prompt",
            placeholder="What do you want to see?",
            lines=1,
            max_lines=4,
            scale=6,
            min_width=240,
            elem_id="studio-prompt",
        )
        negative = gr.Textbox(
            label="Negative prompt",
            placeholder="What should not be in it?",
            lines=1,
            max_lines=4,
            scale=3,
            min_width=240,
            elem_id="studio-negative",
        )
        start = gr.Button("Generate", variant="primary", scale=1, min_width=140, elem_id="studio-next")
    _place("studio-progress", "studio-rounds", "studio-board", "studio-keys", "studio-references", "studio-insight")
    gr.on([start.click, prompt.submit, negative.submit], fn=None, inputs=[prompt, negative], js=_NEXT)


def _about_knobs() -> str:
    """What each knob is and does, as JSON: a sentence or two by name."""
    return json.dumps({name: f"{knob.meaning} {knob.effect}" for name, knob in KNOBS.items()})


def _answers(api: PageApi) -> tuple[Callable[[Values], Values], ...]:
    return api.poll, api.act, api.generate, api.insight, api.predictions, api.pair, api.judge, api.result


def _function(method: Callable[[Values], Values]) -> Callable[[Values], Values]:
    """A method as a function, which Gradio can put its mark on."""

    @functools.wraps(method)
    def ask(values: Values) -> Values:
        return method(values)

    return ask


def _place(*names: str) -> None:
    """Where scripts draw."""
    inside = "".join(f'<div id="{name}"></div>' for name in names)
    gr.HTML(f'<div class="studio-places">{inside}</div>', js_on_load=_APPEARED, apply_default_css=False)


_HEAD = """
<div id="studio-head" data-knobs="{knobs}">
<h1>FABRIC <span>studio</span></h1><p>{study}</p><div id="studio-who"></div></div>
"""
