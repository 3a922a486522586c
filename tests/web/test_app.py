"""The site as a whole: what it is made of, and what every answer carries."""


def test_it_is_alive_and_ready(client):
    assert client.get("/healthz").json == {"status": "alive"}
    assert client.get("/readyz").json == {"status": "ready", "images": 12}


def test_a_member_is_greeted_by_name(member, client):
    assert "ada" in member.get("/").get_data(as_text=True)
    assert "Sign in" in client.get("/").get_data(as_text=True)
