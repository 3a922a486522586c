"""Administration: who may see it, what it shows, and that an administrator always stays."""

import re
import threading
from datetime import datetime, timedelta

import pytest

from database.tables import Invitation, Photograph, Query, Role, Token, User, Work, db, now
from tests.web.asked import add_query
from tests.web.conftest import PASSWORD, add_user, browser, post, signed_in
from tests.web.emails import emails, link_in, text_of

PAGES = ["/admin/users", "/admin/invitations", "/admin/activity", "/admin/messages"]
ACTIONS = [
    "/admin/users/1",
    "/admin/users/1/delete",
    "/admin/invitations",
    "/admin/invitations/1/revoke",
    "/admin/messages/20261127-010203-000000-01234567/delete",
]


def text(answer) -> str:
    return answer.get_data(as_text=True)


def number_of(site, name) -> int:
    with site.app_context():
        return db.session.scalar(db.select(User.id).filter_by(username=name))


def state_of(site, name) -> tuple[bool, bool]:
    """Whether a user is active, and an administrator."""
    with site.app_context():
        user = db.session.scalar(db.select(User).filter_by(username=name))
        return user.active, user.is_admin


def do(client, site, name, action):
    return post(client, f"/admin/users/{number_of(site, name)}", {"action": action}, page="/profile")


def listed(page) -> list[str]:
    """The names on the page of users."""
    return re.findall(r"<strong>([^<]+)</strong>", page)


# Who may


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_for_administrators(client, member, admin, page):
    assert client.get(page).location == f"/user/sign-in?next={page}"
    answer = member.get(page)
    assert answer.status_code == 403 and "not allowed" in text(answer)
    assert admin.get(page).status_code == 200


@pytest.mark.parametrize("address", ACTIONS)
def test_actions_are_for_administrators(site, client, member, admin, address):
    forms = {"action": "give", "email": "guest@example.com"}
    answer = post(client, address, forms, page="/user/sign-in")
    assert answer.status_code == 302 and answer.location.startswith("/user/sign-in")
    assert post(member, address, forms, page="/profile").status_code == 403
    assert refused(admin.post(address, data=forms))  # without the secret of the form
    assert state_of(site, "ada") == (True, False)
    with site.app_context():
        assert db.session.scalar(db.select(db.func.count(Invitation.id))) == 0


def refused(answer) -> bool:
    return answer.status_code == 400 and "The form was not accepted" in text(answer)


def test_only_administrators_see_the_way_there(member, admin):
    assert "/admin/users" in text(admin.get("/")) and "/admin" not in text(member.get("/"))


# Users


def test_users_are_listed_and_found(site, admin):
    for name in ("zoe", "Bob", "b_b", "b%b"):
        add_user(site, name)
    assert listed(text(admin.get("/admin/users"))) == ["b%b", "b_b", "Bob", "root", "zoe"]
    for wanted, found in (
        ("BOB", ["Bob"]),
        ("zoe@example", ["zoe"]),
        ("%", ["b%b"]),
        ("_", ["b_b"]),
        ("b%", ["b%b"]),
        (" zoe\0 ", ["zoe"]),
        ("nobody", []),
    ):
        assert listed(text(admin.get("/admin/users", query_string={"q": wanted}))) == found, wanted
    page = text(admin.get("/admin/users", query_string={"q": '"><script>'}))
    assert "&#34;&gt;&lt;script&gt;" in page and '"><script>' not in page


def test_users_come_in_pages(site, admin):
    with site.app_context():
        db.session.add_all(User(username=f"user{n:03}", email=f"{n}@example.com") for n in range(60))
        db.session.commit()
    first, second = (text(admin.get(f"/admin/users?q=user&page={page}")) for page in (1, 2))
    assert len(listed(first)) == 50 and listed(second) == [f"user{n:03}" for n in range(50, 60)]
    assert "q=user" in re.search(r'rel="next" href="([^"]+)"', first)[1] and 'rel="prev"' in second
    assert admin.get("/admin/users?page=99").status_code == 404
    assert admin.get("/admin/users?page=0").status_code == 404


def test_the_list_says_what_a_user_does(site, admin, member):
    add_user(site, "new", confirmed=False)
    add_query(site, "ada")
    page = text(admin.get("/admin/users"))
    assert "1 query<" in page and "e-mail not confirmed" in page and "This is you" in page
    assert ">administrator<" in page


def test_disable_and_enable(site, admin, member):
    assert do(admin, site, "ada", "disable").location == "/admin/users"
    assert state_of(site, "ada") == (False, False) and member.get("/profile").status_code == 302
    assert "ada has been disabled" in text(admin.get("/admin/users"))
    do(admin, site, "ada", "enable")
    assert state_of(site, "ada") == (True, False)


def test_give_and_take_the_role(site, admin, member):
    do(admin, site, "ada", "give")
    assert state_of(site, "ada") == (True, True) and member.get("/admin/users").status_code == 200
    do(admin, site, "ada", "give")
    assert state_of(site, "ada") == (True, True)
    do(member, site, "root", "take")
    assert state_of(site, "root") == (True, False) and admin.get("/admin/users").status_code == 403
    with site.app_context():
        assert db.session.scalar(db.select(db.func.count(Role.id))) == 1


@pytest.mark.parametrize("action", ["disable", "take", "enable", "give"])
def test_nobody_changes_the_own_account(site, admin, action):
    answer = do(admin, site, "root", action)
    assert answer.status_code == 409 and "your own account" in text(answer)
    assert state_of(site, "root") == (True, True)


def test_one_administrator_stays_when_all_remove_each_other(site):
    names = ["first", "second", "third"]
    clients = [signed_in(site, name, admin=True) for name in names]
    answers = []

    def remove(client, name):
        answers.append(do(client, site, name, "take").status_code)

    threads = [threading.Thread(target=remove, args=(client, names[place - 1])) for place, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {302, 403}
    assert any(state_of(site, name)[1] for name in names)


@pytest.mark.parametrize(("number", "action", "code"), [(999, "disable", 404), (0, "disable", 404), (None, "eat", 400)])
def test_what_cannot_be_done_to_a_user(site, admin, member, number, action, code):
    number = number_of(site, "ada") if number is None else number
    assert post(admin, f"/admin/users/{number}", {"action": action}, page="/profile").status_code == code
    assert post(admin, f"/admin/users/{number}", {}, page="/profile").status_code in (400, 404)
    assert state_of(site, "ada") == (True, False)


def test_an_address_is_confirmed_by_an_administrator(site, admin):
    add_user(site, "new", confirmed=False)
    do(admin, site, "new", "confirm")
    assert "new has a confirmed address now" in text(admin.get("/admin/users"))
    client = browser(site)
    assert post(client, "/user/sign-in", {"username": "new", "password": PASSWORD}).location == "/"


def test_a_password_link_is_shown_to_the_administrator_once(site, admin):
    add_user(site, "ada")
    page = text(do(admin, site, "ada", "reset"))
    link = re.search(r'value="https://localhost(/user/reset-password/[^"]+)"', page)[1]
    assert "With this link ada chooses a new password" in page
    assert "/user/reset-password/" not in text(admin.get("/admin/users"))
    client = browser(site)
    new = "Another long passw0rd"
    assert post(client, link, {"new_password": new, "retype_password": new}).status_code == 302
    assert client.get("/profile").status_code == 200


def test_an_account_is_deleted_with_all_that_belongs_to_it(site, admin, member, other):
    add_query(site, "ada")
    add_query(site, "bob")
    post(member, "/profile/tokens", {"name": "x"}, page="/profile")
    number, folder = number_of(site, "ada"), site.extensions["uploads"].folder
    page = text(admin.get(f"/admin/users/{number}/delete"))
    assert "Delete the account ada?" in page and "1 photograph with all answers" in page and "1 API token " in page
    assert len(list(folder.iterdir())) == 2
    assert post(admin, f"/admin/users/{number}/delete", page="/profile").location == "/admin/users"
    assert "The account ada has been deleted" in text(admin.get("/admin/users"))
    assert number_of(site, "ada") is None and member.get("/profile").status_code == 302
    with site.app_context():
        owners = {row.user_id for table in (Photograph, Query, Token) for row in db.session.scalars(db.select(table))}
    assert owners == {number_of(site, "bob")} and len(list(folder.iterdir())) == 1
    own = f"/admin/users/{number_of(site, 'root')}/delete"
    assert post(admin, own, page="/profile").status_code == 409 and number_of(site, "root")
    assert admin.get("/admin/users/999/delete").status_code == 404


# Messages


def test_what_nobody_sends_is_shown_to_administrators_and_deleted(site, admin, client):
    assert "No message waits" in text(admin.get("/admin/messages"))
    form = {"username": "new", "email": "new@example.com", "password": PASSWORD, "retype_password": PASSWORD}
    post(client, "/user/register", form)
    (message,) = emails(site)
    page = text(admin.get("/admin/messages"))
    assert "new@example.com" in page and "please confirm your e-mail address" in page
    assert f'value="https://localhost{link_in(message)}"' in page
    delete = re.search(r'action="(/admin/messages/[^"]+/delete)"', page)[1]
    assert post(admin, delete, page="/profile").location == "/admin/messages" and emails(site) == []
    for name in ("../../database/secret_key", "x", "20261127-010203-000000-01234567"):
        assert post(admin, f"/admin/messages/{name}/delete", page="/profile").status_code == 404


def test_where_mail_is_sent_no_message_waits(make_site):
    admin = signed_in(make_site(mail_server="mail.example.org"), "root", admin=True)
    assert admin.get("/admin/messages").status_code == 404 and "Messages" not in text(admin.get("/admin/users"))


# Invitations


def test_an_invitation_is_mailed_and_shown_once(site, admin):
    answer = post(admin, "/admin/invitations", {"email": "Guest@Example.com"})
    (message,) = emails(site)
    assert answer.status_code == 200 and message["To"] == "guest@example.com"
    assert "root invites you" in text_of(message) and link_in(message) in text(answer)
    page = text(admin.get("/admin/invitations"))
    assert "guest@example.com" in page and "by root" in page and "invitation=" not in page


@pytest.mark.parametrize(("address", "code"), [("nobody", 400), ("", 400), ("ADA@example.com", 409)])
def test_who_cannot_be_invited(site, admin, address, code):
    add_user(site, "ada")
    assert post(admin, "/admin/invitations", {"email": address}).status_code == code
    assert emails(site) == [] and "Nobody has been invited yet" in text(admin.get("/admin/invitations"))


def test_a_used_invitation_stays_on_the_list(site, admin):
    post(admin, "/admin/invitations", {"email": "guest@example.com"})
    link = link_in(emails(site)[0])
    guest = browser(site)
    filled = {"username": "guest", "password": PASSWORD, "retype_password": PASSWORD}
    assert post(guest, link, filled).status_code == 302
    page = text(admin.get("/admin/invitations"))
    assert ">used<" in page and "Withdraw" not in page
    with site.app_context():
        number = db.session.scalar(db.select(Invitation.id))
    assert post(admin, f"/admin/invitations/{number}/revoke", page="/admin/invitations").status_code == 404


def test_no_invitations_where_registration_is_closed(make_site):
    site = make_site(registration="closed")
    admin = signed_in(site, "root", admin=True)
    assert "cannot be created" in text(admin.get("/admin/invitations"))
    answer = post(admin, "/admin/invitations", {"email": "guest@example.com"}, page="/profile")
    assert answer.status_code == 409 and emails(site) == []


# Activity


@pytest.fixture
def queries(site, admin, member, other) -> dict[str, str]:
    """Questions of Ada and Bob: what they are -> id."""
    with site.app_context():
        work = db.session.get(Work, 1)
        work.title, work.author, path = "The <b>sea", "A. Painter", work.path
        db.session.commit()
    day = timedelta(days=1)
    return {
        "old": add_query(site, "bob", "maybe", now() - 40 * day, feedback="wrong"),
        "sea": add_query(
            site, "ada", "found", now() - 2 * day, work_id=1, work_path=path, similarity=0.91, feedback="right"
        ),
        "gone": add_query(site, "bob", "found", now() - day, work_id=987654, similarity=0.8),
        "new": add_query(site, "ada", "not found"),
    }


def names_on_page(admin, queries, **filters) -> list[str]:
    answer = admin.get("/admin/activity", query_string=filters)
    assert answer.status_code == 200
    names = {number: name for name, number in queries.items()}
    return [names[number] for number in re.findall(r'href="/answers/([^"]+)"', text(answer))]


def test_activity_is_newest_first_and_filtered(admin, queries):
    today = datetime.now().date()
    assert names_on_page(admin, queries) == ["new", "gone", "sea", "old"]
    assert names_on_page(admin, queries, user="ADA") == ["new", "sea"]
    assert names_on_page(admin, queries, user="a%") == []
    assert names_on_page(admin, queries, verdict="found") == ["gone", "sea"]
    assert names_on_page(admin, queries, user="bob", verdict="maybe") == ["old"]
    assert names_on_page(admin, queries, to=now().date() - timedelta(days=20)) == ["old"]
    assert names_on_page(
        admin, queries, **{"from": now().date() - timedelta(days=2), "to": now().date() - timedelta(days=1)}
    ) == [
        "gone",
        "sea",
    ]
    assert names_on_page(admin, queries, **{"from": today + timedelta(days=3)}) == []


def test_activity_counts_and_names(admin, queries):
    page = " ".join(text(admin.get("/admin/activity")).split())
    for said in ("4 queries", "2 found", "1 not sure", "1 not found", "1 rated right"):
        assert said in page, said
    assert "The &lt;b&gt;sea, A. Painter" in page and "similarity 0.91" in page
    page = " ".join(text(admin.get("/admin/activity?user=ada")).split())
    assert "2 queries" in page and "not sure</span>" not in page


def test_activity_leads_to_everybodys_answers(admin, other, queries):
    page = text(admin.get("/admin/activity?user=ada&verdict=not+found"))
    (answer,) = re.findall(r'href="(/answers/[^"]+)"', page)
    (picture,) = re.findall(r'src="(/answers/[^"]+)"', page)
    assert admin.get(answer).status_code == 200 and admin.get(picture).mimetype == "image/jpeg"
    assert other.get(answer).status_code == 404 and other.get(picture).status_code == 404


@pytest.mark.parametrize("filters", ["verdict=perhaps", "from=yesterday", "to=9999-12-31", "from=2026-02-30"])
def test_a_filter_that_cannot_be_understood(admin, filters):
    answer = admin.get(f"/admin/activity?{filters}")
    assert answer.status_code == 400 and "Traceback" not in text(answer)


def test_activity_comes_in_pages(site, admin, member):
    with site.app_context():
        ada = db.session.scalar(db.select(User).filter_by(username="ada"))
        photograph = Photograph(user_id=ada.id, source="file", height=10, width=10)
        photograph.queries = [Query(user_id=ada.id, verdict="found", seconds=1) for _ in range(60)]
        db.session.add(photograph)
        db.session.commit()
    first = text(admin.get("/admin/activity?verdict=found"))
    (onward,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = text(admin.get(onward.replace("&amp;", "&")))
    assert [page.count('href="/answers/') for page in (first, second)] == [50, 10]
