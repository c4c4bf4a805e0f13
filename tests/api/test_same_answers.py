"""REST, batches and GraphQL are three doors to the same rows: random requests get the same records, permissions and errors."""

import json
import random
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

import world

DOORS = ("rest", "batch", "graphql")
FIELDS = {
    "tasks": "id title description status priority assignee: assigneeId createdAt updatedAt version",
    "contacts": "id firstName lastName email createdAt updatedAt version",
    "videos": "id title description url source durationSeconds tags status createdAt updatedAt version",
}
TYPES = {"tasks": ("task", "Task"), "contacts": ("contact", "Contact"), "videos": ("video", "Video")}
CALLERS = {
    "admin": ("admin",), "user": ("user",), "reader": ("admin", "*:read"), "tasks only": ("admin", "tasks:*"), "nothing": ("admin", "projects:read"),
}  # fmt: skip


class Twin:
    """One door with a tenant of its own; what the requests made there, in their order."""

    def __init__(self, sheaf: world.World, door: str) -> None:
        self._sheaf, self.door = sheaf, door
        tenant = sheaf.tenant(door)
        self.keys = {name: sheaf.key(tenant, role, *scopes) for name, (role, *scopes) in CALLERS.items()}  # type: ignore[misc]
        self.rows: dict[str, list[str]] = {path: [] for path in FIELDS}

    def id_of(self, path: str, number: int | None) -> str:
        known = self.rows[path]
        missing = {"tasks": "tsk", "contacts": "con", "videos": "vid"}[path]
        return f"{missing}_01h00000000000000000000000" if number is None or not known else known[number % len(known)]

    def send(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> world.Answer:
        return self._sheaf.http(
            method, path, body, key=self.keys[who], headers={n.replace("_", "-"): t for n, t in headers.items()}
        )

    def settle(self) -> None:
        self._sheaf.settle()

    def ask(self, case: dict[str, Any]) -> tuple[int, Any]:
        """The status and what was said, the ids of rows by their places."""
        found = getattr(self, f"_{self.door}")(case)
        if case["verb"] == "create" and found[0] == 201:
            self.rows[case["path"]].append(found[1]["id"])
        return found[0], self._plain(found[1])

    def _plain(self, value: Any) -> Any:
        places = {row_id: f"{path} {number}" for path, known in self.rows.items() for number, row_id in enumerate(known)}
        text = json.dumps(value, sort_keys=True)
        for row_id, place in places.items():
            text = text.replace(row_id, place)
        plain = json.loads(text)
        for row in plain if isinstance(plain, list) else [plain]:
            if isinstance(row, dict):
                row.pop("createdAt", None)
                row.pop("updatedAt", None)
        return plain

    def _http(self, case: dict[str, Any]) -> tuple[str, str, Any, dict[str, str]]:
        path, verb = case["path"], case["verb"]
        headers = {"If-Match": f'"{case["version"]}"'} if case.get("version") else {}
        where = f"/{path}" if verb in ("list", "create") else f"/{path}/{self.id_of(path, case['row'])}"
        if verb == "list":
            text = json.dumps(case["filter"])
            order = f"&sort={case['sort']}" if case["sort"] else ""
            return "GET", f"{where}?limit={case['limit']}&total=true&filter={quote(text)}{order}", None, headers
        method = {"show": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE", "restore": "POST", "revert": "POST"}[
            verb
        ]
        tail = f"/{verb}" if verb in ("restore", "revert") else ""
        return method, where + tail, {"version": case["to"]} if verb == "revert" else case.get("body"), headers

    def _rest(self, case: dict[str, Any]) -> tuple[int, Any]:
        method, path, body, headers = self._http(case)
        answer = self.send(
            case["who"], method, f"/v2{path}", body, **{name.replace("-", "_"): text for name, text in headers.items()}
        )
        if answer.status >= 400:
            return answer.status, (answer.json["code"], answer.json["message"], answer.json.get("errors"))
        if case["verb"] == "list":
            return 200, [answer.json["meta"]["total"], *answer.data]
        return answer.status, True if case["verb"] == "delete" else answer.data

    def _batch(self, case: dict[str, Any]) -> tuple[int, Any]:
        method, path, body, headers = self._http(case)
        asked = {"id": "a", "method": method, "path": path, "headers": headers, **({"body": body} if body is not None else {})}
        if case["grouped"] and case["verb"] not in ("list", "show"):
            asked["atomicityGroup"] = "g"
        answer = self.send(case["who"], "POST", "/v2/batch", {"requests": [asked]})
        assert answer.status == 200, answer.text
        told = answer.data["responses"][0]
        if told["status"] >= 400:
            return told["status"], (told["body"]["code"], told["body"]["error"], told["body"].get("errors"))
        if case["verb"] == "list":
            return 200, [told["meta"]["total"], *told["body"]]
        return told["status"], True if case["verb"] == "delete" else told["body"]

    def _graphql(self, case: dict[str, Any]) -> tuple[int, Any]:
        path, verb = case["path"], case["verb"]
        one, kind = TYPES[path]
        fields = FIELDS[path]
        given: dict[str, Any] = {"id": self.id_of(path, case.get("row")), "version": case.get("version")}
        if verb == "list":
            orders = [{"field": part.removeprefix("-"), "direction": "DESC" if part[0] == "-" else "ASC"}
                      for part in case["sort"].split(",") if part]  # fmt: skip
            query = (f"query($f: {kind}Filter, $o: [{kind}Order!], $n: Int) {{ r: {path}(filter: $f, orderBy: $o, limit: $n) "
                     f"{{ totalCount nodes {{ {fields} }} }} }}")  # fmt: skip
            given = {"f": case["filter"], "o": orders or None, "n": case["limit"]}
        elif verb == "show":
            query, given = f"query($id: ID!) {{ r: {one}(id: $id) {{ {fields} }} }}", {"id": given["id"]}
        elif verb == "create":
            query, given = (
                f"mutation($i: Create{kind}Input!) {{ r: create{kind}(input: $i) {{ {fields} }} }}",
                {"i": case["body"]},
            )
        elif verb == "patch":
            query = f"mutation($id: ID!, $version: Int, $i: Update{kind}Input!) {{ r: update{kind}(id: $id, input: $i, version: $version) {{ {fields} }} }}"
            given |= {"i": case["body"]}
        elif verb == "delete":
            query = f"mutation($id: ID!, $version: Int) {{ r: delete{kind}(id: $id, version: $version) }}"
        elif verb == "restore":
            query = f"mutation($id: ID!, $version: Int) {{ r: restore{kind}(id: $id, version: $version) {{ {fields} }} }}"
        else:
            query = f"mutation($id: ID!, $version: Int, $to: Int!) {{ r: revert{kind}(id: $id, to: $to, version: $version) {{ {fields} }} }}"
            given |= {"to": case["to"]}
        answer = self.send(case["who"], "POST", "/v1/graphql", {"query": query, "variables": given})
        assert answer.status == 200, (query, given, answer.text)
        if errors := answer.json.get("errors"):
            told = errors[0]["extensions"]
            return told["status"], (told["code"], errors[0]["message"], told.get("errors"))
        found = answer.json["data"]["r"]
        if found is None:
            return 404, ("not_found", f"There is no {one} {given['id']!r}", None)
        if verb == "list":
            return 200, [found["totalCount"], *found["nodes"]]
        return 201 if verb == "create" else 200, found


def body(rng: random.Random, path: str, *, whole: bool) -> dict[str, Any]:
    """Fields of the right types, now and then with values that no row may have."""
    text = rng.choice(["", "x" * 201, *[f"T{number}" for number in range(12)]])
    fields: dict[str, Any]
    if path == "tasks":
        fields = {"title": text, "status": rng.choice(["todo", "completed", "nope"]), "priority": rng.choice(["low", "high"]),
                  "description": rng.choice([None, "Ä", "y" * 100]), "assignee": rng.choice([None, "usr_01h00000000000000000000000"])}  # fmt: skip
    elif path == "contacts":
        fields = {"firstName": text, "lastName": rng.choice(["Lee", "Ray"]), "email": rng.choice(["a@b.example", "no address"])}
    else:
        fields = {"title": text, "url": rng.choice([None, *[f"https://v.example/{number}" for number in range(6)]])}
    required = {"tasks": ["title"], "contacts": list(fields), "videos": ["title"]}[path] if whole else []
    return {name: value for name, value in fields.items() if name in required or rng.random() < 0.4}


def condition(rng: random.Random, path: str) -> dict[str, Any]:
    name = {"tasks": "title", "contacts": "lastName", "videos": "title"}[path]
    simple: list[dict[str, Any]] = [
        {}, {name: "T3"}, {name: {"startswith": "T"}}, {name: {"in": ["T1", "Lee"]}}, {name: {"gt": "T5"}}, {name: {"like": "x"}},
        {"version": {"ge": 2}}, {"createdAt": {"gt": "2020-01-01"}}, {"nope": 1},
    ]  # fmt: skip
    if path == "tasks":
        simple += [
            {"status": "todo"},
            {"priority": {"ne": "low"}},
            {"status": "nope"},
            {"assignee": None},
            {"description": {"null": True}},
        ]
    if "nope" in (found := rng.choice(simple)):
        return {}  # GraphQL's schema has no such name, so its refusal is another one
    return rng.choice([found, found, {"not": found}, {"or": [found, rng.choice(simple[:5])]}])


def case(rng: random.Random) -> dict[str, Any]:
    path = rng.choice(list(FIELDS))
    verb = rng.choice(["list", "list", "show", "create", "create", "create", "patch", "patch", "delete", "restore", "revert"])
    made: dict[str, Any] = {
        "path": path,
        "verb": verb,
        "who": rng.choice(["admin"] * 5 + list(CALLERS)),
        "grouped": rng.random() < 0.5,
    }
    if verb == "list":
        orders = {"tasks": "title,-status", "contacts": "-lastName,firstName", "videos": "title"}[path]
        return {
            **made,
            "filter": condition(rng, path),
            "sort": rng.choice(["", orders, "-createdAt", "createdAt"]),
            "limit": rng.choice([0, 1, 5, 100, 101]),
        }
    made["row"] = rng.choice([None, *range(12), *range(12)])
    if verb not in ("show", "create"):
        made["version"] = rng.choice([None, None, 1, 2, 3])
    if verb in ("create", "patch"):
        made["body"] = body(rng, path, whole=verb == "create")
    if verb == "revert":
        made["to"] = rng.choice([1, 2, 9])
    return made


def compare(sheaf: world.World, seed: int, cases: int) -> Counter[str]:
    rng, seen = random.Random(seed), Counter[str]()
    twins = [Twin(sheaf, door) for door in DOORS]
    for number in range(cases):
        asked = case(rng)
        answers = [twin.ask(asked) for twin in twins]
        assert answers[0] == answers[1] == answers[2], (seed, number, asked, dict(zip(DOORS, answers, strict=True)))
        seen[f"{asked['verb']} {answers[0][0]}"] += 1
        if asked["verb"] in ("patch", "revert", "delete", "restore"):
            sheaf.settle()  # histories are written behind the answers
    return seen


def test_the_three_doors_answer_alike(sheaf: world.World) -> None:
    seen = compare(sheaf, 1, 200)
    print(dict(seen))
    assert len(seen) >= 15


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_thousand_same_answers(part: int) -> None:
    """Soak, in four parts: 1,000 cases."""
    with world.a_world() as sheaf:
        print(f"part {part}: {dict(compare(sheaf, 100 + part, 250))}", flush=True)
