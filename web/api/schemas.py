"""The schemas of the API; flask-smorest generates the OpenAPI description from them."""

from datetime import datetime

from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate

from database import works

SIMILAR = 24  # works, by default
PAGE, LARGEST_PAGE = 24, 100  # works on a page


def described(kind: type[fields.Field], description: str, example=None, *args, **options) -> fields.Field:
    """A field with a description and optionally an example."""
    metadata = {"description": description} | ({} if example is None else {"example": example})
    return kind(*args, metadata=metadata, **options)


class Moment(fields.DateTime):
    """A time in UTC, to the second. (With a `format`, apispec would describe it as one of format null.)"""

    def _serialize(self, value: datetime | None, *_: object, **__: object) -> str | None:
        return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"


class WorkLinks(Schema):
    page = described(fields.Url, "The work's page on the site.")
    picture = described(fields.Url, "JPEG, at most 1600 pixels wide and high.")
    thumbnail = described(fields.Url, "JPEG, at most 320 pixels wide and high.")
    similar = described(fields.Url, "The works most similar to it, from this API.")
    manifest = described(fields.Url, "IIIF Presentation 3.")


class PictureSchema(Schema):
    """One of a work's pictures."""

    id = described(fields.Integer, "Leads to the work, too, at the addresses of works.", 17)
    file = described(fields.String, "Relative to the dataset.", "landscape/landscape_001.jpg")
    role = described(fields.String, "front, back, detail, frame or empty.", "front")


class WorkSchema(Schema):
    """A work of the collection; what the catalogue does not say is an empty string."""

    id = described(fields.Integer, "That of its first picture; the id of any of its pictures leads to it.", 17)
    caption = described(fields.String, "The title, inventory number or file's name.", "Peaks above Rochebrune")
    number = described(fields.String, "Of the inventory.", "1921.2")
    artists = described(fields.List, "The author's names, one by one.", ["MARVEEN, Joost van"], fields.String())
    author = described(fields.String, "The artist, as in the catalogue.", "MARVEEN, Joost van")
    born_died = described(fields.String, "Of the artist.", "(b. 1609, Osterhaven, d. 1671, Velgorod)")
    title = described(fields.String, "Title in the catalogue.", "Peaks above Rochebrune")
    date = described(fields.String, "Date in words.", "1659")
    first_year = described(fields.Integer, "What the date means; null: no year.", 1659, allow_none=True)
    last_year = described(fields.Integer, "The same; both are included.", 1659, allow_none=True)
    technique = described(fields.String, "Technique, often with the size.", "Oil on canvas")
    dimensions = described(fields.String, "Size.", "72 x 100 cm")
    credit = described(fields.String, "Credit line.", "Gift of the artist")
    rights = described(fields.String, "Who holds which rights.", "Public domain")
    more = described(fields.Dict, "The register's other columns, by name.", {"Room": "12"})
    location = described(fields.String, "Where the work is.", "Museum of the Harbour, Osterhaven")
    school = described(fields.String, "Of the artist.", "Dutch")
    form = described(fields.String, "Kind of object.", "painting")
    type = described(fields.String, "Kind of subject.", "landscape")
    timeframe = described(fields.String, "Period.", "1651-1700")
    url = described(fields.String, "The catalogue's page about the work.", "")
    file = described(fields.String, "The first picture, relative to the dataset.", "landscape/landscape_001.jpg")
    pictures = fields.List(fields.Nested(PictureSchema))
    links = fields.Nested(WorkLinks)


class WorkPage(Schema):
    total = described(fields.Integer, "Number of matching works.", 240)
    page = described(fields.Integer, "This page, from 1.", 1)
    pages = described(fields.Integer, "Number of pages.", 10)
    works = fields.List(fields.Nested(WorkSchema))


class SimilarWork(Schema):
    similarity = described(fields.Float, "Cosine of the two descriptors, -1 to 1.", 0.83)
    work = fields.Nested(WorkSchema)


class Place(Schema):
    """A candidate."""

    work = described(fields.Integer, "Id of the work; in a ranking once, however many pictures it has.", 17)
    picture = described(fields.Integer, "Id of its picture that matched.", 17)
    file = described(fields.String, "This picture's file at the time of the query.", "landscape/landscape_001.jpg")
    similarity = described(fields.Float, "Cosine of the descriptors, -1 to 1.", 0.83)
    score = described(fields.Float, "Re-ranking score, which the ranking after re-ranking is sorted by.", 112.83)
    matches = described(fields.Integer, "Pairs of local features that look alike.", 143)
    inliers = described(fields.Integer, "Matches that agree with one homography.", 112)
    query_area = described(fields.Float, "Share of the picture that the inliers cover, 0 to 1.", 0.41)
    work_area = described(fields.Float, "Share of the work that they cover, 0 to 1.", 0.87)


OUTLINE = [[0.12, 0.08], [0.91, 0.1], [0.9, 0.88], [0.11, 0.9]]


def outline_of_a_work() -> fields.Field:
    return described(
        fields.List,
        "Where the work's corners are in the submitted picture: four [x, y] as shares of its width and height, "
        "clockwise from the work's upper left; they may lie outside the picture. null if unknown.",
        OUTLINE,
        fields.List(fields.Float()),
        allow_none=True,
    )


class Evidence(Place):
    """Why the first candidate is the answer."""

    outline = outline_of_a_work()

    class Meta:
        exclude = ("work", "picture", "file", "score")


class Sighting(Place):
    """One work on the picture."""

    verdict = described(fields.String, "found or maybe.", "found", validate=validate.OneOf(("found", "maybe")))
    probability = described(
        fields.Float, "That it is this work, 0 to 1; null where no calibration was made.", 0.998, allow_none=True
    )
    outline = outline_of_a_work()
    work = described(fields.Nested, "The work; null if it has left the collection.", None, WorkSchema, allow_none=True)

    class Meta:
        exclude = ("score",)


class Ranking(Schema):
    before = described(fields.List, "By similarity, best first.", None, fields.Nested(Place))
    after = described(fields.List, "By score, best first.", None, fields.Nested(Place))


class AnswerLinks(Schema):
    page = described(fields.Url, "The answer with its evidence; requires signing in.")
    picture = described(fields.Url, "The submitted picture; requires signing in.")


class AnswerSchema(Schema):
    """The answer to a query."""

    id = described(fields.String, "22 characters.", "Xq3oSy4QdRr0bQkWmJt5aA")
    created_at = described(Moment, "In UTC.", "2026-11-24T09:30:00Z")
    verdict = described(
        fields.String,
        "Whether the picture shows the first work of the ranking: found; maybe (the site shows it as “Not sure”: "
        "please compare the pictures); or not found.",
        "found",
        validate=validate.OneOf(("found", "maybe", "not found")),
    )
    work = described(
        fields.Nested,
        "The work; null if the verdict is not found, or if the work has left the collection.",
        None,
        WorkSchema,
        allow_none=True,
    )
    evidence = described(fields.Nested, "null if the verdict is not found.", None, Evidence, allow_none=True)
    works = described(
        fields.List,
        "All works on the picture, each once, surest first; the first one decides the verdict above. "
        "Answers stored by version 1.0 have none.",
        None,
        fields.Nested(Sighting),
    )
    unidentified = described(
        fields.List,
        "Outlines of what looks like a work, but leads to none in the collection: four [x, y] each, as above.",
        [OUTLINE],
        fields.List(fields.List(fields.Float())),
    )
    ranking = fields.Nested(Ranking)
    seconds = described(
        fields.Dict, "Seconds per stage.", {"network": 0.21, "search": 0.001}, fields.String(), fields.Float()
    )
    notes = described(
        fields.List,
        "What is amiss with the submitted picture, which could be read nevertheless.",
        ["its end is missing, and with it up to 2.1% of the picture"],
        fields.String(),
    )
    links = fields.Nested(AnswerLinks)


YEARS = validate.Range(min=-9999, max=9999)


class WorkFilters(Schema):
    q = described(
        fields.String,
        "Words that must all occur, each as the beginning of a word; accents are ignored; in double quotes, a phrase. "
        "1500-1899 among them are years, where no years are given.",
        "marveen",
        load_default="",
        validate=validate.Length(max=200),
    )
    author = described(fields.String, "Artist, exactly as in the works; likewise the filters below.")
    school = described(fields.String, "Of the artist.", "Dutch")
    form = described(fields.String, "Kind of object.", "painting")
    type = described(fields.String, "Kind of subject.", "landscape")
    timeframe = described(fields.String, "Period.", "1651-1700")
    folder = described(fields.String, "Folder of the picture's file.")
    first_year = described(fields.Integer, "Works of this year or later.", 1600, validate=YEARS)
    last_year = described(fields.Integer, "Works of this year or earlier.", 1650, validate=YEARS)
    sort = described(fields.String, "Sort order.", load_default="file", validate=validate.OneOf(tuple(works.SORTS)))


class SimilarOptions(Schema):
    count = described(
        fields.Integer, "How many.", 24, load_default=SIMILAR, validate=validate.Range(min=1, max=LARGEST_PAGE)
    )


SHARE = fields.Float(validate=validate.Range(min=0, max=1))


class Question(Schema):
    """A query: a picture or its address, and optionally a part of it."""

    address = described(
        fields.String,
        "Address of a picture on the web, if this site fetches pictures. "
        "Exactly one of picture and address is required.",
        "https://www.example.org/photograph.jpg",
    )
    corners = described(
        fields.List,
        "The part of the picture to identify, instead of the whole: four [x, y] as shares of its width and height, "
        "clockwise from the upper left. In a form: as JSON.",
        [[0.1, 0.1], [0.9, 0.1], [0.9, 0.8], [0.1, 0.8]],
        fields.List(SHARE, validate=validate.Length(equal=2)),
        validate=validate.Length(equal=4),
    )
    turns = described(
        fields.Integer, "Quarter turns, clockwise.", 0, load_default=0, validate=validate.Range(min=0, max=3)
    )


class QuestionForm(Question):
    picture = described(
        Upload,
        "A JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw file. "
        "Exactly one of picture and address is required.",
    )
