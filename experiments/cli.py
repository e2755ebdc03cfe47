"""The command `fabric-bo`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from experiments.commands import arguments, page_arguments, rich_arguments, run_arguments
from experiments.commands.help import HelpFormatter
from experiments.commands.result import CommandResult
from experiments.run.progress import Progress
from objectives.base import ObjectiveError

Declare = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class _Command:
    """What can be asked for.

    Attributes:
        about: one line.
        declare: declares its options.
        module: that does it; imported when it is asked for, since most take seconds to import.
        run: its function that runs the command.
        has_result: whether there is a result for `--json`.
    """

    about: str
    declare: Declare
    module: str
    run: str = "run"
    has_result: bool = True


_COMMANDS = {
    "generate": _Command(
        "images from prompts and from liked and disliked pictures", arguments.add_generate, "commands.generate"
    ),
    "optimize": _Command("find settings that an objective likes", run_arguments.add_optimize, "commands.optimize"),
    "resume": _Command("go on with an optimisation", run_arguments.add_resume, "commands.optimize", "resume"),
    "worker": _Command("take part in an optimisation from anywhere", run_arguments.add_worker, "commands.worker"),
    "runs": _Command("the optimisations in a database, and how far they are", run_arguments.add_runs, "commands.runs"),
    "serve-storage": _Command(
        "a database for workers that cannot reach it themselves",
        run_arguments.add_serve_storage,
        "commands.serve_storage",
        has_result=False,
    ),
    "compare": _Command(
        "tuned settings against fixed FABRIC on held-out prompts and seeds", arguments.add_compare, "commands.compare"
    ),
    "report": _Command("one HTML file about a run or a session", arguments.add_report, "commands.report"),
    "studio": _Command(
        "steer a prompt by looking, in the browser", page_arguments.add_studio, "commands.studio", has_result=False
    ),
    "rate": _Command("people rate the images of a run, in the browser", page_arguments.add_rate, "commands.rate"),
    "score": _Command("scores of pictures", arguments.add_score, "commands.score"),
    "paper": _Command("the FABRIC paper's claims, tried on a model", arguments.add_paper, "commands.paper"),
    "personalise": _Command(
        "fine-tune to liked pictures, to compare FABRIC with", arguments.add_personalise, "commands.personalise"
    ),
    "repair": _Command("pictures whose faulty places are filled anew", rich_arguments.add_repair, "commands.repair"),
    "train-rahf": _Command(
        "a predictor of what people say of pictures, of your own data",
        rich_arguments.add_train_rahf,
        "commands.train_rahf",
    ),
    "objectives": _Command("what there is to score with", arguments.add_objectives, "commands.objectives"),
}
_BENCHES = {
    "generation": "what feedback costs, over plain diffusers and the official algorithm",
    "flops": "what feedback costs on Stable Diffusion 1.5 and XL, counted",
    "families": "what feedback costs on well-known transformers, counted",
    "optimizer": "time per proposal, and what is found on noisy test functions",
    "functions": "what samplers find on public test functions whose optimum moves",
    "samplers": "what each sampler finds on the embedded model",
    "boards": "what tuned settings gain over fixed ones, over boards of two worlds",
    "knobs": "what single knobs cost or gain, over boards of two worlds",
    "price": "what closeness costs of the prompt, with and without a constraint",
    "predictor": "what the predictor of rich feedback owes to task tokens and prompt",
    "studio": "the time from a click to the next batch",
    "people": "what a run finds by the ratings or choices of simulated people",
    "artist": "how soon a simulated artist gets what it has in mind",
}
_WELCOME = """\
fabric-bo steers Stable Diffusion with liked and disliked pictures, and finds the settings for it.

  fabric-bo generate "a red star at night"              an image of the small model that is included
  fabric-bo optimize --scenes 4 --trials 8              settings that bring images closer to hidden targets
  fabric-bo studio                                      steer a prompt by liking and disliking, in the browser

fabric-bo --help lists all commands, fabric-bo COMMAND --help all options of one."""
_SHOWN_VERSIONS = ("torch", "diffusers", "botorch", "optuna")
_OURS = ("fabric", "objectives", "optimizer", "experiments")
_NOT_OURS = rf"(?!{'|'.join(_OURS)})"  # modules


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; a usage of thirty options would hide it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _parser(given: list[str]) -> argparse.ArgumentParser:
    """Of all commands; benchmarks, which take time to import, only as far as they are asked for."""
    parser = _Parser(
        prog="fabric-bo",
        description="FABRIC, steered by a Bayesian optimiser.",
        epilog="environment: FABRIC_BO_STORAGE is the default of --storage, FABRIC_BO_AUTH that of --auth",
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(quiet=False, verbose=False, json=False)
    _add_messages(parser, has_result=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, command in _COMMANDS.items():
        its = commands.add_parser(
            name, help=command.about, description=_sentence(command.about), formatter_class=HelpFormatter
        )
        command.declare(its)
        _add_messages(its, command.has_result)
        its.set_defaults(module=command.module, run=command.run)
    benches = commands.add_parser("bench", help="measure speed and samplers").add_subparsers(
        dest="bench", required=True, metavar="BENCH", title="benchmarks"
    )
    for name, about in _BENCHES.items():
        its = benches.add_parser(name, help=about, description=_sentence(about), formatter_class=HelpFormatter)
        its.set_defaults(module=f"bench.{name}", run="run")
        if given[:2] == ["bench", name]:
            import_module(f"experiments.bench.{name}").add_arguments(its)
    return parser


def _sentence(about: str) -> str:
    return f"{about[0].upper()}{about[1:]}."


def _add_messages(parser: argparse.ArgumentParser, has_result: bool) -> None:
    group = parser.add_argument_group("messages")
    options = {"quiet": "no progress, only the result", "verbose": "debug messages, and a traceback of an error"}
    if has_result:
        options["json"] = "print the result as one JSON document"
    for name, about in options.items():
        # Without a default the one of the whole parser holds, which may have been given before the command.
        group.add_argument(f"--{name}", action="store_true", default=argparse.SUPPRESS, help=about)


def _version() -> str:
    """Ours and those of what does the work, in one line."""
    others = ", ".join(f"{name} {_version_of(name)}" for name in _SHOWN_VERSIONS)
    return f"fabric-bo {_version_of('fabric-bo')} ({others})"


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


class _Lines(logging.Formatter):
    """Logged messages as the commands' own look: "warning: trial 3 failed"."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


def _set_up_messages(verbose: bool) -> None:
    """Keeps the terminal for progress: libraries neither draw their own bars nor print a line for every trial."""
    import diffusers.utils.logging
    import optuna.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    optuna.logging.set_verbosity(optuna.logging.INFO if verbose else optuna.logging.WARNING)
    if not verbose:  # the hub says twice that it tries again; why it failed is said in the end
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.NOTSET)


def main(given: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        given: words of the command line; the process's own by default.

    Returns:
        Exit code: 0; 2 on bad input, which is said in one line; 1 on what nobody foresaw.
    """
    try:
        try:
            return _main(sys.argv[1:] if given is None else given)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough, as in `| head`. At exit Python flushes once more, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _main(given: list[str]) -> int:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(handlers=[handler])
    # Libraries warn of each other's old ways, some of them while they are imported; users can do nothing about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=_NOT_OURS)
    warnings.filterwarnings("ignore", category=UserWarning, module="huggingface_hub")
    if not given:
        print(_WELCOME)
        return 0
    options = _parser(given).parse_args(given)
    try:
        with _stopping_at_sigterm():
            result = _result(options)
    except (ValueError, MemoryError, OSError, ObjectiveError) as error:
        if options.verbose:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return 2
    except _Terminated:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # nobody foresaw it: a fault of ours, or of a plug-in
        if options.verbose:
            traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"error: {said}; --verbose shows where", file=sys.stderr)
        return 1
    if options.json:
        print(result.to_json())
    elif result.text:
        print(result.text)
    return result.code


class _Terminated(KeyboardInterrupt):
    """The process was asked to end, as batch systems do."""


@contextlib.contextmanager
def _stopping_at_sigterm() -> Iterator[None]:
    """Within, a process that is asked to end does so as one that is interrupted: what is finished is kept, and said."""

    def stop(number: int, frame: object) -> NoReturn:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # signals are for the main thread
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _result(options: argparse.Namespace) -> CommandResult:
    """Runs what was asked for; where stdout is to hold JSON, whatever else is printed goes to stderr."""
    with contextlib.ExitStack() as stack:
        if options.json:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        progress = stack.enter_context(Progress(options.quiet))
        progress.doing("loading the program")
        run = getattr(import_module(f"experiments.{options.module}"), options.run)
        _set_up_messages(options.verbose)
        if options.command == "bench":
            progress.close()
            return CommandResult("", code=run(options))
        result: CommandResult = run(options, progress)
        return result


if __name__ == "__main__":
    sys.exit(main())
