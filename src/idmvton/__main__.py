"""``python -m idmvton`` is the command ``idmvton``."""

from idmvton.cli import main

main()
