"""Bad inputs by class; a line more in a list is one more for every place that takes what the list holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

NAN, INFINITE = float("nan"), float("inf")

# What is no number of its kind; a text is what YAML or the command line would hand over.
NO_COUNTS: list[Any] = [0, -1, 1.5, "many", [], {}, None, True, NAN, INFINITE]
NO_SHARES: list[Any] = [-0.1, 1.5, "half", [], NAN, INFINITE]
NO_SEEDS: list[Any] = ["x", 1.5, [], None]
NO_TEXTS: list[Any] = [3, [], {}, True]

FIELDS: dict[str, list[Any]] = {
    "trials": NO_COUNTS,
    "at_once": NO_COUNTS,
    "workers": NO_COUNTS,
    "protocol.rounds": NO_COUNTS,
    "protocol.images": NO_COUNTS,
    "protocol.steps": NO_COUNTS,
    "protocol.batch": NO_COUNTS,
    "people.ratings": NO_COUNTS,
    "people.pairs": NO_COUNTS,
    "people.waiting": [bad for bad in NO_COUNTS if bad is not None],
    "people.stand_in": ["unheard-of", "pickscore", 3],
    "people.choices": NO_COUNTS,
    "people.options": [1, 10, 2.5, "many", [], None, True],
    "people.kind": ["votes", 1, None, []],
    "people.against": [[], "no feedback", [1], 3],
    "stop.images": [bad for bad in NO_COUNTS if bad is not None],
    "stop.minutes": [0, -1, "long", [], NAN],
    "replicate": [-0.1, 0.6, "half", [], NAN],
    "people.repeats": [-0.1, 0.6, "half", [], NAN],
    "protocol.prune": [-0.1, 1, "often", [], NAN],
    "protocol.guidance": [0.5, 21, "strong", [], NAN],
    "protocol.size": [0, [64], [64, 64, 64], [0, 64], [64.5, 64], "large", [10**7, 64], [63, 64]],
    "protocol.value": ["first", 1, []],
    "protocol.feedback": ["none", 1, []],
    "seed": NO_SEEDS,
    "protocol.seed": NO_SEEDS,
    "scenes.count": NO_COUNTS,
    "scenes.kind": ["unusual", 1, "right"],
    "world": ["moon", 1],
    "sampler": ["cleverest", 1, None],
    "objective": ["unheard-of", [], ["clip-target", "clip-target"], {"name": "sum"}, {"parts": ["clip-target"]}, 3],
    "constraints": [
        ["clip-prompt"],
        [{"objective": "clip-target", "at_least": 0}],
        [{"objective": "x", "at_least": 0}],
        3,
    ],
    "model.name": ["no/such-model", "./nowhere", 3, ""],
    "model.scheduler": ["slowest", 3],
    "model.device": ["abacus", "cuda:99", 3],
    "model.dtype": ["float128", 3],
    "model.loras": [["x"], {"nowhere.safetensors": 1}, {"nowhere.safetensors": "strong"}],
    "space": [
        {},
        {"unheard-of": [0, 1]},
        {"strength": [1, 0]},
        {"strength": [0, 1, "log"]},
        {"strength": [0, 100]},
        {"strength": [1, 1]},
        {"strength": "wide"},
        {"strength": [NAN, 1]},
        {"weights": [0, 1]},
        {"start": [0.5, 1], "end": [0, 0.2]},
    ],
    "fixed": [{"strength": 99}, {"unheard-of": 1}, {"start": 0.9, "end": 0.1}, {"strength": "strong"}, [1]],
    "known": [{"mine": {"strength": 99}}, {"mine": {"unheard-of": 1}}, {"mine": 3}, [1]],
    "library": [{"pictures": []}, {"pictures": ["nowhere"]}, {"pictures": ["."], "most": 0}, 3],
    "held_out": [{"seed": 0}, {"unheard-of": 1}, {"scenes": {"count": 0}}, 3],
    "storage": [
        "nonsense",
        "mysql://x/y",
        "sqlite:////nowhere/at/all/study.db",
        "postgresql://nobody@127.0.0.1:1/x",
        "grpc://127.0.0.1:1",
        "grpc://127.0.0.1",
        "grpc://me:secret@127.0.0.1:1",
        "grpc://127.0.0.1:1/runs",
        3,
    ],
    "artifacts": ["ftp://x/y", "s3://", "", 3],
    "study": ["", 3],
    "output": [3, None],
    "unheard-of": [1],
}
"""Wrong values of a run's configuration, by place."""

YAML_TEXTS: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "a text": b"hello\n",
    "a number": b"3\n",
    "brackets": b"[" * 3000,
    "a tab": b"scenes:\n\tcount: 2\n",
    "no text at all": bytes(range(128, 256)),
    "a NUL": b"trials: 1\0",
    "an alias of itself": b"&a [*a]\n",
    "an object": b"!!python/object/apply:os.system ['true']\n",
    "open quotes": b'trials: "3\n',
    "a key twice as a list": b"? [a, b]\n: 1\n",
}
"""Files that hold no configuration, settings or run."""


def picture_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no pictures, each with what it is."""

    def new(name: str, content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    Image.new("RGB", (64, 64), "red").save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    yield "nothing", folder / "nowhere.png"
    yield "empty", new("empty.png", b"")
    yield "a text", new("text.png", b"not a picture")
    yield "cut short", new("short.png", whole[: len(whole) // 2])
    yield "a header alone", new("header.png", whole[:33])
    yield "noise", new("noise.png", os.urandom(2000))
    yield "SVG", new("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "empty-folder").mkdir()
    yield "an empty folder", folder / "empty-folder"
    os.mkfifo(folder / "pipe.png")
    yield "a pipe", folder / "pipe.png"
    (folder / "loop.png").symlink_to(folder / "loop.png")
    yield "a link to itself", folder / "loop.png"


PICTURE_OPTIONS: dict[str, Callable[[Path], list[str]]] = {
    "generate, liked": lambda path: ["generate", "a star", "--liked", str(path)],
    "generate, disliked": lambda path: ["generate", "a star", "--disliked", str(path)],
    "optimize, target": lambda path: ["optimize", "--prompt", "a star", "--target", str(path)],
    "optimize, liked": lambda path: ["optimize", "--prompt", "a star", "--target", "good.png", "--liked", str(path)],
    "score": lambda path: ["score", str(path), "--objective", "artifact-area", "--checkpoint", "embedded"],
    "repair": lambda path: ["repair", str(path), "--prompt", "a star"],
}
"""Commands that take pictures."""

RUN_COMMANDS = ("report", "compare", "resume", "rate")
"""Commands that take the folder of a run."""

LINES: dict[str, list[list[str]]] = {
    "generate": [
        [],
        ["a star", "--num-images", "0"],
        ["a star", "--num-images", "-1"],
        ["a star", "--num-images", "x"],
        ["a star", "--steps", "0"],
        ["a star", "--steps", "-3"],
        ["a star", "--size", "64"],
        ["a star", "--size", "0x64"],
        ["a star", "--size", "64x63"],
        ["a star", "--size", "1000000x1000000"],
        ["a star", "--size", "x"],
        ["a star", "--batch", "0"],
        ["a star", "--strength", "99"],
        ["a star", "--strength", "nan"],
        ["a star", "--guidance-scale", "0"],
        ["a star", "--start", "0.9", "--end", "0.1"],
        ["a star", "--preset", "best"],
        ["a star", "--params", "nowhere.yaml"],
        ["a star", "--scheduler", "slowest"],
        ["a star", "--model", "./nowhere"],
        ["a star", "--device", "abacus"],
        ["a star", "--dtype", "int8"],
        ["a star", "--lora", "nowhere.safetensors"],
        ["a star", "--unheard-of"],
        ["a star", "--seed", "x"],
    ],
    "optimize": [
        ["nowhere.yaml"],
        ["."],
        ["--scenes", "0"],
        ["--scenes", "x"],
        ["--trials", "0", "--scenes", "1"],
        ["--prompt", "a star", "--scenes", "2", "--target", "nowhere.png"],
        ["--target", "good.png"],
        ["--scenes", "2", "--space", "strength"],
        ["--scenes", "2", "--space", "strength=1"],
        ["--scenes", "2", "--space", "strength=a:b"],
        ["--scenes", "2", "--space", "strength=0:1:log"],
        ["--scenes", "2", "--space", "unheard-of=0:1"],
        ["--scenes", "2", "--fix", "strength"],
        ["--scenes", "2", "--set", "trials"],
        ["--scenes", "2", "--set", "trials.more=3"],
        ["--scenes", "2", "--set", "unheard-of=3"],
        ["--scenes", "2", "--from", "nowhere"],
        ["--scenes", "2", "--objective", "nowhere.py:score"],
        ["--scenes", "2", "--objective", "math:nothing"],
        ["--scenes", "2", "--objective", "math:pi"],
        ["--scenes", "2", "--minutes", "-1"],
        ["--scenes", "2", "--workers", "0"],
    ],
    "compare": [[], ["nowhere"], ["good.png"], ["nowhere", "--params", "nowhere.yaml"]],
    "report": [[], ["nowhere"], ["good.png"]],
    "resume": [[], ["nowhere"], ["good.png"]],
    "rate": [[], ["nowhere"], ["good.png"]],
    "worker": [[], ["stars"], ["stars", "--storage", "nonsense"], ["stars", "--storage", "sqlite:////nowhere/x/y.db"]],
    "runs": [[], ["--storage", "nonsense"], ["--storage", "postgresql://nobody@127.0.0.1:1/x"]],
    "serve-storage": [
        [],
        ["--storage", "nonsense"],
        ["--storage", "sqlite:////nowhere/x/y.db"],
        ["--storage", "grpc://127.0.0.1:1"],
        ["--storage", "sqlite:///runs.db", "--port", "0"],
        ["--storage", "sqlite:///runs.db", "--port", "99999"],
        ["--storage", "sqlite:///runs.db", "--host", "nowhere.invalid"],
    ],
    "score": [
        [],
        ["good.png"],
        ["good.png", "--objective", "unheard-of"],
        ["good.png", "--objective", "human", "--prompt", "a star"],
        ["good.png", "--objective", "artifact-area", "--checkpoint", "embedded", "--output", "scores.txt"],
        ["good.png", "--objective", "clip-target", "--checkpoint", "embedded"],
    ],
    "repair": [
        [],
        ["good.png"],
        ["good.png", "--prompt", "a star", "--threshold", "2"],
        ["good.png", "--prompt", "a star", "--fillings", "0"],
        ["good.png", "--prompt", "a star", "--denoise", "0"],
        ["good.png", "--prompt", "a star", "--steps", "0"],
        ["good.png", "--prompt", "a star", "--checkpoint", "./nowhere"],
    ],
    "studio": [
        ["--port", "99999"],
        ["--port", "x"],
        ["--host", "nowhere.invalid", "--auth", "a:b"],
        ["--auth", "nobody"],
        ["--images", "0"],
        ["--steps", "0"],
        ["--model", "./nowhere"],
        ["--rahf", "./nowhere"],
        ["--blind", "best", "worst"],
    ],
    "train-rahf": [[], ["nowhere"], ["good.png"]],
    "personalise": [[], ["nowhere.yaml"]],
    "paper": [["E99"], ["--prompts", "0"], ["--prompt-file", "nowhere.json"]],
    "": [["unheard-of"], ["bench", "unheard-of"]],
}
"""Wrong words after each command."""

KINDS_OF_NO_PICTURE = (
    "nothing",
    "empty",
    "a text",
    "cut short",
    "a header alone",
    "noise",
    "SVG",
    "an empty folder",
    "a pipe",
    "a link to itself",
)
"""Those of `picture_files`."""
