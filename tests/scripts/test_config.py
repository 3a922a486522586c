"""Settings and the environment that overrides them."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from config import ANSWER_SETTINGS, CHOICES, PREFIX, Settings
from utils.errors import WrongUse


def test_without_variables_the_defaults_hold():
    assert Settings.read({"PATH": "/bin", "RETRIEVAL": "no prefix", "retrieval_size": "small letters"}) == Settings()


def test_a_variable_overrides_its_setting_and_no_other():
    read = Settings.read(
        {"RETRIEVAL_OUTPUT": "/srv/out put", "RETRIEVAL_CLASSES": "16", "RETRIEVAL_WEIGHTS": "bundled"}
    )
    assert (read.output, read.classes, read.weights) == (Path("/srv/out put"), 16, "bundled")
    assert read == Settings(output=Path("/srv/out put"), classes=16, weights="bundled")


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_can_be_set_and_keeps_its_type(field):
    text, wanted = "77", type(field.default)("77")
    if isinstance(field.default, bool):
        text, wanted = "off" if field.default else "on", not field.default
    elif field.name in CHOICES:
        text = wanted = CHOICES[field.name][-1]
    variable = "DATABASE_URL" if field.name == "database_url" else PREFIX + field.name.upper()
    value = getattr(Settings.read({variable: text}), field.name)
    assert value == wanted and type(value) is type(field.default)


def test_switches_and_choices_that_are_not_known_are_refused_by_name():
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_PRIVATE='perhaps' does not fit: on or off wanted"):
        Settings.read({"RETRIEVAL_PRIVATE": "perhaps"})
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_REGISTRATION='free' is not known: choose one of open, invitation"):
        Settings.read({"RETRIEVAL_REGISTRATION": "free"})


def test_the_database_url_has_no_prefix():
    with pytest.raises(WrongUse, match="RETRIEVAL_DATABASE_URL is not a setting"):
        Settings.read({"RETRIEVAL_DATABASE_URL": "postgresql://localhost/site"})


def test_an_unknown_variable_is_refused_by_name():
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_WEIGTHS is not a setting; config\.py lists them all\.$"):
        Settings.read({"RETRIEVAL_WEIGTHS": "bundled"})


@pytest.mark.parametrize("text", ["many", "", "1.5", "0", "-8", "1e3"])
def test_a_value_that_does_not_fit_is_refused_by_name(text):
    with pytest.raises(WrongUse) as told:
        Settings.read({"RETRIEVAL_BATCH_SIZE": text})
    assert str(told.value) == f"RETRIEVAL_BATCH_SIZE={text!r} does not fit: a whole number from 1 on wanted."


def test_no_workers_means_one_a_core_but_fewer_than_none_means_nothing():
    assert Settings.read({"RETRIEVAL_WORKERS": "0"}).workers == 0
    with pytest.raises(WrongUse, match="RETRIEVAL_WORKERS='-1' does not fit: a whole number from 0 on wanted"):
        Settings.read({"RETRIEVAL_WORKERS": "-1"})


def test_settings_do_not_change_while_they_are_used():
    with pytest.raises(FrozenInstanceError):
        Settings().classes = 3


def test_the_settings_that_shape_answers_are_settings_and_none_of_the_site():
    shaping = Settings(shortlist=7, title="The museum").shaping_answers()
    assert list(shaping) == list(ANSWER_SETTINGS)
    assert shaping["shortlist"] == 7
    assert shaping == Settings(shortlist=7).shaping_answers()
    assert not {"title", "port", "database", "workers", "output"} & set(shaping)
