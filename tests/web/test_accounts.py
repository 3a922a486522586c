"""Registering, signing in, passwords, invitations and keys: what works, and what strangers cannot do or learn."""

import re
import threading
from datetime import timedelta

import pytest

from database.tables import EndedSession, Invitation, Role, Token, User, db, now
from tests.web.conftest import PASSWORD, add_user, browser, csrf_token, post, signed_in
from tests.web.emails import emails, link_in, text_of
from web.accounts import user_of_token
from web.flask_user_fixes import Argon2PasswordManager

NEW = "Another long passw0rd"
LOCAL = {"wsgi.url_scheme": "http"}


def text(answer) -> str:
    return answer.get_data(as_text=True)


def is_inside(client) -> bool:
    return client.get("/profile").status_code == 200


def registration(name="bob", **changed) -> dict:
    filled = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "retype_password": PASSWORD}
    return filled | changed


def register(client, name="bob", page="/user/register", **changed):
    return post(client, page, registration(name, **changed))


def sign_in(client, name="bob", password=PASSWORD, **more):
    return post(client, "/user/sign-in", {"username": name, "password": password, **more})


def sign_out(client):
    return post(client, "/user/sign-out", page="/profile")


def forgot(client, address="bob@example.com"):
    return post(client, "/user/forgot-password", {"email": address})


def reset(client, link, password=NEW):
    return post(client, link, {"new_password": password, "retype_password": password})


def confirm(client, link, password=PASSWORD):
    return post(client, link, {"password": password})


def refused(answer, sentence) -> bool:
    return answer.status_code == 400 and sentence in text(answer)


def flashed(client) -> str:
    """The page that shows the messages of the last answer."""
    return said(client.get("/user/sign-in", follow_redirects=True))


def said(answer) -> str:
    """A page without the secret of its form, which changes with the clock."""
    return re.sub(r'name="csrf_token"[^>]*>', "", text(answer))


def change(site, name, **values) -> None:
    with site.app_context():
        user = db.session.scalar(db.select(User).filter_by(username=name))
        for key, value in values.items():
            setattr(user, key, value)
        db.session.commit()


def users(site) -> list[str]:
    with site.app_context():
        return sorted(db.session.scalars(db.select(User.username)))


@pytest.fixture
def bob(site):
    """A client of a person with an account, who is not signed in."""
    add_user(site, "bob")
    return browser(site)


# Registering and signing in


def test_register_confirm_sign_in_and_out(site, client):
    answer = register(client)
    assert answer.status_code == 302 and "bob@example.com" in flashed(client)
    assert not is_inside(client)
    answer = sign_in(client)
    assert answer.location == "/user/resend-email-confirmation" and not is_inside(client)  # not confirmed yet
    (message,) = emails(site)
    assert confirm(client, link_in(message)).status_code == 302 and is_inside(client)
    with site.app_context():
        user = db.session.scalar(db.select(User))
        assert user.email_confirmed_at and user.password.startswith("$argon2id$") and not user.is_admin
    for name in ("BOB", "Bob@Example.com", " bob "):
        assert sign_out(client).status_code == 302 and not is_inside(client)
        assert sign_in(client, name).status_code == 302 and is_inside(client)
    sign_out(client)
    assert refused(sign_in(client, password="nope"), "is wrong") and not is_inside(client)


def test_the_letter_says_who_what_and_where(site, client):
    register(client)
    (message,) = emails(site)
    assert message["Subject"] == "Image search: please confirm your e-mail address"
    assert message["To"] == "bob@example.com" and message["From"] == "Image search <image-search@localhost>"
    assert "Dear bob" in text_of(message) and link_in(message) in message.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"username": "x"}, "3 to 50 characters"),
        ({"username": "a@b.org"}, "only the letters"),
        ({"username": "ADA"}, "taken"),
        ({"username": "  "}, "choose a user name"),
        ({"email": "nobody"}, "not a valid e-mail address"),
        ({"email": "a@b.org\r\nBcc: c@d.org"}, "not a valid e-mail address"),
        ({"email": ""}, "enter your e-mail address"),
        ({"password": "too short", "retype_password": "too short"}, "10 to 200 characters"),
        ({"password": "x" * 201, "retype_password": "x" * 201}, "10 to 200 characters"),
        (
            {"password": "BOB@example.com", "retype_password": "BOB@example.com"},
            "neither your user name nor your e-mail address",
        ),
        (
            {"username": "robert.the.first", "password": "robert.the.first"},
            "neither your user name nor your e-mail address",
        ),
        ({"retype_password": "something else"}, "do not match"),
    ],
)
def test_what_cannot_be_registered(site, client, changed, sentence):
    add_user(site, "ada")
    assert refused(register(client, **changed), sentence)
    assert users(site) == ["ada"] and emails(site) == []


def test_registration_does_not_tell_that_an_address_is_taken(site, client):
    add_user(site, "ada")
    free, taken = register(client, "bob"), register(browser(site), "carol", email="ADA@example.com")
    assert (free.status_code, free.location) == (taken.status_code, taken.location)
    assert users(site) == ["ada", "bob"]
    first, second = emails(site)
    assert first["To"] == "bob@example.com" and "/user/confirm-email/" in link_in(first)
    assert second["To"] == "ada@example.com" and "somebody tried to register" in text_of(second).lower()
    other = browser(site)
    register(other, "carol", email="ADA@example.com")
    taken_page = flashed(other).replace("ADA@example.com", "X")
    register(other, "dora")
    assert flashed(other).replace("dora@example.com", "X") == taken_page


def test_a_taken_address_costs_a_hash_like_a_free_one(site, client, monkeypatch):
    add_user(site, "ada")
    hashes, original = [], Argon2PasswordManager.hash_password
    monkeypatch.setattr(
        Argon2PasswordManager, "hash_password", lambda self, text: hashes.append(text) or original(self, text)
    )
    register(client, "bob")
    register(client, "carol", email="ada@example.com")
    assert len(hashes) == 2


def test_two_who_register_the_same_name_at_once(site):
    clients, answers = [browser(site) for _ in range(4)], []
    threads = [
        threading.Thread(target=lambda client=client, n=n: answers.append(register(client, "bob", email=f"b{n}@a.org")))
        for n, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert users(site) == ["bob"]
    assert {answer.status_code for answer in answers} <= {302, 400, 409}


def test_a_confirmation_link_signs_in_once(site, client):
    register(client)
    link = link_in(emails(site)[0])
    assert refused(confirm(client, link, "another's password"), "not the password of this account")
    assert client.get(link).status_code == 200 and not is_inside(client)  # opening it changes nothing
    confirm(client, link)
    later = browser(site)
    assert later.get(link).location == "/user/sign-in" and not is_inside(later)


def test_resend_confirmation(site, client):
    register(client)
    answer = post(client, "/user/resend-email-confirmation", {"email": "Bob@example.com"})
    assert answer.status_code == 302
    _first, second = emails(site)
    confirm(client, link_in(second))
    assert is_inside(client)


def test_resend_tells_nothing_about_who_has_an_account(site, client):
    add_user(site, "ada")
    add_user(site, "new", confirmed=False)
    answers = set()
    for name in ("ada", "new", "nobody"):
        answer = post(client, "/user/resend-email-confirmation", {"email": f"{name}@example.com"})
        answers.add((answer.status_code, answer.location, flashed(client).replace(f"{name}@", "X@")))
    assert len(answers) == 1
    assert [message["To"] for message in emails(site)] == ["new@example.com"]


@pytest.mark.parametrize("page", ["/user/resend-email-confirmation", "/user/forgot-password"])
def test_what_is_no_address_gets_a_sentence(client, page):
    assert refused(post(client, page, {"email": "nobody"}), "not a valid e-mail address")


def test_expired_confirmation(site, client):
    register(client)
    site.user_manager.USER_CONFIRM_EMAIL_EXPIRATION = -1
    assert client.get(link_in(emails(site)[0])).location == "/user/sign-in" and not is_inside(client)


def test_signing_out_needs_a_post(site, member, client):
    assert "Sign out" in text(member.get("/user/sign-out")) and is_inside(member)
    assert member.post("/user/sign-out").status_code == 400 and is_inside(member)  # without the secret
    assert sign_out(member).location == "/" and not is_inside(member)
    assert client.get("/user/sign-out").location == "/"


def test_remember_me_and_sign_out_forget_again(bob):
    cookies = sign_in(bob, remember_me="y").headers.getlist("Set-Cookie")
    (remembered,) = (cookie for cookie in cookies if cookie.startswith("remember_token="))
    assert all(part in remembered for part in ("Secure", "HttpOnly", "SameSite=Lax"))
    bob.delete_cookie("session")
    assert is_inside(bob)
    sign_out(bob)
    bob.delete_cookie("session")
    assert not is_inside(bob)


@pytest.mark.parametrize("kept", ["session", "remember_token"])
def test_a_copy_of_the_cookies_of_a_session_that_was_signed_out_lets_nobody_in(site, bob, kept):
    sign_in(bob, remember_me="y")
    thief, elsewhere = browser(site), browser(site)
    thief.set_cookie(kept, bob.get_cookie(kept).value)
    sign_in(elsewhere)
    assert is_inside(thief)
    sign_out(bob)
    thief.set_cookie(kept, thief.get_cookie(kept).value)
    assert not is_inside(thief) and is_inside(elsewhere)


def test_a_session_ends_after_its_lifetime(site, bob):
    sign_in(bob)
    assert is_inside(bob)
    site.permanent_session_lifetime = timedelta(seconds=-1)
    assert not is_inside(bob)


def test_sessions_that_were_signed_out_long_ago_are_forgotten(site, bob):
    with site.app_context():
        db.session.add(EndedSession(digest="0" * 64, ended_at=now() - timedelta(days=31)))
        db.session.commit()
    sign_in(bob)
    sign_out(bob)
    with site.app_context():
        assert len(db.session.scalars(db.select(EndedSession)).all()) == 1


def test_without_a_mail_server_messages_wait_for_an_administrator(site, client):
    register(client)
    page = flashed(client)
    assert "An administrator will pass on the link that confirms bob@example.com" in page and "sent" not in page
    assert sign_in(client).location == "/user/resend-email-confirmation"
    assert "An administrator of this site will pass on the link" in flashed(client)
    for address in ("/user/forgot-password", "/user/resend-email-confirmation"):
        assert "administrator" in text(client.get(address))
        post(client, address, {"email": "bob@example.com"})
        page = flashed(client)
        assert "an administrator of this site has the link now" in page and "on its way" not in page


def test_session_cookie_is_secure(bob):
    cookies = sign_in(bob).headers.getlist("Set-Cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["known", "session"]
    for cookie in cookies:
        assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax"))


def test_a_reader_without_account_gets_no_cookie(client):
    for page in ("/", "/healthz", "/nothing-here"):
        assert "Set-Cookie" not in client.get(page).headers


def test_pages_of_members_lead_to_the_sign_in_page_and_back(bob):
    where = bob.get("/profile?a=1").location
    assert where == "/user/sign-in?next=/profile%3Fa%3D1"
    assert "Please sign in first" in text(bob.get(where))
    assert sign_in(bob, next="/profile?a=1#f").location == "/profile?a=1#f"
    sign_out(bob)
    assert sign_in(bob).location == "/"
    assert bob.get("/user/sign-in").location == "/"  # signed in already


def test_a_script_is_told_401(client):
    answer = client.get("/profile", headers={"Accept": "application/json"})
    assert answer.status_code == 401 and answer.json == {"error": "Please sign in first."}


EVIL = [
    "////evil.com/x",
    "/////evil.com",
    "\\\\\\evil.com",
    "/\\evil.com",
    "http://evil.com",
    "http:///evil.com",
    "https:////evil.com/a",
    "//evil.com",
    "javascript:alert(1)",
    "http://[",
    "/\t/evil.com",
    " //evil.com",
    "%2F%2F%2F%2Fevil.com",
]


@pytest.mark.parametrize("evil", EVIL)
def test_no_open_redirect(bob, evil):
    where = sign_in(bob, next=evil).location
    assert re.match(r"/(?![/\\])", where), where
    assert is_inside(bob)


@pytest.mark.parametrize("evil", EVIL)
def test_no_open_redirect_by_the_address(bob, evil):
    page = text(bob.get("/user/sign-in", query_string={"next": evil}))
    where = re.search(r'name="next"[^>]*value="([^"]*)"', page)[1]
    assert re.match(r"/(?![/\\])", where), where


def test_names_are_no_patterns(bob):
    for name in ("%", "b_b", "b%", "%@example.com"):
        assert sign_in(bob, name).status_code == 400 and not is_inside(bob)


def test_a_zero_byte_breaks_nothing(bob, site):
    assert sign_in(bob, "b\0b").status_code == 400
    assert register(bob, "ca\0rol").status_code == 302 and users(site) == ["bob", "carol"]  # it is left out
    assert forgot(bob, "bo\0b@example.com").status_code == 302
    assert emails(site)[-1]["To"] == "bob@example.com"
    assert sign_in(bob, password="\0").status_code == 400


def test_an_unknown_name_costs_a_hash(bob, monkeypatch):
    hashes = []
    monkeypatch.setattr(Argon2PasswordManager, "hash_password", lambda self, password: hashes.append(password))
    for name, password, count in (("nobody", PASSWORD, 1), ("bob", "wrong", 1), ("", "", 1), ("nobody", "x" * 500, 1)):
        assert sign_in(bob, name, password).status_code == 400
        assert len(hashes) == count


def test_a_wrong_name_and_a_wrong_password_sound_the_same(bob):
    wrong_name, wrong_password = said(sign_in(bob, "rob")), said(sign_in(bob, password="wrong"))
    assert wrong_name.replace("rob", "bob") == wrong_password


def test_a_removed_user_is_out(site, bob):
    sign_in(bob)
    with site.app_context():
        db.session.delete(db.session.scalar(db.select(User)))
        db.session.commit()
    assert bob.get("/").status_code == 200 and not is_inside(bob)


def test_a_disabled_user_is_out_and_stays_out(site, bob):
    sign_in(bob)
    change(site, "bob", active=False)
    assert bob.get("/").status_code == 200 and not is_inside(bob)
    fresh = browser(site)
    assert sign_in(fresh).location == "/user/sign-in" and "disabled" in flashed(fresh) and not is_inside(fresh)
    forgot(fresh)
    assert emails(site) == []


def test_messages_are_no_markup(bob):
    bob.get("/profile?q=%3Cscript%3Ealert(1)%3C/script%3E")
    page = text(bob.get("/user/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))
    assert "<script>alert" not in page
    answer = sign_in(bob, "<script>alert(1)</script>", "x")
    assert answer.status_code == 400 and "<script>alert" not in text(answer)
    forgot(bob, '"<script>alert(1)</script>"@example.com')
    assert "<script>alert" not in text(bob.get("/user/sign-in"))


def test_plain_http_from_elsewhere_is_explained(make_site):
    site = make_site(hosts="localhost museum.example")
    for base, told in (
        ("http://museum.example", True),
        ("https://museum.example", False),
        ("http://localhost:5000", False),
    ):
        page = text(site.test_client().get("/user/sign-in", base_url=base))
        assert ("RETRIEVAL_SECURE_COOKIES=off" in page) == told, base
    site = make_site(hosts="museum.example", secure_cookies=False)
    page = text(site.test_client().get("/user/sign-in", base_url="http://museum.example"))
    assert "RETRIEVAL_SECURE_COOKIES" not in page


# Forms of other sites


PUBLIC = ["/user/register", "/user/sign-in", "/user/forgot-password", "/user/resend-email-confirmation"]
PRIVATE = ["/user/change-password", "/user/change-username", "/user/edit_user_profile"]
FILLED = registration("eve") | {
    "old_password": PASSWORD,
    "new_password": NEW,
    "new_username": "eve",
    "first_name": "E",
    "last_name": "E",
}


@pytest.mark.parametrize("page", PUBLIC)
def test_public_forms_need_their_secret(site, client, page):
    assert 'name="csrf_token"' in text(client.get(page))
    assert refused(client.post(page, data=FILLED), "The form was not accepted")
    assert users(site) == [] and emails(site) == []


@pytest.mark.parametrize("page", PRIVATE)
def test_private_forms_need_their_secret(site, member, page):
    assert 'name="csrf_token"' in text(member.get(page))
    assert refused(member.post(page, data=FILLED), "The form was not accepted")
    assert users(site) == ["ada"] and is_inside(member)


def test_a_form_of_another_site_is_refused_by_its_referrer(member):
    answer = post(member, "/user/edit_user_profile", FILLED, headers={"Referer": "https://evil.example/"})
    assert refused(answer, "The form was not accepted")


@pytest.mark.parametrize("page", [*PRIVATE, "/profile", "/profile/tokens", "/profile/tokens/1/revoke"])
def test_private_pages_are_for_members(client, page):
    answer = post(client, page, FILLED, page="/user/sign-in")
    assert answer.status_code in (302, 405)
    if answer.status_code == 302:
        assert answer.location.startswith("/user/sign-in?next=")


# Passwords and names


def change_password(client, old=PASSWORD, new=NEW, again=None):
    return post(
        client,
        "/user/change-password",
        {"old_password": old, "new_password": new, "retype_password": new if again is None else again},
    )


def test_change_password_ends_other_sessions(site, bob):
    sign_in(bob, remember_me="y")
    elsewhere = browser(site)
    sign_in(elsewhere)
    assert change_password(bob).location == "/profile"
    assert [message["To"] for message in emails(site)] == ["bob@example.com"]
    assert not is_inside(elsewhere) and is_inside(bob)
    bob.delete_cookie("session")
    assert is_inside(bob)  # still remembered
    sign_out(bob)
    assert sign_in(bob).status_code == 400
    assert sign_in(bob, password=NEW).status_code == 302 and is_inside(bob)


@pytest.mark.parametrize(
    ("old", "new", "again", "sentence"),
    [
        ("wrong", NEW, None, "not your current password"),
        (PASSWORD, "short", None, "10 to 200 characters"),
        (PASSWORD, "ADA@example.com", None, "neither your user name nor your e-mail address"),
        (PASSWORD, NEW, "different", "do not match"),
    ],
)
def test_a_password_that_cannot_be_set(site, member, old, new, again, sentence):
    assert refused(change_password(member, old, new, again), sentence)
    assert emails(site) == [] and is_inside(member)


def test_change_names(site, member):
    add_user(site, "bob")
    answer = post(member, "/user/edit_user_profile", {"first_name": "Ada", "last_name": "<b>Lovelace"})
    assert answer.location == "/profile" and "Ada &lt;b&gt;Lovelace" in text(member.get("/profile"))
    new = {"new_username": "ada2", "old_password": PASSWORD}
    assert refused(post(member, "/user/change-username", new | {"new_username": "BOB"}), "taken")
    assert refused(post(member, "/user/change-username", new | {"old_password": "wrong"}), "not your current password")
    assert post(member, "/user/change-username", new).location == "/profile"
    assert users(site) == ["ada2", "bob"] and is_inside(member)
    (message,) = emails(site)
    assert message["To"] == "ada@example.com" and "ada2" in text_of(message)
    assert refused(post(member, "/user/edit_user_profile", {"first_name": "x" * 101}), "100")


def test_forgot_and_reset(site, bob):
    sign_in(bob)
    visitor = browser(site)
    forgot(visitor)
    link = link_in(emails(site)[-1])
    assert "bob" in text(visitor.get(link)) and not is_inside(visitor)  # opening it changes nothing
    assert refused(reset(visitor, link, "short"), "10 to 200 characters")
    assert reset(visitor, link).status_code == 302 and is_inside(visitor) and not is_inside(bob)
    assert "was changed" in text_of(emails(site)[-1])
    fresh = browser(site)
    assert sign_in(fresh, password=NEW).status_code == 302 and is_inside(fresh)


@pytest.mark.parametrize("end", [False, True])
def test_tokens_end_with_the_password_if_that_is_wanted(site, member, end):
    more = {"end_tokens": "y"} if end else {}
    for number, (page, fields) in enumerate(
        [
            ("/user/change-password", {"old_password": PASSWORD, "new_password": NEW, "retype_password": NEW}),
            (None, {"new_password": PASSWORD, "retype_password": PASSWORD}),
        ]
    ):
        token = re.search(
            r'id="new-token" value="([^"]+)"', text(post(member, "/profile/tokens", {"name": "x"}, "/profile"))
        )
        if page is None:
            forgot(member, "ada@example.com")
            page = link_in(emails(site)[-1])
        assert post(member, page, fields | more).status_code == 302, number
        with site.app_context():
            assert (user_of_token(token[1]) is None) == end


def test_a_reset_link_serves_once(site, bob):
    forgot(bob)
    link = link_in(emails(site)[-1])
    reset(bob, link)
    fresh = browser(site)
    assert fresh.get(link).location == "/user/sign-in" and not is_inside(fresh)
    answer = post(fresh, link, {"new_password": PASSWORD, "retype_password": PASSWORD}, page="/user/sign-in")
    assert answer.location == "/user/sign-in" and sign_in(fresh).status_code == 400


def test_a_reset_link_gets_old(site, bob):
    forgot(bob)
    site.user_manager.USER_RESET_PASSWORD_EXPIRATION = -1
    assert bob.get(link_in(emails(site)[-1])).location == "/user/sign-in"


def test_a_reset_confirms_the_address(site, client):
    add_user(site, "bob", confirmed=False)
    forgot(client)
    link = link_in(emails(site)[-1])
    client.get(link)
    assert sign_in(client).location == "/user/resend-email-confirmation"  # opening the link is not enough
    reset(client, link)
    assert is_inside(client)


def test_forgot_tells_nothing_about_who_has_an_account(site, bob):
    known = forgot(bob), flashed(bob)
    unknown = forgot(bob, "eve@example.com"), flashed(bob)
    assert (known[0].status_code, known[0].location) == (unknown[0].status_code, unknown[0].location)
    assert known[1].replace("bob@", "X@") == unknown[1].replace("eve@", "X@")
    assert [message["To"] for message in emails(site)] == ["bob@example.com"]


def test_links_serve_one_purpose(site, client):
    register(client)
    link = link_in(emails(site)[0])
    confirm(client, link)
    with client.session_transaction() as session:
        own = session["_user_id"]
    fresh = browser(site)
    confirming = link.rsplit("/", 1)[1]
    for token in (confirming, own, "garbage", "é", "%00"):
        assert fresh.get("/user/reset-password/" + token).location == "/user/sign-in"
    forgot(client)
    wanted = link_in(emails(site)[-1]).rsplit("/", 1)[1]
    for token in (wanted, own, "garbage"):
        assert fresh.get("/user/confirm-email/" + token).location == "/user/sign-in"
    for token in (confirming, wanted):
        with fresh.session_transaction() as session:
            session["_user_id"] = token
        assert not is_inside(fresh)


def test_links_carry_no_name_from_the_host_header(site, client):
    add_user(site, "bob")
    answer = client.post("/user/forgot-password", data={"email": "bob@example.com"}, headers={"Host": "evil.example"})
    assert answer.status_code == 400 and emails(site) == []
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


# Who may register


def test_closed_registration(make_site):
    site = make_site(registration="closed")
    client = browser(site)
    answer = client.get("/user/register")
    assert answer.status_code == 403 and "cannot be created" in text(answer)
    assert client.get("/user/register?invitation=x").status_code == 403
    assert "/user/register" not in text(client.get("/user/sign-in"))
    assert post(client, "/user/register", registration(), page="/user/sign-in").status_code == 403
    assert users(site) == []


def invited(site, admin, address="guest@example.com") -> str:
    """The link of a new invitation."""
    page = text(post(admin, "/admin/invitations", {"email": address}))
    return re.search(r'value="https://localhost(/user/register\?invitation=[^"]+)"', page)[1]


@pytest.fixture
def by_invitation(make_site):
    """A site where registering needs an invitation."""
    return make_site(registration="invitation")


def test_registration_by_invitation(by_invitation):
    admin, client = signed_in(by_invitation, "root", admin=True), browser(by_invitation)
    answer = client.get("/user/register")
    assert answer.status_code == 403 and "by invitation only" in text(answer)
    assert client.get("/user/register?invitation=wrong").status_code == 404
    link = invited(by_invitation, admin)
    assert link == link_in(emails(by_invitation)[0])
    assert 'value="guest@example.com"' in text(client.get(link))
    answer = register(client, "guest", page=link, email="somebody.else@example.com")
    assert answer.status_code == 302 and is_inside(client)  # no confirmation needed
    with by_invitation.app_context():
        user = db.session.scalar(db.select(User).filter_by(username="guest"))
        assert user.email == "guest@example.com" and user.email_confirmed_at and not user.is_admin
        (kept,) = db.session.scalars(db.select(Invitation))
        assert kept.used_at and link.split("=")[1] not in kept.digest


def test_an_invitation_serves_once(by_invitation):
    admin = signed_in(by_invitation, "root", admin=True)
    link = invited(by_invitation, admin)
    clients, answers = [browser(by_invitation) for _ in range(3)], []
    # All have the form before the first sends it.
    forms = [registration(f"guest{n}") | {"csrf_token": csrf_token(client, link)} for n, client in enumerate(clients)]

    def send(client, form) -> None:
        answers.append(client.post(link, data=form, headers={"Referer": "https://localhost" + link}))

    threads = [threading.Thread(target=send, args=both) for both in zip(clients, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers)[0] == 302 and len(answers) == 3
    assert len(users(by_invitation)) == 2 and {answer.status_code for answer in answers} <= {302, 404, 409}
    assert browser(by_invitation).get(link).status_code == 404


def test_an_invitation_gets_old_and_can_be_taken_back(by_invitation):
    admin, client = signed_in(by_invitation, "root", admin=True), browser(by_invitation)
    link = invited(by_invitation, admin)
    with by_invitation.app_context():
        db.session.execute(db.update(Invitation).values(created_at=now() - timedelta(days=14, seconds=1)))
        db.session.commit()
    assert client.get(link).status_code == 404
    link = invited(by_invitation, admin, "second@example.com")
    with by_invitation.app_context():
        number = db.session.scalar(db.select(Invitation.id).filter_by(email="second@example.com"))
    answer = post(admin, f"/admin/invitations/{number}/revoke", page="/admin/invitations")
    assert answer.status_code == 302 and client.get(link).status_code == 404


def test_a_second_invitation_replaces_the_first(by_invitation):
    admin, client = signed_in(by_invitation, "root", admin=True), browser(by_invitation)
    first, second = invited(by_invitation, admin), invited(by_invitation, admin)
    assert client.get(first).status_code == 404 and client.get(second).status_code == 200


# Keys for programs


def make_key(client, name="script") -> str:
    answer = post(client, "/profile/tokens", {"name": name}, page="/profile")
    assert answer.status_code == 200
    return re.search(r'id="new-token" value="([^"]+)"', text(answer))[1]


def holder(site, key) -> str | None:
    with site.app_context():
        user = user_of_token(key)
        return user and user.username


def test_a_key_is_shown_once_and_kept_as_a_digest(site, member):
    key = make_key(member, "<i>nightly")
    page = text(member.get("/profile"))
    assert key not in page and "&lt;i&gt;nightly" in page and "not used yet" in page
    with site.app_context():
        (kept,) = db.session.scalars(db.select(Token))
        assert len(kept.digest) == 64 and key not in kept.digest
    assert holder(site, key) == "ada" and holder(site, key + "x") is None and holder(site, "\udcff\0") is None
    assert "last used" in text(member.get("/profile"))


def test_a_key_without_a_name_is_refused(site, member):
    assert refused(post(member, "/profile/tokens", {"name": " "}, page="/profile"), "what the token is for")
    assert refused(post(member, "/profile/tokens", {"name": "x" * 101}, page="/profile"), "100 characters")


def test_there_is_an_end_of_keys(site, member):
    for number in range(20):
        make_key(member, str(number))
    assert post(member, "/profile/tokens", {"name": "one more"}, page="/profile").status_code == 409


def test_a_key_is_revoked_by_its_owner_only(site, member, other, admin):
    key = make_key(member)
    for stranger in (other, admin):
        assert post(stranger, "/profile/tokens/1/revoke", page="/profile").status_code == 404
        assert key not in text(stranger.get("/profile"))
    with site.app_context():
        number = db.session.scalar(db.select(Token.id))
    assert member.get(f"/profile/tokens/{number}/revoke").status_code == 405
    assert post(other, f"/profile/tokens/{number}/revoke", page="/profile").status_code == 404
    assert holder(site, key) == "ada"
    assert post(member, f"/profile/tokens/{number}/revoke", page="/profile").status_code == 302
    assert holder(site, key) is None


@pytest.mark.parametrize("changed", [{"active": False}, {"email_confirmed_at": None}])
def test_a_key_of_a_disabled_or_unconfirmed_user_does_not_work(site, member, changed):
    key = make_key(member)
    change(site, "ada", **changed)
    assert holder(site, key) is None


# How often


@pytest.fixture
def limited(make_site):
    """A site that counts."""
    return make_site(config={"RATELIMIT_ENABLED": True})


def test_wrong_passwords_are_limited_for_each_account(limited):
    add_user(limited, "bob")
    add_user(limited, "eve")
    client = browser(limited)
    for attempt in range(10):
        name = ("bob", "bob@example.com", " BOB", "bo\0b", "Bob@example.com\t")[attempt % 5]
        assert sign_in(client, name, "wrong").status_code == 400
    answer = sign_in(client)
    assert answer.status_code == 429 and not is_inside(client)
    assert re.search(r"try again in \d+ (seconds|minutes)", text(answer)) and int(answer.headers["Retry-After"]) > 0
    elsewhere = browser(limited)
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert sign_in(elsewhere).status_code == 429
    assert sign_in(client, "eve").status_code == 302


def test_wrong_passwords_from_elsewhere_do_not_lock_the_owner_out(limited):
    add_user(limited, "bob")
    add_user(limited, "eve")
    owner, attacker = browser(limited), browser(limited)
    sign_in(owner)
    sign_out(owner)
    attacker.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    sign_in(attacker, "eve")  # who is known as herself, and as nobody else
    sign_out(attacker)
    for _ in range(10):
        assert sign_in(attacker, "bob", "wrong").status_code == 400
    assert sign_in(attacker).status_code == 429
    assert sign_in(owner, "bob", "wrong").status_code == 400
    assert sign_in(owner).status_code == 302 and is_inside(owner)
    sign_out(owner)
    for _ in range(9):
        assert sign_in(owner, "bob", "wrong").status_code == 400
    assert sign_in(owner).status_code == 429  # for guessing in a known browser there is a limit, too
    stranger = browser(limited)
    forgot(stranger)
    assert reset(stranger, link_in(emails(limited)[-1])).status_code == 302 and is_inside(stranger)
    sign_out(stranger)
    assert sign_in(stranger, password=NEW).status_code == 302  # the link has made this browser known


def test_right_passwords_do_not_count(limited):
    add_user(limited, "bob")
    client = browser(limited)
    for _ in range(12):
        assert sign_in(client).status_code == 302
        sign_out(client)


@pytest.mark.parametrize(
    ("page", "often"),
    [
        ("/user/sign-in", 30),
        ("/user/register", 30),
        ("/user/forgot-password", 30),
        ("/user/resend-email-confirmation", 30),
    ],
)
def test_forms_are_limited_for_each_address(limited, page, often):
    client = browser(limited)
    for attempt in range(often):
        assert (
            post(client, page, {"username": f"name{attempt}", "email": f"{attempt}@x", "password": "x"}).status_code
            < 429
        )
    assert post(client, page, {"username": "more", "email": "more@x", "password": "x"}).status_code == 429
    assert client.get(page).status_code == 200
    elsewhere = browser(limited)
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert post(elsewhere, page, {"username": "more", "email": "more@x", "password": "x"}).status_code < 429


@pytest.mark.parametrize("page", ["/user/forgot-password", "/user/resend-email-confirmation"])
def test_letters_to_one_address_are_limited(limited, page):
    client = browser(limited)
    for number in range(5):
        client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        assert post(client, page, {"email": "bob@example.com"}).status_code == 302
    assert post(client, page, {"email": "BOB@exam\0ple.com "}).status_code == 429


def test_guessing_the_present_password_is_limited(limited):
    client = signed_in(limited, "bob")
    for _ in range(10):
        assert change_password(client, old="wrong").status_code == 400
    assert change_password(client).status_code == 429


def test_a_script_is_told_when_to_try_again(limited):
    client = signed_in(limited, "bob")
    for _ in range(10):
        change_password(client, old="wrong")
    headers = {"Accept": "application/json", "Referer": "https://localhost/"}
    answer = post(client, "/user/change-password", {"old_password": "wrong"}, headers=headers)
    assert answer.status_code == 429 and "try again in" in answer.json["error"]


# Roles


def test_the_role_is_called_admin(site, member, admin):
    assert member.get("/admin/users").status_code == 403
    with site.app_context():
        user = db.session.scalar(db.select(User).filter_by(username="ada"))
        user.roles.append(db.session.scalar(db.select(Role).filter_by(name="admin")))
        db.session.commit()
    assert member.get("/admin/users").status_code == 200
