"""The command ``idmvton``, also as ``python -m idmvton``: what must be so before anything else is imported."""

from __future__ import annotations

import signal

from idmvton.quiet import calm_threads


def main() -> None:
    """Runs the command line."""
    calm_threads()
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported: no traceback
    from idmvton.cli import main as run

    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
