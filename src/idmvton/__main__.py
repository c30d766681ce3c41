"""The command ``idmvton``, also as ``python -m idmvton``: what must be so before anything else is imported."""

from __future__ import annotations

import signal

_HAS_OWN_HANDLER = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
if not _HAS_OWN_HANDLER:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported: no traceback

from idmvton.lean_imports import import_less  # noqa: E402
from idmvton.quiet import calm_threads  # noqa: E402


def main() -> None:
    """Runs the command line."""
    calm_threads()
    import_less()
    from idmvton.cli import main as run

    if not _HAS_OWN_HANDLER:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
