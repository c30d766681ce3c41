"""Pipelines that are loaded once, a queue before them that survives the process, and jobs by id."""

from idmvton.engine.service.orders import Order, Terms
from idmvton.engine.service.service import Service
from idmvton.engine.service.views import Output, Problem, View

__all__ = ["Order", "Output", "Problem", "Service", "Terms", "View"]
