"""The routes of the seed documents in their own shapes: the blog, the greeting, the contact form."""

from typing import Any

import pytest

import world
from sheaf.store import aws

POST = {"title": "A title", "content": "x" * 300}


@pytest.fixture
def ann(sheaf: world.World, acme: world.Tenant) -> tuple[str, str]:
    return member(sheaf, acme, "ann@acme.example")


def member(sheaf: world.World, acme: world.Tenant, email: str, role: Any = "user") -> tuple[str, str]:
    """A user's id and token."""
    user = sheaf.user(acme, email, role)
    answer = sheaf.http(
        "POST", "/v1/auth/login", {"email": email, "password": "correct horse battery"}, source_ip=f"192.0.2.{len(email)}"
    )
    return user, answer.data["token"]


# contract: 73, 74, 76, C1, C19
def test_a_post_is_written_and_listed_in_the_blogs_shape(sheaf: world.World, acme: world.Tenant, ann: tuple[str, str]) -> None:
    user, token = ann
    made = sheaf.http("POST", "/v1/posts", {**POST, "title": "  A title ", "status": "published", "tags": ["a"]}, key=token)
    assert made.status == 201 and set(made.json) == {"message", "post"} and made.json["message"] == "Post created successfully"
    post = made.json["post"]
    assert list(post) == [
        "id",
        "title",
        "content",
        "excerpt",
        "author",
        "tags",
        "publishedAt",
        "createdAt",
        "updatedAt",
        "status",
    ]
    assert post["author"] == {"id": user, "name": "Ann", "email": "ann@acme.example"}
    assert (post["title"], post["excerpt"], post["tags"], post["status"]) == ("A title", "x" * 200 + "...", ["a"], "published")
    assert post["publishedAt"] and post["id"].startswith("post_")
    draft = sheaf.http("POST", "/v1/posts", {**POST, "excerpt": "Short"}, key=acme.key).json["post"]
    assert (draft["excerpt"], draft["status"], draft["publishedAt"], draft["tags"]) == ("Short", "draft", None, [])
    assert draft["author"]["id"].startswith("key_") and draft["author"]["name"] is None, "the credential, never its secret"
    assert acme.key not in str(draft)

    listed = sheaf.http("GET", "/v1/posts?page=1&limit=1", key=token).json
    assert set(listed) == {"posts", "total", "page", "limit", "hasMore"}
    assert (listed["posts"], listed["total"], listed["page"], listed["limit"], listed["hasMore"]) == ([draft], 2, 1, 1, True)
    assert sheaf.http("GET", "/v1/posts", key=token).json["limit"] == 10
    for query, expected in (("status=draft", [draft]), ("author=an", [post]), (f"author={user}", [post]), ("author=nobody", []),
                            ("author=ANN&status=draft", []), ("page=3", [])):  # fmt: skip
        assert sheaf.http("GET", f"/v1/posts?{query}", key=token).json["posts"] == expected, query


# contract: 75, 99
@pytest.mark.parametrize(
    ("query", "error", "message"),
    [("page=0", "Invalid page parameter", "Page must be a positive integer"), ("page=x", "Invalid page parameter", "Page must be a positive integer"),
     ("limit=0", "Invalid limit parameter", "Limit must be between 1 and 100"), ("limit=101", "Invalid limit parameter", "Limit must be between 1 and 100"),
     ("page=-1&limit=x", "Invalid page parameter", "Page must be a positive integer")],
)  # fmt: skip
def test_wrong_pages_of_posts(sheaf: world.World, acme: world.Tenant, query: str, error: str, message: str) -> None:
    answer = sheaf.http("GET", f"/v1/posts?{query}", key=acme.key)
    assert (answer.status, answer.json) == (400, {"error": error, "message": message})


# contract: 76
@pytest.mark.parametrize(
    ("body", "word"),
    [({**POST, "title": " a "}, "title"), ({**POST, "content": "short"}, "content"), ({**POST, "tags": "a,b"}, "tags"), ({**POST, "status": "archived"}, "status"),
     ({"content": POST["content"]}, "title"), ({**POST, "author": "user_1"}, "author"), ({**POST, "publishedAt": "2020-01-01T00:00:00Z"}, "publishedAt")],
)  # fmt: skip
def test_a_wrong_post_is_400_and_named(sheaf: world.World, acme: world.Tenant, body: Any, word: str) -> None:
    answer = sheaf.http("POST", "/v1/posts", body, key=acme.key)
    assert answer.status == 400 and answer.json["error"] == "Validation failed" and word in answer.json["message"]
    assert sheaf.http("GET", "/v1/posts", key=acme.key).json["total"] == 0


# contract: 77, C2
def test_other_methods_of_posts(sheaf: world.World, acme: world.Tenant) -> None:
    refused = sheaf.http("PUT", "/v1/posts", {}, key=acme.key)
    assert (refused.status, refused.json, refused.headers["Allow"]) == (
        405, {"error": "Method not allowed", "allowedMethods": ["GET", "POST"]}, "GET, HEAD, POST, OPTIONS")  # fmt: skip
    one = sheaf.http("POST", "/v1/posts/post_1", {}, key=acme.key)
    assert one.json == {"error": "Method not allowed", "allowedMethods": ["GET", "PUT", "PATCH", "DELETE"]}


# contract: 78, 79, 80, C27, C28
def test_a_post_is_read_changed_and_deleted(sheaf: world.World, acme: world.Tenant, ann: tuple[str, str]) -> None:
    token = ann[1]
    post = sheaf.http("POST", "/v1/posts", POST, key=token).json["post"]
    path = f"/v1/posts/{post['id']}"
    assert sheaf.http("GET", path, key=token).json == {"post": post}
    changed = sheaf.http("PUT", path, {"title": "Another"}, key=token).json
    assert changed["message"] == "Post updated successfully" and changed["post"]["content"] == POST["content"]
    published = sheaf.http("PUT", path, {"status": "published"}, key=token).json["post"]["publishedAt"]
    sheaf.http("PUT", path, {"status": "archived"}, key=token)
    again = sheaf.http("PUT", path, {"status": "published"}, key=token).json["post"]
    assert again["publishedAt"] == published, "published for the first time once"
    assert sheaf.http("PUT", path, {"content": "y" * 250}, key=token).json["post"]["excerpt"] == "y" * 200 + "..."
    for body in ({"title": "ab"}, {"status": "gone"}, {"content": "short"}, {"excerpt": 5}):
        assert sheaf.http("PUT", path, body, key=token).status == 400
    missing = sheaf.http("GET", "/v1/posts/post_1", key=token)
    assert (missing.status, missing.json) == (404, {"error": "Post not found", "message": "No post found with ID: post_1"})
    blank = sheaf.http("GET", "/v1/posts/ ", key=token)
    assert blank.status == 400 and blank.json["message"] == "Post ID is required and must be a string"
    stranger = member(sheaf, acme, "bob-the-other@acme.example")[1]
    for method, verb in (("PUT", "edit"), ("DELETE", "delete")):
        refused = sheaf.http(method, path, {"title": "Mine now"}, key=stranger)
        assert (refused.status, refused.json) == (
            403,
            {"error": "Access denied", "message": f"You can only {verb} your own posts"},
        )
    gone = sheaf.http("DELETE", path, key=token)
    assert (gone.status, gone.json) == (200, {"message": "Post deleted successfully", "deletedId": post["id"]})
    assert sheaf.http("DELETE", path, key=token).status == 404


# contract: 81
def test_a_users_own_posts(sheaf: world.World, acme: world.Tenant, ann: tuple[str, str]) -> None:
    user, token = ann
    other, stranger = member(sheaf, acme, "bob-the-other@acme.example")
    post = sheaf.http("POST", "/v1/posts", POST, key=token).json["post"]["id"]
    own, forged, crossed = f"/v1/users/{user}/posts/{post}", f"/v1/users/{user}/posts/{post}", f"/v1/users/{other}/posts/{post}"
    assert sheaf.http("GET", own, key=token).json["post"]["id"] == post
    assert sheaf.http("PUT", own, {"title": "Changed"}, key=token).json["post"]["title"] == "Changed"
    assert sheaf.http("PUT", own, {"title": "x"}, key=token).status == 400
    for path, key in ((forged, stranger), (crossed, stranger), (crossed, token)):
        for method, verb in (("GET", "access"), ("PUT", "edit"), ("DELETE", "delete")):
            refused = sheaf.http(method, path, {"title": "Mine now"}, key=key)
            assert (refused.status, refused.json) == (
                403,
                {"error": "Access denied", "message": f"You can only {verb} your own posts"},
            ), (path, method)
    assert sheaf.http("GET", f"/v1/users/{user}/posts/post_1", key=token).json == {
        "error": "Post not found",
        "message": "Post post_1 not found",
    }
    blank = sheaf.http("GET", f"/v1/users/ /posts/{post}", key=token)
    assert blank.status == 400 and blank.json["message"] == "Both userId and postId are required"
    assert sheaf.http("PATCH", own, {}, key=token).json["allowedMethods"] == ["GET", "PUT", "DELETE"]
    assert sheaf.http("DELETE", own, key=token).json["deletedId"] == post


def test_posts_are_canonical_where_that_is_preferred(sheaf: world.World, acme: world.Tenant) -> None:
    canonical = {"Prefer": "profile=canonical"}
    made = sheaf.http("POST", "/v1/posts", POST, key=acme.key, headers=canonical)
    assert made.status == 201 and made.json["success"] is True and made.data["author"].startswith("key_")
    path = f"/v1/posts/{made.data['id']}"
    assert sheaf.http("PUT", path, {"title": "abc"}, key=acme.key, headers=canonical).status == 422, (
        "PUT means the whole row here"
    )
    assert sheaf.http("GET", "/v1/posts?limit=5", key=acme.key, headers=canonical).json["meta"]["limit"] == 5
    assert sheaf.http("GET", "/v1/posts/post_1", key=acme.key, headers=canonical).json["code"] == "not_found"
    assert sheaf.http("DELETE", path, key=acme.key, headers=canonical).data["deleted"] is True


def test_an_unforeseen_error_of_the_blog_tells_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.records import read

    monkeypatch.setattr(read, "one", lambda *_: 1 / 0)
    answer = sheaf.http("GET", "/v1/posts/post_1", key=acme.key)
    assert (answer.status, answer.json) == (
        500,
        {"error": "Internal server error", "message": "Something went wrong. Please try again later."},
    )


# contract: 69
def test_hello(sheaf: world.World) -> None:
    answer = sheaf.http("GET", "/v1/hello", headers={"User-Agent": "curl/8", "Origin": "https://any.example"})
    assert (
        answer.status == 200
        and set(answer.json) == {"message", "timestamp", "userAgent"}
        and answer.json["userAgent"] == "curl/8"
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    options = sheaf.http("OPTIONS", "/v1/hello", headers={"Origin": "https://any.example"})
    assert (options.status, options.text) == (200, "") and "Content-Type" in options.headers["Access-Control-Allow-Headers"]
    refused = sheaf.http("POST", "/v1/hello", {})
    assert (
        refused.status == 405
        and set(refused.json) == {"message", "timestamp"}
        and refused.json["message"] == "Method not allowed"
    )


FORM = {"name": " Ann ", "email": "Ann@B.example", "subject": "A question", "message": "How does it work?"}


# contract: 70, 71, 72
def test_the_contact_form_keeps_a_message_and_sends_one_mail(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.open_site(acme)
    answer = sheaf.http("POST", "/v1/contact", FORM)
    assert answer.status == 201 and set(answer.json) == {"success", "message", "id"}
    assert answer.json["message"] == "Contact form submitted successfully" and answer.json["id"].startswith("contact_")
    changes = sheaf.changes()
    for _ in range(2):  # the stream may tell twice
        world.function("on_change").handler({"Records": changes}, world.CONTEXT)
    sheaf.settle()
    [row] = sheaf.http("GET", "/v1/contact_messages", key=acme.key).data
    assert (row["name"], row["email"], "source_ip" in row) == ("Ann", "ann@b.example", False)
    [mail] = sheaf.mails()
    assert (mail.subject, mail.destinations["ToAddresses"]) == ("Contact form: A question", ["operator@example.com"])
    assert "How does it work?" in str(mail.body)
    assert sheaf.http("PATCH", f"/v1/contact_messages/{row['id']}", {"name": "x y"}, key=acme.key).status == 405


# contract: 71, 72
def test_a_mail_that_fails_comes_again_and_goes_once(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.store import mail

    real, tries = mail.send, []

    def failing(*args: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("SES is silent")
        real(*args)

    monkeypatch.setattr(mail, "send", failing)
    sheaf.open_site(acme)
    assert sheaf.http("POST", "/v1/contact", FORM).status == 201
    sheaf.settle()
    assert (len(tries), len(sheaf.mails())) == (3, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [({**FORM, "name": " a "}, "name"), ({**FORM, "email": "ann"}, "email"), ({**FORM, "subject": "abc"}, "subject"), ({**FORM, "message": "short"}, "message"),
     ({}, "name"), ({**FORM, "source_ip": "1.2.3.4"}, "source_ip"), ({**FORM, "email": 5}, "email"), ([], "")],
)  # fmt: skip
def test_a_wrong_form_names_its_fields(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    sheaf.open_site(acme)
    answer = sheaf.http("POST", "/v1/contact", body)
    assert answer.status == 400 and answer.json["message"] == "Validation failed" and field in answer.json["errors"]
    assert sheaf.http("GET", "/v1/contact_messages", key=acme.key).data == []


def test_the_form_is_bounded_closed_until_it_is_opened_and_takes_a_key(sheaf: world.World, acme: world.Tenant) -> None:
    closed = sheaf.http("POST", "/v1/contact", FORM)
    assert closed.status == 503 and closed.json["success"] is False
    sheaf.open_site(acme)
    ids = {
        sheaf.http("POST", "/v1/contact", FORM, headers={"Idempotency-Key": "k"}, source_ip="192.0.2.77").json["id"]
        for _ in range(3)
    }
    assert len(ids) == 1
    wrong = sheaf.http("GET", "/v1/contact")
    assert (wrong.status, wrong.json) == (405, {"success": False, "message": "Method not allowed. Use POST."})
    with sheaf.still():
        statuses = [sheaf.http("POST", "/v1/contact", FORM, source_ip="192.0.2.99").status for _ in range(7)]
    assert statuses == [201] * 5 + [429] * 2
    assert len(aws.client("dynamodb").scan(TableName="RecordsTable")["Items"]) == 1 + 5


# contract: 30
@pytest.mark.parametrize(
    "text",
    ["' OR 1=1 --", '{"$gt": ""}', "<script>alert(1)</script>", "#pk = :x", "a#0", "../../x", "\u0000", "%00", "${jndi:x}"],
)
def test_text_is_text(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, text: str) -> None:
    """Whatever a value holds it is stored, found by itself alone and answered as it was."""
    sheaf.http("POST", "/v1/tasks", {"title": "theirs"}, key=globex.key)
    made = sheaf.http(
        "POST", "/v1/leads", {"first_name": text, "last_name": text, "email": "a@b.example", "source": text}, key=acme.key
    )
    assert (made.status, made.data["first_name"], made.headers["X-Content-Type-Options"]) == (201, text, "nosniff")
    sheaf.http("POST", "/v1/leads", {"first_name": "x", "last_name": "x", "email": "b@b.example", "source": "x"}, key=acme.key)
    for query in (f"source={text}", f"first_name={text}", f"last_name[contains]={text}"):
        if not set("&=#%+ ") & set(text):
            assert [row["id"] for row in sheaf.http("GET", f"/v1/leads?{query}", key=acme.key).data] == [made.data["id"]]
