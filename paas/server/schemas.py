"""JSON schemas of what the server answers, from the types that the handlers say they return.

The counterpart of `usecases.answers.as_json`, case by case: a dataclass is an object with all its fields, a mapping an
object, a sequence an array, and what as_json turns into text (an enum's values, a secret's mask) a string.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]
PLAIN: Mapping[type, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
}


class Schemas:
    """Makes schemas of types. Those of dataclasses are kept once, by name, in `named`, and referred to."""

    def __init__(self, prefix: str = "#/components/schemas/") -> None:
        self.named: dict[str, Schema] = {}
        self._prefix = prefix

    def of(self, hint: Any) -> Schema:
        """The schema of a value of this type as JSON. Raises TypeError for a type that as_json has no word for."""
        origin = get_origin(hint)
        if hint is Any or hint is object:
            return {}
        if isinstance(hint, type) and hint in PLAIN:
            return dict(PLAIN[hint])
        if origin is Annotated:
            return self.of(get_args(hint)[0])
        if origin is Literal:
            return {"enum": list(get_args(hint))}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(part) for part in get_args(hint)]}
        return self._container(hint, origin) if origin else self._class(hint)

    def _container(self, hint: Any, origin: Any) -> Schema:
        parts = get_args(hint)
        if issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(parts[1])}
        if issubclass(origin, tuple) and parts[-1] is not Ellipsis:
            some = {"prefixItems": [self.of(part) for part in parts], "minItems": len(parts), "maxItems": len(parts)}
            return {"type": "array", **some}
        if issubclass(origin, Iterable):
            return {"type": "array", "items": self.of(parts[0])}
        raise TypeError(f"no schema for {hint}")

    def _class(self, hint: Any) -> Schema:
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [one.value for one in hint]}
        if is_dataclass(hint) and isinstance(hint, type):
            return self._dataclass(hint)
        if isinstance(hint, type):
            return {"type": "string"}
        raise TypeError(f"no schema for {hint}")

    def _dataclass(self, kind: type) -> Schema:
        name = kind.__name__
        if name not in self.named:
            self.named[name] = {}  # one that holds itself finds its name taken
            hints = get_type_hints(kind, include_extras=True)
            properties = {each.name: self.of(hints[each.name]) for each in fields(kind)}
            self.named[name] = {
                "type": "object",
                "title": f"{kind.__module__}.{name}",
                "properties": properties,
                "required": list(properties),
            }
        elif self.named[name] and self.named[name]["title"] != f"{kind.__module__}.{name}":
            raise TypeError(f"two answers are called {name}: {kind.__module__} and {self.named[name]['title']}")
        return {"$ref": self._prefix + name}
