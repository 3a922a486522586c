"""Rules set by hand: thresholds on the grounds, one set for each purpose."""

from dataclasses import asdict, dataclass

from models.answer import Grounds, Verdict


@dataclass(frozen=True)
class Thresholds:
    """What a picture must have in common with the first candidate for "found" and for "maybe"."""

    found_inliers: float  # minimum, together with
    found_agreement: float  # this minimum agreement;
    sure_inliers: float  # or else this minimum,
    sure_area: float  # covering this minimum share of the work
    maybe_inliers: float
    maybe_similarity: float

    def probability(self, grounds: Grounds) -> None:
        """None, because only a calibration gives probabilities."""

    def decide(self, grounds: Grounds) -> Verdict:
        """The verdict on the first candidate after re-ranking.

        Inliers alone are not enough: two pictures with the same stamp, frame or signature have some, too. The visible
        part of the work has to agree pixel by pixel; or, for instance if somebody stands in front of it, there must be
        more inliers than a stamp has.
        """
        agrees = grounds.inliers >= self.found_inliers and grounds.agreement >= self.found_agreement
        if agrees or (grounds.inliers >= self.sure_inliers and grounds.work_area >= self.sure_area):
            return Verdict.FOUND
        if grounds.inliers >= self.maybe_inliers or grounds.similarity >= self.maybe_similarity:
            return Verdict.MAYBE
        return Verdict.NOT_FOUND

    def to_json(self) -> dict:
        """The thresholds, as plain JSON data."""
        return asdict(self)


# The verdict without a calibration.
BY_HAND = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=40, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)

# When the engine stops searching: after a view of the picture for which this says "found". This is independent of the
# calibration and of BY_HAND, so that changing them does not change the grounds of any answer.
LED_SOMEWHERE = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=40, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)

# Two images of the collection show the same work if this says "found". Neither is a photograph of a wall, so fewer
# inliers are enough: unrelated pairs never have so many by chance. Agreement is not measured between them.
TWINS = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=20, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)
