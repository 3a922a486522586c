"""The job that answers the photographs of a batch, one after the other, whenever nobody else asks."""

from sqlalchemy import func, select

from database.tables import Batch, BatchPhotograph, Photograph, Query, changed, db
from utils.images import ImageProblem
from web import asking, jobs
from web.batches.files import delete_read_archives, read_member, sentence
from web.intake import Region, kept
from web.jobs import Alive
from web.service import service
from web.uploads import uploads

KIND = "batch"
SOME = 20  # photographs that are answered before another batch has its turn
ATTEMPTS = 3  # at one photograph; the next one must not suffer from a picture that ends the process


def start(batch: Batch) -> None:
    """Have the photographs of a batch answered that wait for it."""
    jobs.start(KIND, batch.id)


@jobs.job(KIND)
def answer_some(batch_id: str, alive: Alive) -> bool:
    """Answer some photographs of a batch; whether others still wait. Raises Unavailable while there is no engine."""
    service().engine  # noqa: B018  (raises)
    waiting = (BatchPhotograph.batch_id == batch_id) & (BatchPhotograph.state == "waiting")
    some = db.session.scalars(select(BatchPhotograph.id).where(waiting).order_by(BatchPhotograph.id).limit(SOME)).all()
    for id in some:
        alive()
        found = db.session.get(BatchPhotograph, id)
        if found is not None:  # it may have been deleted meanwhile
            _answer(found, alive)
    batch = db.session.get(Batch, batch_id)
    if batch is not None:
        delete_read_archives(batch)
    return bool(db.session.scalar(select(func.count(BatchPhotograph.id)).where(waiting)))


def _answer(photograph: BatchPhotograph, alive: Alive) -> None:
    """Answer one photograph, or note why that cannot be done. What an earlier attempt has done is not done again."""
    photograph.attempts += 1
    begun = photograph.attempts
    db.session.commit()
    id = photograph.id
    try:
        if begun > ATTEMPTS:
            raise ImageProblem(f"the program was interrupted {ATTEMPTS} times while it looked at this photograph")
        query = _query_of(_kept(photograph), alive)
    except ImageProblem as problem:
        db.session.rollback()
        _note(id, state="failed", problem=sentence(problem))
    else:
        probability = query.answer.content.get("probability")
        _note(id, state="answered", query_id=query.id, probability=probability, doubt=doubt(query, probability))


def _note(id: int, **values: object) -> None:
    still = (BatchPhotograph.id == id) & (BatchPhotograph.state == "waiting")
    changed(db.update(BatchPhotograph).where(still).values(values))
    db.session.commit()


def _kept(photograph: BatchPhotograph) -> Photograph:
    """The photograph in the folder of uploads; read from its ZIP, unless it has been."""
    if photograph.photograph is not None:
        return photograph.photograph
    batch = photograph.batch
    with kept(batch.user_id, read_member(photograph), "batch", photograph.name) as made:
        photograph.photograph_id = made.id
        db.session.commit()
    return made


def _query_of(photograph: Photograph, alive: Alive) -> Query:
    """The answer; the one that is there, if a worker was killed just after it had been given."""
    if photograph.queries:
        return photograph.queries[0]
    query, *_ = asking.ask(photograph, [Region()], turn=service().spare(alive))
    uploads().delete_exact(photograph.id)  # five hundred of them would fill a disk
    return query


def doubt(query: Query, probability: float | None) -> float:
    """How much a person should look at an answer, 0..2: most where the verdict is "not sure".

    By the calibrated probability; without one, by the details that match: few of what is found, many of what is not.
    """
    if probability is None:
        strength = (query.inliers or 0) / (10 + (query.inliers or 0))
        unsure = strength if query.verdict == "not found" else 1 - strength
    else:
        unsure = 1 - abs(2 * probability - 1)
    return unsure + (query.verdict == "maybe")


def progress(batch: Batch) -> dict:
    """How far a batch is: photographs, waiting, answered, failed; the job's state; its problem, if it is held up."""
    here = BatchPhotograph.batch_id == batch.id
    counted = select(BatchPhotograph.state, func.count(BatchPhotograph.id)).where(here).group_by(BatchPhotograph.state)
    counts: dict[str, int] = dict(db.session.execute(counted).all())
    job = jobs.of(KIND, batch.id)
    done = {state: counts.get(state, 0) for state in ("waiting", "answered", "failed")}
    state = "empty" if not counts else "done" if not done["waiting"] else job.state if job else "not started"
    return {"photographs": sum(done.values()), **done, "state": state, "problem": job.problem if job else ""}
