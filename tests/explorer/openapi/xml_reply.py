"""Reads an XML body by its schema: elements as members, repeated elements as lists, texts as what the schema says."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

Schema = dict[str, Any]


def resolved(root: Schema, schema: Schema) -> Schema:
    """Returns the schema itself. Of a value or empty text, it is the schema of the value."""
    while "$ref" in schema or "anyOf" in schema:
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
            continue
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def schema_of(root: Schema, path: str, method: str, status: int) -> Schema:
    """Returns the schema of an XML response."""
    responses = root["paths"][path][method.lower()]["responses"]
    if str(status) not in responses:
        raise ValueError(f"the status {status} is not documented")
    return resolved(root, responses[str(status)])["content"]["text/xml"]["schema"]


def read(content: bytes, root: Schema, schema: Schema) -> Any:
    """Returns the body as the value that a JSON body has. Raises ValueError if the root is not the one of the schema."""
    schema = resolved(root, schema)
    if not content.startswith(b"<?xml version='1.0' encoding='UTF-8'?><"):
        raise ValueError("the body does not begin with the XML declaration")
    element = ElementTree.fromstring(content)
    if element.tag != schema["xml"]["name"]:
        raise ValueError(f"the root is {element.tag}; expected {schema['xml']['name']}")
    return value(element, root, schema)


def value(element: ElementTree.Element, root: Schema, schema: Schema) -> Any:
    """Returns the value of an element."""
    schema = resolved(root, schema)
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(element.text or "", element.text)
    if schema.get("type") != "object":
        return element.text or ""
    members: dict[str, Any] = {}
    properties = schema["properties"]
    for name, of_member in properties.items():
        if resolved(root, of_member).get("type") == "array":
            members[name] = []
    for child in element:
        of_child = resolved(root, properties.get(child.tag, {}))
        if of_child.get("type") == "array":
            members[child.tag].append(value(child, root, of_child["items"]))
        elif child.tag in members:
            raise ValueError(f"{child.tag} occurs twice")
        else:
            members[child.tag] = value(child, root, of_child)
    return members
