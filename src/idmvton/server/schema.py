"""What the OpenAPI document says of requests: JSON Schema from the one table of options, and examples."""

from __future__ import annotations

from typing import Any, Final

from idmvton.engine.service.orders import ROLES, open_options
from idmvton.engine.service.views import Kind
from idmvton.options import Option, ServiceOptions
from idmvton.server.documents import ProblemDocument
from idmvton.server.problems import MEDIA_TYPE

_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_PIXEL: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_HELP: Final = {
    "person": "the photo of a person",
    "garment": "the photo of a garment, alone or worn",
    "mask": "of the person's photo: white is repainted",
    "densepose": "of the person's photo: a body map in the published colours",
    "labels": "of the person's photo: clothes and skin",
    "keypoints": "of the person's photo: OpenPose's JSON",
}
_MORE: Final[dict[str, Any]] = {
    "prepared": {"type": "string", "description": "instead of a person: the id of a prepared one"},
    "garment_id": {"type": "string", "description": "instead of a garment: the id of one"},
    "adapter": {"type": "string", "description": "a name or an id that GET /v1/adapters lists"},
    "adapter_scale": {"type": "number", "minimum": 0, "maximum": 2, "default": 1, "description": "how much of it"},
    "name": {
        "type": "string",
        "description": "of the adapter that is made, for later orders; one is chosen without it",
    },
    "priority": {"type": "integer", "minimum": -10, "maximum": 10, "default": 0},
    "deadline": {"type": "number", "exclusiveMinimum": 0, "maximum": 604800, "description": "seconds from now"},
    "webhook": {"type": "string", "format": "uri", "description": "is told the end of the job, signed"},
}


_ROLES_OF: Final[dict[Kind, tuple[str, ...]]] = {"garment": ("garment",), "adapter": ("person", "garment")}
_ADAPTED: Final = ("adapter", "adapter_scale")
_NOT_OF: Final[dict[Kind, tuple[str, ...]]] = {
    "adapter": _ADAPTED,
    "prepare": (*_ADAPTED, "name", "prepared"),
    "garment": (*_ADAPTED, "name", "prepared", "garment_id"),
}


def options_schema(limits: ServiceOptions, kind: Kind = "try_on") -> dict[str, Any]:
    """JSON Schema of the options of an order of a kind."""
    most = {"num_images": limits.max_images, "num_inference_steps": limits.max_steps}
    most |= {"height": limits.max_side, "width": limits.max_side}
    properties = {name: _schema(option, most.get(name)) for name, option in open_options(kind).items()}
    if kind != "adapter":
        properties["person_number"]["default"] = 0  # of orders; elsewhere the largest person is taken
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Options of the making of an adapter"
        if kind == "adapter"
        else "Options of a try-on and its preparation",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _schema(option: Option, most: int | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES[option.type]}
    if option.minimum is not None:
        schema["minimum"] = option.minimum
    if option.maximum is not None:
        schema["maximum"] = option.maximum if most is None else min(most, option.maximum)
    if option.choices:
        schema["enum"] = list(option.choices)
    if option.is_list:
        schema = {"type": "array", "items": schema}
    if option.optional:
        schema["type"] = [schema["type"], "null"]
        if option.choices:
            schema["enum"] = [*schema["enum"], None]
    description = option.help + (f" [{option.unit}]" if option.unit else "")
    return schema | {"description": description, "default": option.default, "title": option.flag}


def request_body(limits: ServiceOptions, kind: Kind, *, several: bool = False) -> dict[str, Any]:
    """The ``requestBody`` of an operation that takes an order.

    Args:
        limits: of the service.
        kind: of the order.
        several: whether persons and garments are lists, and the only files.
    """
    roles = ("person", "garment") if several else _ROLES_OF.get(kind, ROLES)
    uri = {"type": "string", "pattern": "^data:[a-z0-9.+/-]*;base64,[A-Za-z0-9+/=]+$"}
    options = {name: value for name, value in options_schema(limits, kind).items() if name != "$schema"}
    others = _NOT_OF.get(kind, ("name",))
    text = {**{name: value for name, value in _MORE.items() if name not in others}, "options": options}
    as_json: dict[str, Any] = {}
    as_form: dict[str, Any] = {}
    for role in roles:
        is_list = several and role in ("person", "garment")
        file = {"type": "string", "contentMediaType": "application/octet-stream", "description": _HELP[role]}
        as_form[role] = {"type": "array", "items": file} if is_list else file
        as_json[role] = {"type": "array", "items": uri} if is_list else uri | {"description": _HELP[role]}
    if several:
        pair = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2}
        text["pairs"] = {"type": "array", "items": pair, "description": "person and garment by number; else all pairs"}
    example: dict[str, Any] = {role: [_PIXEL] if several else _PIXEL for role in roles if role in ("person", "garment")}
    example |= {"name": "my-jacket", "options": {}} if kind == "adapter" else {"options": {"seed": 7}}
    form = {name: value for name, value in text.items() if name != "pairs"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "additionalProperties": False, "properties": as_form | form},
                    "encoding": {"options": {"contentType": "application/json"}},
                },
                "application/json": {
                    "schema": {"type": "object", "additionalProperties": False, "properties": as_json | text},
                    "example": example,
                },
            },
        }
    }


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers that say a problem: those that every operation may give, and these."""
    words = {
        400: "malformed",
        401: "no known key",
        404: "not there",
        408: "the body came too slowly",
        409: "contradicts something that is there",
        413: "too large",
        415: "neither multipart nor JSON",
        422: "understood, and cannot be done: no_person, unusable_person, bad_input, bad_option, ...",
        429: "too many: ask again after Retry-After seconds",
        503: "loading, or the database does not answer: ask again after Retry-After seconds",
        507: "no space left",
    }
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    common = (400, 401, 413, 422, 429, 503)
    return {
        status: {"description": words[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*common, *statuses})
    }
