"""Requests that no page would send: they are refused in words, and are no fault of the site."""

import pytest

from tests.web.conftest import post
from tests.web.test_api import program_of

BRACKETS = b"[" * 400_000


def test_json_of_brackets_is_refused(site, member):
    program = program_of(site, "program")
    answer = program.post(data=BRACKETS, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, 400)
    for address in ("/api/v1/search", "/photographs/" + 22 * "a" + "/ask"):
        assert 400 <= member.post(address, data=BRACKETS, content_type="application/json").status_code < 500
    sent = {"data": {"corners": BRACKETS.decode(), "address": "https://example.org/a.jpg"}}
    assert program.post(**sent).status_code == 422


def test_json_may_not_be_as_long_as_a_picture(site):
    answer = program_of(site, "program").post(data=b"[" + b"0," * 600_000 + b"0]", content_type="application/json")
    assert (answer.status_code, answer.json["message"][:18]) == (413, "This request has t")


def test_a_form_with_too_many_fields_is_no_file_that_is_too_large(site, member):
    answer = program_of(site, "program").post(
        data={f"field {number}": "1" for number in range(10_000)} | {"picture": ""}
    )
    assert answer.status_code in (413, 422) and "file" not in answer.json["message"]
    fields = {f"field {number}": (None, "1") for number in range(10_000)}
    answer = post(member, "/ask", fields, page="/", content_type="multipart/form-data")
    assert answer.status_code == 413
    assert "too many fields" in answer.text and "file is too large" not in answer.text


LISTS = ("/admin/users", "/admin/invitations", "/admin/activity", "/history")


@pytest.mark.parametrize("number", ["99999999999999999999", "9" * 5000, "0", "-1", "x", "²", "2147483647"])
def test_a_page_that_there_cannot_be(admin, number):
    assert [admin.get(f"{address}?page={number}").status_code for address in LISTS] == [404] * len(LISTS)


def test_words_and_years_that_no_column_can_hold(client, admin):
    for address in ("/collection?author=a%00b", "/api/v1/works?author=a%00b", "/admin/activity?user=a%00b"):
        assert admin.get(address).status_code in (200, 400), address
    for year in ("99999999999999999999", "-99999999999", "10000"):
        assert client.get(f"/api/v1/works?first_year={year}").status_code == 422
        assert client.get(f"/api/v1/works?last_year={year}").status_code == 422


def test_numbers_that_no_table_can_hold_lead_nowhere(admin):
    for address in ("/admin/users/{}", "/admin/invitations/{}/revoke", "/profile/tokens/{}/revoke"):
        answer = post(admin, address.format("99999999999999999999"), {"action": "disable"}, page="/profile")
        assert answer.status_code == 404, address


def test_head_is_answered_like_get_on_every_page(site, admin):
    for rule in site.url_map.iter_rules():
        if "GET" in rule.methods and not rule.arguments and rule.rule != "/user/sign-out":
            assert admin.head(rule.rule).status_code == admin.get(rule.rule).status_code, rule.rule
