"""The words that several pages show."""

import pytest

from models.answer import VERDICTS
from web.words import VERDICT_WORDS, byline, hundredths


def test_every_verdict_has_its_word():
    assert [VERDICT_WORDS[verdict] for verdict in VERDICTS] == ["Found", "Not sure", "Not found"]


@pytest.mark.parametrize(
    ("artist", "line"),
    [
        ("OSTERWELD, Hanne", "by Hanne Osterweld"),
        ("MARVEEN, Joost van", "by Joost van Marveen"),
        ("Osterweld, Hanne", "by Hanne Osterweld"),
        ("Hanne Osterweld", "by Hanne Osterweld"),
        ("CRANACH, Lucas the Elder", "by Lucas Cranach the Elder"),
        ("CRANACH, Lucas, the Younger", "by Lucas Cranach the Younger"),
        ("FRANCKEN, Frans II", "by Frans Francken II"),
        ("SON, Jan van the Elder", "by Jan van Son the Elder"),
        ("TITIAN", "by Titian"),
        ("GIOTTO di Bondone", "by Giotto di Bondone"),
        ("FRA ANGELICO", "by Fra Angelico"),
        ("TOULOUSE-LAUTREC, Henri de", "by Henri de Toulouse-Lautrec"),
        ("O'KEEFFE, Georgia", "by Georgia O'Keeffe"),
        ("DÜRER, Albrecht", "by Albrecht Dürer"),
        ("LE NAIN, Antoine", "by Antoine Le Nain"),
        ("TURNER, J.M.W.", "by J.M.W. Turner"),
        ("RUBENS, Peter Paul and BRUEGHEL, Jan the Elder", "by Peter Paul Rubens and Jan Brueghel the Elder"),
        ("ALBANI; BRIL, Paul; LANFRANCO, Giovanni", "by Albani, Paul Bril and Giovanni Lanfranco"),
        ("HALS, Frans & HALS, Dirck", "by Frans Hals and Dirck Hals"),
        ("ANDREA del Sarto", "by Andrea del Sarto"),
        ("MASTER of Flémalle", "by the Master of Flémalle"),
        ("UNKNOWN MASTER, Italian", "by an unknown Italian master"),
        ("Unknown", "by an unknown artist"),
        ("anonymous", "by an unknown artist"),
        ("Unbekannt", "by an unknown artist"),
        ("unbekannter Künstler", "by an unknown artist"),
        ("Artiste inconnu", "by an unknown artist"),
        ("Anónimo", "by an unknown artist"),
        ("Unbekannter, Josef", "by Josef Unbekannter"),
        ("Workshop of RUBENS, Peter Paul", "by the workshop of Peter Paul Rubens"),
        ("BOSCH, Hieronymus (follower of)", "by a follower of Hieronymus Bosch"),
        ("attributed to HALS, Frans", "attributed to Frans Hals"),
        ("AFTERWALD, Ann", "by Ann Afterwald"),
        ("One, Two, Three", "by One, Two, Three"),
        ("李, 白", "by 白 李"),
    ],
)
def test_a_work_is_by_somebody_as_people_say_it(artist, line):
    assert byline(artist) == line


@pytest.mark.parametrize(("number", "text"), [(-0.004, "0.00"), (0.126, "0.13"), (-0.25, "-0.25"), (1, "1.00")])
def test_a_similarity_has_two_decimals_and_no_negative_zero(number, text):
    assert hundredths(number) == text
