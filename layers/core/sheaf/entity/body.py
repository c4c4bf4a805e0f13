"""Reading of JSON bodies that are no entity: the same complaints everywhere."""

from typing import Any

from sheaf.base.errors import ValidationFailed


def object_of(body: object, *known: str, error: str = "The body is malformed") -> dict[str, Any]:
    """`body` where it is a JSON object with no member but the `known` ones (any where none is named); raises ValidationFailed."""
    if not isinstance(body, dict):
        raise ValidationFailed("The body must be a JSON object", fields={"": "must be an object"})
    if unknown := [name for name in body if known and name not in known]:
        raise ValidationFailed(error, fields={str(name)[:200]: "is not known here" for name in unknown[:100]})
    return body
