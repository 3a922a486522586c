"""The administrators' pages: users, invitations and everybody's activity."""

from datetime import date, datetime, time, timedelta

from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, request, url_for
from flask_user import current_user, roles_required
from sqlalchemy import Select
from sqlalchemy.orm import joinedload
from werkzeug import Response

from database.tables import Invitation, Photograph, Query, Role, Token, User, db, now
from models.answer import VERDICTS
from web import invitations, mail
from web.account_forms import AddressForm, one_line, text_of
from web.create_admin import admin_role
from web.expiry import delete_photographs
from web.incoming import page_number
from web.users import user_manager

PAGE = 50  # rows

blueprint = Blueprint("admin", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.before_request
@roles_required("admin")
def _administrators_only() -> None:
    """Everybody else: to the sign-in page, or 403."""


# Users


@blueprint.get("/admin/users")
def users() -> str:
    """Everybody with an account, by name; `q` filters by part of a name or an e-mail address."""
    return _users()


def _users(**new: str) -> str:
    text = one_line(request.args.get("q"))
    accounts = db.select(User).order_by(db.func.lower(User.username), User.id)
    if text:
        names = (User.username, User.email, User.first_name, User.last_name)
        accounts = accounts.where(db.or_(*(name.icontains(text, autoescape=True) for name in names)))
    page = db.paginate(accounts, page=page_number(), per_page=PAGE)
    counts = db.select(Query.user_id, db.func.count(Query.id), db.func.max(Query.created_at)).group_by(Query.user_id)
    rows = db.session.execute(counts.where(Query.user_id.in_([user.id for user in page]))).all()
    return render_template(
        "admin/users.html", page=page, text=text, queries={user: (count, last) for user, count, last in rows}, **new
    )


@blueprint.post("/admin/users/<int:number>")
def change_user(number: int) -> Response | str:
    """Disable or enable a user, give or remove administrator rights, confirm an address, make a password link.

    Nobody can change their own account here, so there is always an administrator.
    """
    user = _user_to_change(number)
    match request.form.get("action"):
        case "disable":
            user.active, done = False, "has been disabled and signed out everywhere"
        case "enable":
            user.active, done = True, "has been enabled again"
        case "give":
            user.roles, done = [admin_role()], "is now an administrator"
        case "take":
            user.roles, done = [], "is no longer an administrator"
        case "confirm":
            user.email_confirmed_at, done = user.email_confirmed_at or now(), "has a confirmed address now"
        case "reset":
            link = user_manager().reset_link(user)
            db.session.commit()
            return _users(link=link, link_for=user.username)
        case _:
            abort(400, "The action must be disable, enable, give, take, confirm or reset.")
    name = user.username
    db.session.commit()
    flash(f"{name} {done}.", "success")
    return redirect(url_for("admin.users", q=request.args.get("q"), page=request.args.get("page")))


@blueprint.route("/admin/users/<int:number>/delete", methods=["GET", "POST"])
def delete_user(number: int) -> Response | str:
    """Delete somebody else's account, with photographs, answers and tokens; asks first."""
    if request.method != "POST":
        user = db.get_or_404(User, number)
        counted = {
            name: db.session.scalar(db.select(db.func.count()).where(table.user_id == number))
            for name, table in (("photographs", Photograph), ("tokens", Token))
        }
        return render_template("admin/delete_user.html", user=user, **counted)
    user = _user_to_change(number)
    name = user.username
    photographs = db.session.scalars(db.select(Photograph.id).filter_by(user_id=number)).all()
    user.active = False  # whatever fails from here on, the account is closed
    db.session.commit()
    delete_photographs(photographs)
    db.session.execute(db.delete(User).where(User.id == number))  # the database deletes what belongs to it
    db.session.commit()
    flash(f"The account {name} has been deleted.", "success")
    return redirect(url_for("admin.users"))


def _user_to_change(number: int) -> User:
    """Somebody else's row, locked against other such changes.

    So two administrators cannot remove each other at the same time: whoever comes second is no longer one.
    """
    db.session.execute(db.update(Role).where(Role.name == "admin").values(name="admin"))  # takes the lock
    db.session.expire_all()
    if not (current_user.active and current_user.is_admin):
        abort(403)
    if number == current_user.id:
        abort(409, "You cannot change your own account here. Please ask another administrator.")
    return db.get_or_404(User, number)


# Invitations


@blueprint.route("/admin/invitations", methods=["GET", "POST"])
def invite():
    """All invitations, and a form for a new one, whose link is e-mailed and shown once."""
    if request.method != "POST":  # HEAD is a GET whose page is not sent
        return _invitations(AddressForm(formdata=None))
    if current_app.extensions["settings"].registration == "closed":
        abort(409, "New accounts cannot be created: registration is closed on this site.")
    form = AddressForm()
    if not form.validate_on_submit():
        return _invitations(form), 400
    address = text_of(form.email).lower()
    if user_manager().find_address(address):
        form.email.errors = ["There is already an account with this address."]
        return _invitations(form), 409
    secret = invitations.invite(address, current_user)
    db.session.commit()
    link = url_for("user.register", invitation=secret, _external=True)
    sent = mail.send_email("invitation", address, inviter=current_user, link=link)
    return _invitations(AddressForm(formdata=None), invited=address, link=link, sent=sent)


def _invitations(form: AddressForm, **new) -> str:
    invitations_made = db.select(Invitation).order_by(Invitation.created_at.desc(), Invitation.id.desc())
    inviters = db.select(User.id, User.username).where(User.id.in_(db.select(Invitation.invited_by)))
    return render_template(
        "admin/invitations.html",
        form=form,
        page=db.paginate(invitations_made, page=page_number(), per_page=PAGE),
        inviters=dict(db.session.execute(inviters).all()),
        state=invitations.state,
        lifetime=invitations.LIFETIME,
        **new,
    )


@blueprint.post("/admin/invitations/<int:number>/revoke")
def revoke_invitation(number: int) -> Response:
    """Withdraw an unused invitation."""
    invitation = db.first_or_404(db.select(Invitation).filter_by(id=number, used_at=None))
    db.session.delete(invitation)
    db.session.commit()
    flash(f"The invitation for {invitation.email} has been withdrawn.", "success")
    return redirect(url_for("admin.invite"))


# Messages


@blueprint.get("/admin/messages")
def messages() -> str:
    """The e-mails that nobody sends, because no mail server is set."""
    if not mail.waits():
        abort(404)
    return render_template("admin/messages.html", messages=mail.outbox())


@blueprint.post("/admin/messages/<name>/delete")
def delete_message(name: str) -> Response:
    """Delete a message that was passed on."""
    if not mail.waits() or not mail.delete(name):
        abort(404)
    flash("The message has been deleted.", "success")
    return redirect(url_for("admin.messages"))


# Activity


@blueprint.get("/admin/activity")
def activity() -> str:
    """Everybody's queries, newest first; `user`, `verdict`, `from` and `to` filter them."""
    filters = {name: one_line(request.args.get(name)) for name in ("user", "verdict", "from", "to")}
    queries = _filtered(db.select(Query), filters).options(joinedload(Query.user), joinedload(Query.work))
    newest = queries.order_by(Query.created_at.desc(), Query.id)
    page = db.paginate(newest, page=page_number(), per_page=PAGE)
    verdicts = _filtered(db.select(Query.verdict, db.func.count(Query.id)), filters).group_by(Query.verdict)
    feedback = _filtered(db.select(Query.feedback, db.func.count(Query.id)), filters).group_by(Query.feedback)
    return render_template(
        "admin/activity.html",
        page=page,
        filters=filters,
        verdicts=VERDICTS,
        counts=dict(db.session.execute(verdicts).all()),
        feedback=dict(db.session.execute(feedback).all()),
    )


def _filtered(queries: Select, filters: dict[str, str]) -> Select:
    """The queries that match the filters; aborts with 400 for an invalid filter."""
    if filters["user"]:
        queries = queries.where(
            Query.user_id.in_(db.select(User.id).where(db.func.lower(User.username) == filters["user"].lower()))
        )
    if filters["verdict"]:
        if filters["verdict"] not in VERDICTS:
            abort(400, "The verdict must be found, maybe or not found.")
        queries = queries.where(Query.verdict == filters["verdict"])
    if filters["from"]:
        queries = queries.where(Query.created_at >= _midnight(filters["from"]))
    if filters["to"]:
        queries = queries.where(Query.created_at < _midnight(filters["to"], days=1))
    return queries


def _midnight(text: str, days: int = 0) -> datetime:
    """The start of a day in UTC, `days` days later."""
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days), time())
    except (ValueError, OverflowError):
        abort(400, "Dates must be written like 2026-05-03.")
