"""What SAM makes of the template, as JSON; run by the interpreter of the SAM CLI's environment, which brings the translator."""

import json
import sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template names none."""

    def load(self) -> dict[str, str]:
        return {}


text = yaml_parse(Path(sys.argv[1]).read_text())
text.pop("Rules", None)
for each in text["Resources"].values():  # as `sam deploy` sends it: code is a place in a bucket
    for name in ("CodeUri", "ContentUri"):
        if name in each.get("Properties", {}):
            each["Properties"][name] = "s3://bucket/key"
parameters = {name: str(each.get("Default", "")) for name, each in text["Parameters"].items()}
print(json.dumps(transform(text, {**parameters, "AWS::Region": "us-east-1"}, NoManagedPolicies())))
