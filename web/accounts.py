"""Accounts: Flask-User 1.0.2.2 with its faults closed, the profile and its tokens."""

from hmac import compare_digest
from urllib.parse import urlsplit, urlunsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, Flask, current_app, flash, redirect, render_template, url_for
from flask_login import login_user
from flask_mail import Message
from flask_user import EmailManager, PasswordManager, UserManager, login_required, user_changed_password
from flask_user.db_adapters import SQLDbAdapter
from flask_user.email_adapters import EmailAdapterInterface
from flask_user.forms import LoginForm
from sqlalchemy import func, select

from database.tables import User, db

blueprint = Blueprint("accounts", __name__)


def init_app(app: Flask) -> None:
    settings = app.extensions["settings"]
    app.config.setdefault("USER_APP_NAME", settings.title)
    app.config.setdefault("USER_EMAIL_SENDER_EMAIL", settings.mail_sender)
    app.config.setdefault("USER_USER_SESSION_EXPIRATION", 0)
    AccountManager(app, db, User)
    app.register_blueprint(blueprint)


def add_commands(manager) -> None:
    """What app.py can do about it on the command line."""


class DbAdapter(SQLDbAdapter):
    """Session.get in place of the legacy Query.get; equality in place of ILIKE with live wildcards."""

    def get_object(self, ObjectClass, id):
        return self.db.session.get(ObjectClass, id)

    def ifind_first_object(self, ObjectClass, **kwargs):
        return self.db.session.scalars(
            select(ObjectClass).where(
                *(func.lower(getattr(ObjectClass, name)) == func.lower(value) for name, value in kwargs.items())
            )
        ).first()


class Argon2PasswordManager(PasswordManager):
    """argon2-cffi itself: passlib 1.7.4 cannot load the bcrypt backend of today."""

    hasher = PasswordHasher()

    def hash_password(self, password):
        return self.hasher.hash(password)

    def verify_password(self, password, password_hash):
        try:
            return self.hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


class MailAdapter(EmailAdapterInterface):
    """The site's own Flask-Mail."""

    def send_email_message(self, recipient, subject, html_message, text_message, sender_email, sender_name):
        current_app.extensions["mail"].send(
            Message(subject, [recipient], body=text_message, html=html_message, sender=(sender_name, sender_email))
        )


class AccountEmailManager(EmailManager):
    def send_reset_password_email(self, user, user_email):
        """The link names its purpose and the password it replaces, so it serves once and for nothing else."""
        token = self.user_manager.generate_token(user.id, "reset", user.password[-8:])
        self._render_and_send_email(
            user_email.email,
            user,
            self.user_manager.USER_RESET_PASSWORD_EMAIL_TEMPLATE,
            reset_password_link=url_for("user.reset_password", token=token, _external=True),
        )


def _stay_signed_in(app, user):
    """A new password ends every session of the user; the one that set it goes on."""
    login_user(user._get_current_object())


class AccountLoginForm(LoginForm):
    """An unknown name costs one hash like a known one, so that the time tells nothing."""

    def validate(self, extra_validators=None):
        valid, users = super().validate(), current_app.user_manager
        if not valid and self.password.data and not users.find_login(self.username.data or ""):
            users.hash_password(self.password.data)
        return valid


class AccountManager(UserManager):
    def customize(self, app):
        self.LoginFormClass = AccountLoginForm
        user_changed_password.connect(_stay_signed_in, app)
        self.db_manager.db_adapter = DbAdapter(app, self.db)
        self.password_manager = Argon2PasswordManager(app)
        self.email_adapter = MailAdapter(app)
        self.email_manager = AccountEmailManager(app)

    def find_login(self, name):
        return self.db_manager.find_user_by_username(name) or self.db_manager.get_user_and_user_email_by_email(name)[0]

    def make_safe_url(self, url):
        """Only a path on this site (CVE-2021-23401: upstream lets '////host' and backslashes through)."""
        try:
            parts = urlsplit((url or "").replace("\\", "/"))
        except ValueError:
            return "/"
        return urlunsplit(("", "", "/" + parts.path.lstrip("/"), parts.query, parts.fragment))

    def _refuse(self, message):
        flash(message, "error")
        return redirect(url_for("user.login"))

    def confirm_email_view(self, token):
        items = self.verify_token(token, self.USER_CONFIRM_EMAIL_EXPIRATION)
        if items and len(items) == 1:
            return super().confirm_email_view(token)
        return self._refuse("Invalid confirmation token.")

    def reset_password_view(self, token):
        items = self.verify_token(token, self.USER_RESET_PASSWORD_EXPIRATION)
        user = self.db_manager.get_user_by_id(items[0]) if items and len(items) == 3 else None
        if user and items[1] == "reset" and compare_digest(items[2], user.password[-8:]):
            return super().reset_password_view(token)
        return self._refuse("Your reset password token is invalid.")


@blueprint.get("/profile")
@login_required
def profile() -> str:
    """One's own account."""
    return render_template("accounts/profile.html")
