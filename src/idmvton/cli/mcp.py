"""``idmvton mcp``: tools for assistants, over standard input and output."""

from __future__ import annotations

from typing import Any

from idmvton.cli.shared import pick, reports_errors, with_options
from idmvton.engine.loading import check_model
from idmvton.options import ModelOptions


@with_options(ModelOptions)
@reports_errors
def mcp(**values: Any) -> None:
    """Serve the tools try_on, prepare and caption to an assistant, by the Model Context Protocol over stdio.

    An assistant's configuration names this command: {"command": "idmvton", "args": ["mcp"]}.
    """
    from idmvton.mcp.server import make_server

    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    server = make_server(model)
    check_model(model)
    server.run("stdio")
