"""The REST server: FastAPI in front of :mod:`idmvton.engine.service`."""
