"""The verifier for receivers: what is good passes, and whatever is wrong is one kind of error."""

import base64
import hmac
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Reference

import template
from sheaf.features.webhooks.signing import Signer
from sheaf_webhooks import Webhook, WebhookVerificationError, verify_webhook_signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of ours").decode()
BODY = '{"id":"evt_1","name":"Jürgen"}'.encode()


def headers(body: bytes = BODY, *secrets: str, at: int | None = None) -> dict[str, str]:
    return Signer(secrets or (SECRET,)).headers("evt_1", int(time.time()) if at is None else at, body)


# contract: 10, 11
def test_the_vector_of_the_specification() -> None:
    sent = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}  # fmt: skip
    body = b'{"test": 2432232314}'
    assert Webhook(SECRET, clock=lambda: 1_614_265_330).verify(body, sent) == {"test": 2432232314}


@pytest.mark.parametrize("body", [b"{}", BODY, b'"x"' + b" " * 20_000])
def test_what_the_reference_package_signs_passes_and_the_other_way_round(body: bytes) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Reference(SECRET).sign("msg_1", moment, body.decode()),
    }
    assert Webhook(SECRET).verify(body, sent) == json.loads(body)
    Reference(SECRET).verify(body, headers(body))


@pytest.mark.parametrize("names", [str, str.upper, str.title])
@pytest.mark.parametrize("shape", [lambda value: value, lambda value: value.encode(), lambda value: [value]])
def test_headers_as_frameworks_give_them(names: Any, shape: Any) -> None:
    sent = {names(name): shape(value) for name, value in headers().items()}
    assert Webhook(SECRET).verify(BODY, sent)["id"] == "evt_1"
    assert Webhook(SECRET).verify(BODY.decode(), sent)["id"] == "evt_1"


def test_rotation_in_either_direction() -> None:
    both = headers(BODY, OTHER, SECRET)
    for verifier in (Webhook(SECRET), Webhook(OTHER), Webhook("another one of long ago", OTHER)):
        assert verifier.verify(BODY, both)["id"] == "evt_1"
    assert Webhook(OTHER, SECRET).verify(BODY, headers(BODY, SECRET))["id"] == "evt_1"


def test_a_secret_of_ones_own() -> None:
    secret = "whsec_not base 64 at all!"
    assert Webhook(secret).verify(BODY, headers(BODY, secret))["id"] == "evt_1"


NOW = int(time.time())
GOOD = headers(at=NOW)
LONG = " ".join(["v1,AAAA"] * 100_000)
CASES: dict[str, tuple[Any, Any]] = {
    "no headers": (BODY, {}),
    "headers that are none": (BODY, None),
    "headers that are a list": (BODY, ["webhook-id"]),
    **{f"without {name}": (BODY, {k: v for k, v in GOOD.items() if k != name}) for name in list(GOOD)[:3]},
    **{f"an empty {name}": (BODY, {**GOOD, name: ""}) for name in list(GOOD)[:3]},
    **{f"a number as {name}": (BODY, {**GOOD, name: 5}) for name in list(GOOD)[:3]},
    **{f"two values of {name}": (BODY, {**GOOD, name: ["a", "b"]}) for name in list(GOOD)[:3]},
    **{f"letters beyond ASCII in {name}": (BODY, {**GOOD, name: "é" + GOOD[name]}) for name in list(GOOD)[:3]},
    "bytes beyond ASCII": (BODY, {**GOOD, "webhook-signature": b"v1,\xff\xfe"}),
    "half a surrogate": (BODY, {**GOOD, "webhook-id": "\ud800"}),
    "another id": (BODY, {**GOOD, "webhook-id": "evt_2"}),
    "another time": (BODY, {**GOOD, "webhook-timestamp": str(NOW - 1)}),
    "a time of long ago": (BODY, headers(at=NOW - 400)),
    "a time to come": (BODY, headers(at=NOW + 400)),
    "a time with a sign": (BODY, {**GOOD, "webhook-timestamp": f"+{NOW}"}),
    "a negative time": (BODY, {**GOOD, "webhook-timestamp": "-1"}),
    "a time with a fraction": (BODY, {**GOOD, "webhook-timestamp": f"{NOW}.5"}),
    "a time that is nan": (BODY, {**GOOD, "webhook-timestamp": "nan"}),
    "infinity": (BODY, {**GOOD, "webhook-timestamp": "inf"}),
    "a time of a thousand digits": (BODY, {**GOOD, "webhook-timestamp": "1" * 5_000}),
    "a time in other digits": (BODY, {**GOOD, "webhook-timestamp": "١٦١٤٢٦٥٣٣٠"}),
    "a time with a blank": (BODY, {**GOOD, "webhook-timestamp": f" {NOW}"}),
    "no signature in the header": (BODY, {**GOOD, "webhook-signature": "v1"}),
    "no comma": (BODY, {**GOOD, "webhook-signature": GOOD["webhook-signature"].replace(",", "")}),
    "another version": (BODY, {**GOOD, "webhook-signature": GOOD["webhook-signature"].replace("v1", "v2")}),
    "no base 64": (BODY, {**GOOD, "webhook-signature": "v1,§§§"}),
    "base 64 with a wrong length": (BODY, {**GOOD, "webhook-signature": "v1,AAAAA"}),
    "an empty signature": (BODY, {**GOOD, "webhook-signature": "v1,"}),
    "half the signature": (BODY, {**GOOD, "webhook-signature": GOOD["webhook-signature"][:20]}),
    "the signature in hex": (BODY, {**GOOD, "webhook-signature": "v1," + GOOD["x-webhook-signature"]}),
    "a hundred thousand signatures": (BODY, {**GOOD, "webhook-signature": LONG}),
    "only commas": (BODY, {**GOOD, "webhook-signature": ",,,, , ,"}),
    "another body": (BODY + b" ", GOOD),
    "no body": (b"", GOOD),
    "a body that was parsed already": (json.loads(BODY), GOOD),
    "None as the body": (None, GOOD),
    "half a surrogate as the body": ("\ud800", GOOD),
    "a body that is not JSON": (b"{", headers(b"{", at=NOW)),
    "a body that is not text": (b"\xff\xfe", headers(b"\xff\xfe", at=NOW)),
    "a body that is nested without end": (b"[" * 100_000, headers(b"[" * 100_000, at=NOW)),
    "signed with another secret": (BODY, headers(BODY, OTHER, at=NOW)),
}


@pytest.mark.parametrize("name", CASES)
def test_whatever_is_wrong_is_one_kind_of_error(name: str) -> None:
    body, sent = CASES[name]
    started = time.perf_counter()
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET, clock=lambda: NOW).verify(body, sent)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("secrets", [(), ("",), (None,), (5,), (SECRET, "")])
def test_a_verifier_without_a_secret_is_a_mistake_of_its_maker(secrets: Any) -> None:
    with pytest.raises(ValueError, match="secret"):
        Webhook(*secrets)


# contract: 11
def test_the_seeds_header() -> None:
    signature = hmac.new(SECRET.encode(), BODY, sha256).hexdigest()
    assert signature == headers()["x-webhook-signature"]
    assert verify_webhook_signature(BODY, signature, SECRET) and verify_webhook_signature(BODY.decode(), signature, SECRET)
    for wrong in (None, "", "x", signature[:-1], "é" * 64, 5, b"x"):
        assert verify_webhook_signature(BODY, wrong, SECRET) is False
    assert verify_webhook_signature({"parsed": True}, signature, SECRET) is False  # type: ignore[arg-type]


def test_the_file_stands_alone() -> None:
    """It imports nothing but the standard library."""
    code = "import sheaf_webhooks, sys; print(sheaf_webhooks.Webhook('x' * 24))"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, 'sdk/python'); {code}"],
                         cwd=template.ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr


# ---- the examples of docs/webhooks.md ----


def examples() -> dict[str, str]:
    """The Python examples by the line before them."""
    text = (template.ROOT / "docs/webhooks.md").read_text()
    return {
        title.strip(): code for title, code in re.findall(r"^(\w[^\n]*):\n\n```python\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    }


def test_every_example_is_python() -> None:
    found = examples()
    assert {"Flask", "FastAPI"} <= set(found) and any(title.startswith("Lambda") for title in found)
    for title, code in found.items():
        compile(code, title, "exec")


def test_the_lambda_example_takes_what_is_good_and_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    code = next(code for title, code in examples().items() if title.startswith("Lambda"))
    made: dict[str, Any] = {}
    exec(code, made)  # what the page tells people to copy
    body = b'{"id":"evt_1","type":"task.created","data":{"id":"tsk_1"}}'
    plain = {"body": body.decode(), "headers": headers(body), "isBase64Encoded": False}
    packed = {**plain, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    assert [made["handler"](event, None)["statusCode"] for event in (plain, packed)] == [200, 200]
    for wrong in ({**plain, "body": "{}"}, {**plain, "headers": {}}, {**plain, "body": None}):
        assert made["handler"](wrong, None)["statusCode"] == 401
