"""Names that options accept, said once more so that `--help` need not load what they stand for; a test compares."""

from __future__ import annotations

MODEL = "embedded"
PRESETS = ("official", "paper-preference", "paper-target", "repo-eval", "none")
SCHEDULERS = ("euler-a", "euler", "ddim", "dpm++2m", "dpm++2m-karras", "unipc", "lms", "heun", "pndm", "lcm", "own")
DTYPES = ("float32", "float16", "bfloat16")
SAMPLERS = ("gp", "tpe", "cma-es", "optuna-gp", "random")
WORLDS = ("scenes", "emoji")
VALUES = ("last", "best", "all")
