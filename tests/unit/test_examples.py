"""Every example in the description is a body that its schema allows."""

import json

import jsonschema_rs
import pytest

import template

HOME = template.ROOT / "layers/core/sheaf/describe"


@pytest.mark.parametrize("version", [1, 2])
def test_every_body_has_an_example_that_fits(version: int) -> None:
    document = json.loads((HOME / f"openapi.v{version}.json").read_text())
    seen = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = {**content["schema"], "components": document["components"]}
                validator = jsonschema_rs.validator_for(schema)
                assert validator.is_valid(content["example"]), (
                    path,
                    content["example"],
                    next(validator.iter_errors(content["example"])),
                )
                seen += 1
    assert seen > 40
