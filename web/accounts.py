"""Accounts: registering, signing in and out, passwords, the profile with its API tokens.

The URLs are Flask-User's; where its views would reveal too much to strangers, or break, ours replace them.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import logout_user
from flask_user import current_user, login_required
from sqlalchemy.exc import IntegrityError
from werkzeug import Response

from database.tables import EndedSession, Invitation, Query, Token, User, db, now
from web import invitations, known_browsers, mail
from web.account_forms import AddressForm, ConfirmForm, NewPasswordForm, RegisterForm, TokenForm, one_line, text_of
from web.create_admin import CreateAdmin
from web.flask_user_fixes import AccountManager
from web.security import limiter
from web.users import user_manager

MAX_TOKENS = 20  # per person
TOKEN_USE = timedelta(minutes=1)  # precision of the stored time of a token's last use
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # browsers keep Secure cookies of these even over http

# Rate limits; several people may share an IP address, as in a museum.
SIGN_IN = "30 per minute; 300 per hour"  # from one address
WRONG_PASSWORDS = "10 per 15 minutes"  # for one account, from anywhere
REGISTER = "30 per hour"
EMAILS = "30 per hour"  # requested from one IP address
EMAILS_TO = "5 per hour"  # to one e-mail address
PASSWORD = "10 per 15 minutes"  # attempts of somebody who is signed in

blueprint = Blueprint("accounts", __name__)


def init_app(app: Flask) -> None:
    settings = app.extensions["settings"]
    app.config.from_mapping(
        USER_APP_NAME=settings.title,
        USER_EMAIL_SENDER_EMAIL=settings.mail_sender,
        USER_USER_SESSION_EXPIRATION=0,  # else every visitor would get a cookie; database/tables.py minds the age
        USER_AFTER_CHANGE_PASSWORD_ENDPOINT="accounts.profile",
        USER_AFTER_CHANGE_USERNAME_ENDPOINT="accounts.profile",
        USER_AFTER_EDIT_USER_PROFILE_ENDPOINT="accounts.profile",
        REMEMBER_COOKIE_DURATION=app.config["PERMANENT_SESSION_LIFETIME"],
    )
    mail.init_app(app)
    AccountManager(app, db, User)
    app.add_url_rule("/user/confirm-email/<token>", "user.confirm_email", methods=["POST"])  # there it is for GET only
    app.view_functions |= {
        "user.login": sign_in,
        "user.logout": sign_out,
        "user.register": register,
        "user.confirm_email": confirm_address,
        "user.resend_email_confirmation": resend_confirmation,
        "user.forgot_password": forgot_password,
        "user.reset_password": reset_password,
        "user.change_password": change_password,
        "user.change_username": change_username,
        "user.edit_user_profile": change_names,
    }
    app.register_blueprint(blueprint)


def add_commands(manager) -> None:
    """Adds the commands of this room to app.py."""
    manager.add_command("create_admin", CreateAdmin())


@blueprint.app_template_filter("day")
def day(time: datetime) -> str:
    """A date as people read it: 3 May 2026."""
    return f"{time.day} {time:%B %Y}"


@blueprint.app_template_global()
def cookies_are_lost() -> bool:
    """Whether this browser will discard our cookies: they are Secure, but the page was loaded over plain http."""
    elsewhere = urlsplit(f"//{request.host}").hostname not in LOOPBACK
    return current_app.config["SESSION_COOKIE_SECURE"] and not request.is_secure and elsewhere


def _sent_form(page):
    """A view's response; with status 400 if it shows the form again because the input was refused."""
    return (page, 400) if request.method == "POST" and isinstance(page, str) else page


def _account() -> str:
    """The account that somebody tries to sign in to, by user name or e-mail address.

    A browser in which its owner has signed in before counts apart: wrong passwords from elsewhere lock nobody out.
    """
    name = one_line(request.form.get("username"))
    user = user_manager().find_login(name)
    if user and (browser := known_browsers.known(user)):
        return f"user {user.id} in browser {browser}"
    return f"user {user.id}" if user else f"name {name[:100].lower()}"


def _typed_address() -> str:
    return one_line(request.form.get("email"))[:255].lower() or "none"


# Signing in and out


@limiter.limit(SIGN_IN, methods=["POST"])
@limiter.limit(
    WRONG_PASSWORDS, key_func=_account, methods=["POST"], deduct_when=lambda answer: answer.status_code == 400
)
def sign_in():
    """Flask-User's sign-in; only wrong passwords count against an account."""
    return _sent_form(user_manager().login_view())


def sign_out():
    """By POST only: a link or a picture on another site must not end a session. GET shows a button."""
    if not current_user.is_authenticated:
        return redirect(url_for("search.start"))
    if request.method != "POST":
        return render_template("flask_user/sign_out.html")
    _end_session()
    logout_user()
    for key in [key for key in session if key != "_remember"]:  # Flask-Login's order to delete its cookie must stay
        session.pop(key)
    flash("You have signed out.", "success")
    return redirect(url_for("search.start"))


def _end_session() -> None:
    """No copy of this session's cookies lets anybody in from now on; what has expired anyway is forgotten."""
    lifetime = current_app.config["PERMANENT_SESSION_LIFETIME"]
    db.session.execute(db.delete(EndedSession).where(EndedSession.ended_at < now() - lifetime))
    db.session.merge(EndedSession(digest=EndedSession.digest_of(session.get("_user_id", ""))))
    db.session.commit()


# Registering


@limiter.limit(REGISTER, methods=["POST"])
def register():
    """A new account. The response does not reveal whether the address already has one; the e-mail to it does."""
    if current_user.is_authenticated:
        return redirect(url_for("accounts.profile"))
    invitation = _invitation()
    form = RegisterForm()
    if invitation:
        form.email.data = invitation.email
    if not form.validate_on_submit():
        return _sent_form(render_template("flask_user/register.html", form=form, invitation=invitation))
    hashed = user_manager().hash_password(form.password.data)  # for a taken address too, so that it takes as long
    user = User(username=form.username.data, email=text_of(form.email).lower(), password=hashed)
    if invitation:
        return _accept(invitation, user)
    owner = user_manager().find_address(user.email)
    if owner:
        sent = mail.send_email(
            "already_registered", owner.email, user=owner, link=url_for("user.forgot_password", _external=True)
        )
    else:
        _add(user)
        link = user_manager().confirmation_link(user)
        sent = mail.send_email("confirm_email", user.email, user=user, link=link)
    return _check_your_mail(text_of(form.email), sent)


def _invitation() -> Invitation | None:
    """The invitation named in the URL; aborts if registration is not possible."""
    registration, secret = current_app.extensions["settings"].registration, request.args.get("invitation")
    if registration == "closed":
        abort(403, "New accounts cannot be created on this site.")
    if secret is None:
        if registration == "invitation":
            abort(403, "Accounts are by invitation only. Please ask an administrator of this site for an invitation.")
        return None
    invitation = invitations.find(secret)
    if invitation is None:
        abort(404, "This invitation is not valid or has already been used. Please ask for a new one.")
    return invitation


def _add(user: User) -> None:
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409, "Somebody else has just taken this user name. Please go back and choose another one.")


def _accept(invitation: Invitation, user: User) -> Response:
    """Create an invited account. An administrator vouches for the address, so it needs no confirmation."""
    if user_manager().find_address(invitation.email) or not invitations.use_up(invitation):
        db.session.rollback()
        abort(409, "This invitation has already been used. Please sign in.")
    user.email_confirmed_at = now()
    _add(user)
    flash("Welcome. Your account is ready.", "success")
    return user_manager()._do_login_user(user, url_for("search.start"))


def _check_your_mail(address: str, sent: bool) -> Response:
    if sent and mail.waits():
        flash(
            f"Almost done: this site sends no e-mail. An administrator will pass on the link that confirms {address}.",
            "success",
        )
        return redirect(url_for("user.login"))
    if sent:
        flash(f"Almost done: please follow the link in the e-mail we have sent to {address}.", "success")
        return redirect(url_for("user.login"))
    flash(
        f"The e-mail to {address} could not be sent just now. Please request it again here in a few minutes.",
        "warning",
    )
    return redirect(url_for("user.resend_email_confirmation"))


@limiter.limit(PASSWORD, methods=["POST"])
def confirm_address(token: str):
    """The link in the e-mail: with the password of the account it confirms the address, and signs in once.

    Without the password somebody could register with another person's address, and wait until that person clicks.
    """
    users = user_manager()
    user = users.user_to_confirm(token)
    if user is None:
        return _to_sign_in("This confirmation link is not valid or has expired. You can request a new one.")
    if user.email_confirmed_at:
        return _to_sign_in("Your e-mail address is already confirmed. Please sign in.", "info")
    form = ConfirmForm()
    form.user = user
    if not form.validate_on_submit():
        return _sent_form(render_template("flask_user/confirm_email.html", form=form))
    user.email_confirmed_at = now()
    db.session.commit()
    flash("Thank you, your e-mail address is confirmed.", "success")
    return users._do_login_user(user, url_for("search.start"))


def _to_sign_in(sentence: str, category: str = "error") -> Response:
    flash(sentence, category)
    return redirect(url_for("user.login"))


@limiter.limit(EMAILS, methods=["POST"])
@limiter.limit(EMAILS_TO, key_func=_typed_address, methods=["POST"])
def resend_confirmation():
    """Send the e-mail again; the response is the same for every address, and takes as long."""
    form = AddressForm()
    if not form.validate_on_submit():
        return _sent_form(render_template("flask_user/resend_confirm_email.html", form=form))
    mail.later(_send_confirmation_link, text_of(form.email))
    return _to_sign_in(
        f"If an account with the address {form.email.data} still has to be confirmed, {_on_its_way()}.",
        "success",
    )


def _on_its_way() -> str:
    if mail.waits():
        return "an administrator of this site has the link now, and will pass it on"
    return "an e-mail with a link is on its way"


def _send_confirmation_link(address: str) -> None:
    users = user_manager()
    user = users.find_address(address)
    if user and not user.email_confirmed_at:
        mail.send_email("confirm_email", user.email, user=user, link=users.confirmation_link(user))


# Passwords


@limiter.limit(EMAILS, methods=["POST"])
@limiter.limit(EMAILS_TO, key_func=_typed_address, methods=["POST"])
def forgot_password():
    """E-mail a link that sets a new password; the response is the same for every address, and takes as long."""
    form = AddressForm()
    if not form.validate_on_submit():
        return _sent_form(render_template("flask_user/forgot_password.html", form=form))
    mail.later(_send_reset_link, text_of(form.email))
    return _to_sign_in(
        f"If there is an account with the address {form.email.data}, {_on_its_way()}.",
        "success",
    )


def _send_reset_link(address: str) -> None:
    users = user_manager()
    user = users.find_address(address)
    if user and user.active:
        mail.send_email("reset_password", user.email, user=user, link=users.reset_link(user))


def reset_password(token: str):
    """The link in that e-mail; following it also proves that the address is the person's own."""
    users = user_manager()
    user = users.user_to_reset(token)
    if user is None:
        return _to_sign_in("This link is not valid or has already been used. You can request a new one.")
    form = NewPasswordForm()
    form.user = user
    if not form.validate_on_submit():
        return _sent_form(render_template("flask_user/reset_password.html", form=form))
    user.password = users.hash_password(form.new_password.data)
    if form.end_tokens.data:
        end_tokens(user)
    user.email_confirmed_at = user.email_confirmed_at or now()
    db.session.commit()
    users.email_manager.send_password_changed_email(user)
    flash("Your password has been changed.", "success")
    return users._do_login_user(user, url_for("search.start"))


def end_tokens(user: User) -> None:
    """Revoke all API tokens of a user (not committed)."""
    db.session.execute(db.delete(Token).where(Token.user_id == user.id))


@limiter.limit(PASSWORD, methods=["POST"])
def change_password():
    answer = user_manager().change_password_view()
    if not isinstance(answer, str) and request.form.get("end_tokens"):
        end_tokens(current_user)
        db.session.commit()
    return _sent_form(answer)


@limiter.limit(PASSWORD, methods=["POST"])
def change_username():
    try:
        return _sent_form(user_manager().change_username_view())
    except IntegrityError:
        db.session.rollback()
        abort(409, "Somebody else has just taken this user name. Please go back and choose another one.")


def change_names():
    return _sent_form(user_manager().edit_user_profile_view())


# The profile


@blueprint.get("/profile")
@login_required
def profile() -> str:
    """One's own account."""
    return _profile(TokenForm(formdata=None))


def _profile(form: TokenForm, new_token: str = "") -> str:
    tokens = db.session.scalars(db.select(Token).filter_by(user_id=current_user.id).order_by(Token.id.desc())).all()
    asked = db.session.scalar(db.select(db.func.count(Query.id)).filter_by(user_id=current_user.id))
    return render_template("accounts/profile.html", form=form, tokens=tokens, new_token=new_token, asked=asked)


@blueprint.post("/profile/tokens")
@login_required
@limiter.limit("30 per hour")
def make_token():
    """Create an API token; only this response ever shows it."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _profile(form), 400
    if db.session.scalar(db.select(db.func.count(Token.id)).filter_by(user_id=current_user.id)) >= MAX_TOKENS:
        abort(409, f"You already have {MAX_TOKENS} tokens. Please revoke one that you no longer use.")
    text = secrets.token_urlsafe(32)
    db.session.add(Token(user_id=current_user.id, name=form.name.data, digest=_digest(text)))
    db.session.commit()
    return _profile(TokenForm(formdata=None), text)


@blueprint.post("/profile/tokens/<int:number>/revoke")
@login_required
def revoke_token(number: int) -> Response:
    """Revoke one of one's own API tokens."""
    token = db.first_or_404(db.select(Token).filter_by(id=number, user_id=current_user.id))
    db.session.delete(token)
    db.session.commit()
    flash(f"The token “{token.name}” has been revoked.", "success")
    return redirect(url_for("accounts.profile"))


def user_of_token(text: str) -> User | None:
    """The user to whom an API token belongs; None for an unknown token, a disabled or an unconfirmed user.

    It always takes one hash and one index lookup, so that the time reveals nothing about existing tokens.
    """
    token = db.session.scalar(db.select(Token).filter_by(digest=_digest(text)))
    if token is None or not token.user.active or not token.user.email_confirmed_at:
        return None
    if token.used_at is None or now() - token.used_at > TOKEN_USE:
        token.used_at = now()
        db.session.commit()
    return token.user


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
