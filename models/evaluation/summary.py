"""The summary of a run: the measures in summary.json, and as a few lines for a terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from models.answer import STAGES
from models.evaluation import metrics
from models.evaluation.records import FALSE_FOUND, FORMAT, MISSED, WRONG_FIRST, Record
from utils.statistics import share, spread, wilson
from utils.text import printable

if TYPE_CHECKING:
    from models.engine import Engine

CUTS = (1, 10, 100)  # the k of recall@k


def summarise(records: Sequence[Record], engine: "Engine") -> dict:
    """The content of summary.json: plain values only, None for an undefined measure.

    records: of all queries. engine: the one that answered them.
    """
    answered = [record for record in records if record.skipped is None]
    known = [record for record in answered if record.in_collection is not None]
    inside = [record for record in known if record.in_collection]
    shortlisted = [record for record in inside if record.rank_after is not None]
    return {
        "format": FORMAT,
        "queries": len(answered),
        "in_collection": len(inside),
        "not_in_collection": len(known) - len(inside),
        "without_ground_truth": len(answered) - len(known),
        "skipped": [{"file": printable(record.file), "reason": record.skipped} for record in records if record.skipped],
        "collection_size": len(engine.images),
        "before": _ranking(inside, "before") | {"GAP": global_average_precision(known, "before")},
        "after": _ranking(inside, "after")
        | {
            "GAP": global_average_precision(known, "after"),
            "shortlisted": len(shortlisted),
            "first_of_shortlisted": metrics.recall_at(1, [record.rank_after for record in shortlisted]),
        },
        "before_and_after": _crossed(inside),
        "verdict": metrics.verdicts(
            [record.verdict for record in known if record.verdict is not None],
            [bool(record.in_collection) for record in known],
            [record.is_first_right for record in known],
        )
        | {"thresholds": engine.thresholds, "calibration": engine.calibration}
        | _calibrated(known),
        "works": works(known),
        "wrong_answers": {
            result: sum(record.result == result for record in known) for result in (WRONG_FIRST, FALSE_FOUND, MISSED)
        },
        "seconds": spread(_there(record.seconds for record in answered)) | {"stages": _stages(answered)},
        "fingerprint": engine.fingerprint,
        "versions": engine.versions,
    }


def table(summary: dict) -> str:
    """The summary as a few lines for a terminal."""
    lines = []
    if summary["in_collection"]:
        names = [*(f"recall@{k}" for k in CUTS), "mAP", "GAP"]
        lines.append(" " * 18 + "".join(f"{name:>12}" for name in names))
        for row, label in (("before", "before re-ranking"), ("after", "after re-ranking")):
            lines.append(f"{label:18}" + "".join(f"{figure(summary[row][name]):>12}" for name in names))
    verdict = summary["verdict"]
    if not summary["queries"]:
        lines.append("None of the pictures could be read.")
    elif summary["without_ground_truth"] == summary["queries"]:
        lines.append("There is no ground truth to compare the answers with.")
    else:
        lines.append(
            f"verdict: {verdict_line(verdict)} "
            f"({summary['in_collection']} queries in the collection, {summary['not_in_collection']} not)"
        )
        lines.append(f"works: {works_line(summary['works'])}")
        lines.append(verdict["calibration"]["sentence"])
        if summary["without_ground_truth"]:
            lines.append(f"not measured, for lack of ground truth: {summary['without_ground_truth']} queries")
    seconds = summary["seconds"]
    shares = [
        f"{stage} {times['share']:.0%}" for stage, times in seconds["stages"].items() if times["share"] is not None
    ]
    lines.append(f"seconds per query: p50 {figure(seconds['p50'])}, p95 {figure(seconds['p95'])}; {', '.join(shares)}")
    for skipped in summary["skipped"][:10]:
        lines.append(f"skipped: {skipped['file']}: {skipped['reason']}")
    if len(summary["skipped"]) > 10:
        lines.append(f"skipped: {len(summary['skipped']) - 10} more, listed in summary.json")
    return "\n".join(lines)


def verdict_line(verdict: dict) -> str:
    """The figures of metrics.verdicts in one line, with their 95 % intervals."""
    return (
        f"{_precision_and_recall(verdict)}, false found {verdict['false_found']}, "
        f"wrong found {verdict['wrong_found']}, not sure {verdict['maybe']}"
    )


def works_line(works: dict) -> str:
    """The figures of metrics.works in one line, with their 95 % intervals."""
    return (
        f"{_precision_and_recall(works)}, {works['right']} right of {works['told']} told and of "
        f"{works['expected']} on the pictures"
    )


def _precision_and_recall(measures: dict) -> str:
    names = ("precision", "recall")
    return ", ".join(f"{name} {figure(measures[name])}{_interval(measures[f'{name}_interval'])}" for name in names)


def global_average_precision(known: Sequence[Record], when: str) -> float | None:
    """GAP of records with ground truth, before or after re-ranking.

    An answer is as sure as its similarity before re-ranking, and after it as its probability, or as the score it was
    ranked by where none is calibrated.
    """
    after = "first_after_score" if all(record.probability is None for record in known) else "probability"
    confidence = {"before": "first_before_similarity", "after": after}[when]
    return metrics.global_average_precision(
        [getattr(record, confidence) for record in known],
        [bool(record.in_collection) for record in known],
        [getattr(record, f"rank_{when}") == 1 for record in known],
    )


def works(known: Sequence[Record]) -> dict:
    """Precision and recall of the works told, of records with ground truth (see `metrics.works`)."""
    counted = [record for record in known if record.works_expected is not None]  # earlier versions told one work
    return metrics.works(
        [len(record.works) for record in counted],
        [record.works_right or 0 for record in counted],
        [record.works_expected or 0 for record in counted],
    )


def _interval(interval: list[float] | None) -> str:
    return f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""


def figure(value: float | None, digits: int = 3) -> str:
    """A measure with `digits` decimals; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def _there(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _ranking(inside: list[Record], when: str) -> dict:
    """recall@k and mAP before or after re-ranking, with the 95 % interval of recall@1."""
    ranks = [getattr(record, f"rank_{when}") for record in inside]
    precisions = _there(getattr(record, f"precision_{when}") for record in inside)
    measures = {f"recall@{k}": metrics.recall_at(k, ranks) for k in CUTS}
    measures["mAP"] = share(sum(precisions), len(inside))
    interval = wilson(sum(rank == 1 for rank in ranks), len(ranks))
    return measures | {"recall@1_interval": list(interval) if interval else None}


def _calibrated(known: list[Record]) -> dict:
    """How reliable the probabilities are; nothing where there are none."""
    right = [record.is_first_right for record in known if record.probability is not None]
    reliable = metrics.reliability(_there(record.probability for record in known), right)
    return {"reliability": reliable, "calibration_error": metrics.calibration_error(reliable)}


def _crossed(inside: list[Record]) -> dict[str, int]:
    """How re-ranking changed the first candidate: "wrong_right" is wrong before and right after."""
    words = {True: "right", False: "wrong"}
    counts = {f"{before}_{after}": 0 for before in words.values() for after in words.values()}
    for record in inside:
        counts[f"{words[record.rank_before == 1]}_{words[record.rank_after == 1]}"] += 1
    return counts


def _stages(answered: list[Record]) -> dict[str, dict]:
    """mean, p50 and p95 of the seconds in each stage, and the share of all seconds."""
    total = sum(_there(record.seconds for record in answered))
    return {
        stage: spread([record.stages[stage] for record in answered])
        | {"share": share(sum(record.stages[stage] for record in answered), total)}
        for stage in STAGES
    }
