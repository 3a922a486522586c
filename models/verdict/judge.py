"""Who decides in a collection: its calibration where there is a usable one, else the thresholds set by hand."""

from dataclasses import dataclass
from pathlib import Path

from config import ANSWER_SETTINGS
from models.verdict.calibration import NAME, Calibration, Damaged, stamp_of
from models.verdict.rules import BY_HAND, Thresholds


@dataclass(frozen=True)
class Judge:
    """Who decides in a collection, and why it is not its verdict.json where that cannot be used."""

    rule: Calibration | Thresholds
    problem: str | None = None  # why verdict.json is not followed, where there is one: a sentence
    stamp: tuple[int, ...] | None = None  # of verdict.json when it was read

    @classmethod
    def of(cls, output: Path, fingerprint: dict, last: "Judge | None" = None) -> "Judge":
        """The judge for the collection in the folder `output`.

        fingerprint: of its engine. last: the judge so far, whose calibration holds while the file cannot be used.
        """
        stamp = stamp_of(output)
        if stamp is None:
            return cls(BY_HAND)
        try:
            rule = Calibration.read(output)
            if rule.fingerprint != fingerprint:
                raise Damaged(f"{NAME} {_made_for(rule.fingerprint, fingerprint)}.")
        except Damaged as problem:
            kept = last.rule if last and isinstance(last.rule, Calibration) else None
            return cls(kept if kept and kept.fingerprint == fingerprint else BY_HAND, str(problem), stamp)
        return cls(rule, None, stamp)

    def to_json(self) -> dict:
        """Who decides, as JSON can hold it; `sentence` says it in words."""
        rule = self.rule
        known = {"calibrated": isinstance(rule, Calibration), "thresholds": rule.to_json(), "problem": self.problem}
        if isinstance(rule, Thresholds):
            return known | {"sentence": self._with_problem("The thresholds were set by hand; there is no calibration.")}
        runs = " and ".join(rule.runs)
        told = f"Calibrated on {rule.date[:10]} with {runs} (operating point: {rule.operating_point})."
        return known | {
            "sentence": self._with_problem(told),
            **{name: getattr(rule, name) for name in ("date", "runs", "operating_point", "measured")},
        }

    def _with_problem(self, sentence: str) -> str:
        return f"{sentence} {self.problem}" if self.problem else sentence


def _made_for(made: dict, now: dict) -> str:
    """What a calibration with one fingerprint was made for, and what to do in an engine with another."""
    differing = [name for name in made.keys() | now.keys() if made.get(name) != now.get(name)]
    if "grounds" in differing:
        return "was made by another version of this program: calibrate again"
    others = [name for name in ANSWER_SETTINGS if name in differing]
    if len(others) < len(differing):
        return "was made for another collection: calibrate again"
    was = " and ".join(f"{name} {made[name]}, which is {now[name]} now" for name in others)
    return f"was made with {was}: calibrate again, or change it back"
