"""The house as it is drawn in docs/architecture.md, and each of its rules broken once on purpose."""

import shutil
from pathlib import Path

import pytest

import template
from shape.house import complaints


def test_the_house_stands() -> None:
    assert complaints(template.ROOT) == []


BREAKS = [
    ("an upward import", "layers/core/sheaf/store/table.py", "from sheaf.records import write\n", "not below it"),
    ("one rank beside", "layers/core/sheaf/formats/csv.py", "from sheaf.describe import openapi\n", "not below it"),
    ("a sibling feature", "layers/core/sheaf/features/contact.py", "from sheaf.features import mails\n", "sibling"),
    (
        "a sibling of a feature folder",
        "layers/core/sheaf/features/webhooks/signing.py",
        "from sheaf.features.bulk import parse\n",
        "sibling",
    ),
    ("HTTP below edge", "layers/core/sheaf/records/write.py", "from sheaf.edge.envelope import Reply\n", "not below it"),
    ("boto3 outside store", "layers/core/sheaf/records/read.py", "import boto3\n", "only store may"),
    (
        "botocore outside store",
        "layers/core/sheaf/jobs/chunks.py",
        "from botocore.exceptions import ClientError\n",
        "only store may",
    ),
    ("boto3 in a function", "functions/jobs/app.py", "import boto3\n", "imports boto3"),
    (
        "the network outside its door",
        "layers/core/sheaf/features/uploads/reading.py",
        "import urllib3\n",
        "only store/outbound.py",
    ),
    (
        "a second reader of the environment",
        "layers/core/sheaf/store/aws.py",
        "import os\nX = os.environ['A']\n",
        "base/config.py",
    ),
    ("getenv", "layers/core/sheaf/access/roles.py", "import os\nX = os.getenv('A')\n", "base/config.py"),
    (
        "a key outside keys.py",
        "layers/core/sheaf/records/page.py",
        "def f(c: object) -> str:\n    return f'{c.tenant}#task'\n",
        "builds a key",
    ),
    (
        "a swallowed exception",
        "layers/core/sheaf/store/queues.py",
        "try:\n    pass\nexcept Exception:\n    pass\n",
        "catches everything",
    ),
    ("a bare except", "layers/core/sheaf/records/read.py", "try:\n    pass\nexcept:\n    pass\n", "catches everything"),
    ("a long app.py", "functions/jobs/app.py", "X = 1\n" * 61, "is the most"),
    ("a long file", "layers/core/sheaf/base/ids.py", "X = 1\n" * 500, "is the most"),
    ("a long function", "layers/core/sheaf/base/ids.py", "def f() -> None:\n" + "    x = 1\n" * 60, "is the most"),
    ("an endpoint that reaches AWS", "layers/core/endpoints/tasks.py", "from sheaf.store import table\n", "only sheaf/store"),
    ("an entity that reaches inside", "layers/core/entities/tasks.py", "import boto3\n", "imports only sheaf"),
]


@pytest.mark.parametrize(("path", "line", "complaint"), [case[1:] for case in BREAKS], ids=[case[0] for case in BREAKS])
def test_every_rule_can_be_broken(tmp_path: Path, path: str, line: str, complaint: str) -> None:
    for folder in ("layers/core", "functions"):
        shutil.copytree(template.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    broken = tmp_path / path
    broken.write_text(broken.read_text() + "\n" + line)
    found = complaints(tmp_path)
    assert len(found) >= 1 and any(complaint in each for each in found), found
