"""Rules set by hand: thresholds on the grounds, one set for each purpose."""

from dataclasses import asdict, dataclass

from models.answer import Grounds, Verdict


@dataclass(frozen=True)
class Thresholds:
    """What a picture must have in common with the first candidate for "found" and for "maybe"."""

    found_inliers: float  # where the picture agrees with the work all over,
    found_agreement: float  # which means as well as this;
    sure_inliers: float  # otherwise so many,
    sure_area: float  # if they cover this share of the work
    maybe_inliers: float
    maybe_similarity: float

    def probability(self, grounds: Grounds) -> None:
        """None: only a calibration gives probabilities."""

    def decide(self, grounds: Grounds) -> Verdict:
        """The verdict on the first candidate after re-ranking.

        Inliers alone do not decide: two pictures with the same stamp, frame or signature have some, too. What is seen
        of the work has to agree with it; or, where somebody stands in front of it, there must be more inliers than a
        stamp has.
        """
        agrees = grounds.inliers >= self.found_inliers and grounds.agreement >= self.found_agreement
        if agrees or (grounds.inliers >= self.sure_inliers and grounds.work_area >= self.sure_area):
            return Verdict.FOUND
        if grounds.inliers >= self.maybe_inliers or grounds.similarity >= self.maybe_similarity:
            return Verdict.MAYBE
        return Verdict.NOT_FOUND

    def to_json(self) -> dict:
        """The thresholds, as JSON can hold them."""
        return asdict(self)


# The verdict where nothing was calibrated.
BY_HAND = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=40, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)

# When the engine stops searching: a view of the picture for which this says "found" needs no further one. Neither the
# calibration nor BY_HAND has a say in this, so that changing them leaves the grounds of every answer as they were.
LED_SOMEWHERE = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=40, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)

# When two images of the collection show the same work: where this says "found". Neither is a photograph on a wall, so
# fewer inliers are enough: by chance such a pair never has so many. Agreement is not measured between them.
TWINS = Thresholds(
    found_inliers=8, found_agreement=0.55, sure_inliers=20, sure_area=0.03, maybe_inliers=6, maybe_similarity=0.6
)
