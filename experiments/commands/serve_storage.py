"""`fabric-bo serve-storage`: a database for workers that cannot, or should not, reach it themselves."""

from __future__ import annotations

import argparse

from experiments.commands.result import CommandResult
from experiments.commands.runs import storage_of
from experiments.run.progress import Progress
from experiments.run.store import open_storage
from experiments.web.access import LOCAL
from experiments.web.serving import listen


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Serves the storage until the process is asked to end.

    Returns:
        Nothing.

    Raises:
        ValueError: there is no such storage, what serves it is not installed, or one cannot listen there.
    """
    if options.port == 0:
        raise ValueError("port: 0; allowed: 1 to 65535, which workers have to be told")
    # gRPC lets several processes listen on one port, which then share its calls.
    listen(options.host, options.port).close()
    try:
        # It is an extra.
        from experiments.run.grpc_storage import serve
    except ImportError as error:
        raise ValueError(f"serve-storage: {error.name} is not installed: pip install 'fabric-bo[grpc]'") from None
    storage = open_storage(storage_of(options.storage))
    if options.host not in LOCAL:
        progress.warn(f"warning: everybody who reaches {options.host} can read and change all runs, without a password")
    progress.close()
    host = f"[{options.host}]" if ":" in options.host else options.host

    def ready() -> None:
        about = "Ctrl-C stops it; workers wait until it is there again"
        print(f"storage: grpc://{host}:{options.port} ({about})", flush=True)

    try:
        serve(storage, host, options.port, ready)
    except KeyboardInterrupt:
        return CommandResult("")
    raise AssertionError("it is served until the process is asked to end")
