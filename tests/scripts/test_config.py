"""Settings and the environment that overrides them."""

from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest

from config import ANSWER_SETTINGS, PREFIX, Settings
from utils.errors import WrongUse
from utils.setting import limits, setting


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
    elif limits(field).choices:
        text = wanted = limits(field).choices[-1]
    elif field.name == "size":
        text = wanted = "1024x720"
    variable = "DATABASE_URL" if field.name == "database_url" else PREFIX + field.name.upper()
    value = getattr(Settings.read({variable: text}), field.name)
    assert value == wanted and type(value) is type(field.default)


def test_switches_and_choices_that_are_not_known_are_refused_by_name():
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_PRIVATE='perhaps' is not a switch: choose on or off\.$"):
        Settings.read({"RETRIEVAL_PRIVATE": "perhaps"})
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_REGISTRATION='free' is unknown: choose one of open, invitation"):
        Settings.read({"RETRIEVAL_REGISTRATION": "free"})
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_POOLING='nonsense' is unknown: choose one of cam, cam_gem, crow"):
        Settings.read({"RETRIEVAL_POOLING": "nonsense"})
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_PRECISION='nonsense' is unknown: choose one of auto, float32"):
        Settings.read({"RETRIEVAL_PRECISION": "nonsense"})


def test_the_kind_of_local_features_is_checked_against_those_registered():
    settings = Settings.read({"RETRIEVAL_FEATURE": "brisk"})
    settings.check_feature(("orb", "brisk"))
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_FEATURE='brisk' is unknown: choose one of orb, sift\.$"):
        settings.check_feature(("orb", "sift"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("large", "is not valid: write it like 512x384."),
        ("512", "is not valid: write it like 512x384."),
        ("384x512", "is not valid: give the long side first, and at most 4096 pixels."),
        ("512x0", "is not valid: give the long side first, and at most 4096 pixels."),
        ("4097x512", "is not valid: give the long side first, and at most 4096 pixels."),
    ],
)
def test_a_size_that_no_network_can_use_is_refused(text, problem):
    with pytest.raises(WrongUse) as told:
        Settings.read({"RETRIEVAL_SIZE": text})
    assert str(told.value) == f"RETRIEVAL_SIZE={text!r} {problem}"


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
    assert str(told.value) == f"RETRIEVAL_BATCH_SIZE={text!r} is out of range: give a whole number, 1 or more."


def test_no_workers_means_one_a_core_but_fewer_than_none_means_nothing():
    assert Settings.read({"RETRIEVAL_WORKERS": "0"}).workers == 0
    with pytest.raises(WrongUse, match="RETRIEVAL_WORKERS='-1' is out of range: give a whole number, 0 or more"):
        Settings.read({"RETRIEVAL_WORKERS": "-1"})


@pytest.mark.parametrize(
    ("name", "text", "range_"),
    [
        ("PORT", "65536", "1 to 65535"),
    ],
)
def test_a_number_above_its_range_is_refused(name, text, range_):
    with pytest.raises(WrongUse) as told:
        Settings.read({PREFIX + name: text})
    assert str(told.value) == f"{PREFIX}{name}={text!r} is out of range: give a whole number, {range_}."


@dataclass(frozen=True)
class WithNumbers(Settings):
    """Settings that are no whole numbers; today there are none."""

    share: float = setting(0.5, least=0, most=1)
    seconds: float = 2.5


def test_a_number_that_is_not_whole_keeps_its_type():
    read = WithNumbers.read({"RETRIEVAL_SHARE": "1", "RETRIEVAL_SECONDS": "1e3"})
    assert (read.share, read.seconds) == (1.0, 1000.0) and type(read.share) is float


@pytest.mark.parametrize("text", ["", "half", "0,5", "-0.1", "1.01", "nan", "inf"])
def test_a_number_that_is_not_whole_is_refused_in_the_same_way(text):
    with pytest.raises(WrongUse) as told:
        WithNumbers.read({"RETRIEVAL_SHARE": text})
    assert str(told.value) == f"RETRIEVAL_SHARE={text!r} is out of range: give a number, 0 to 1."


@pytest.mark.parametrize("text", ["nan", "inf", "0.9"])
def test_a_number_without_an_upper_limit_is_finite(text):
    with pytest.raises(WrongUse, match=rf"^RETRIEVAL_SECONDS='{text}' is out of range: give a number, 1 or more\.$"):
        WithNumbers.read({"RETRIEVAL_SECONDS": text})


def test_settings_do_not_change_while_they_are_used():
    with pytest.raises(FrozenInstanceError):
        Settings().classes = 3


def test_the_settings_that_shape_answers_are_settings_and_none_of_the_site():
    shaping = Settings(shortlist=7, title="The museum").shaping_answers()
    assert list(shaping) == list(ANSWER_SETTINGS)
    assert shaping["shortlist"] == 7
    assert shaping == Settings(shortlist=7).shaping_answers()
    assert not {"title", "port", "database", "workers", "output"} & set(shaping)
