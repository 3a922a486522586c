"""Makes Flask-User 1.0.2.2 work with current Flask, through its own extension points.

We use its views for signing in and for changing password, name and profile; web/accounts.py has ours for the rest.
"""

from hmac import compare_digest
from urllib.parse import quote, urlsplit, urlunsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, abort, flash, redirect, request, url_for
from flask_login import login_user
from flask_user import EmailManager, PasswordManager, UserManager, user_changed_password, user_logged_in
from flask_user.db_adapters import SQLDbAdapter
from flask_user.email_adapters import EmailAdapterInterface
from sqlalchemy import func, select

from database.tables import User
from web import account_forms, known_browsers, mail
from web.errors import wants_json


class DbAdapter(SQLDbAdapter):
    """Session.get in place of the legacy Query.get; equality in place of ILIKE with live wildcards."""

    def get_object(self, ObjectClass, id):
        return self.db.session.get(ObjectClass, id)

    def ifind_first_object(self, ObjectClass, **kwargs):
        if any("\0" in value for value in kwargs.values()):
            return None  # PostgreSQL refuses to compare with it
        return self.db.session.scalars(
            select(ObjectClass).where(
                *(func.lower(getattr(ObjectClass, name)) == func.lower(value) for name, value in kwargs.items())
            )
        ).first()


class Argon2PasswordManager(PasswordManager):
    """argon2-cffi directly: passlib 1.7.4 cannot load current bcrypt backends."""

    hasher = PasswordHasher()

    def hash_password(self, password):
        return self.hasher.hash(password)

    def verify_password(self, password, password_hash):
        try:
            return self.hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


class MailAdapter(EmailAdapterInterface):
    """The site's own mail, for the e-mails that Flask-User sends: that a password or a user name was changed."""

    def send_email_message(self, recipient, subject, html_message, text_message, *_sender):
        mail.send(recipient, subject, text_message, html_message)  # a failure is only logged: the change stays


class AccountManager(UserManager):
    """Flask-User with our forms and e-mails, and its vulnerabilities closed."""

    def customize(self, app: Flask) -> None:
        self.db_manager.db_adapter = DbAdapter(app, self.db)
        self.password_manager = Argon2PasswordManager(app)
        self.email_adapter = MailAdapter(app)
        self.email_manager = EmailManager(app)
        self.LoginFormClass = account_forms.SignInForm
        self.RegisterFormClass = account_forms.RegisterForm
        self.ChangePasswordFormClass = account_forms.ChangePasswordForm
        self.ChangeUsernameFormClass = account_forms.ChangeUsernameForm
        self.EditUserProfileFormClass = account_forms.NamesForm
        user_changed_password.connect(_stay_signed_in, app)

    def find_login(self, name: str) -> User | None:
        """The user with a user name or an e-mail address."""
        return self.db_manager.find_user_by_username(name) or self.find_address(name)

    def find_address(self, address: str) -> User | None:
        """The user with an e-mail address, in whatever case."""
        return self.db_manager.get_user_and_user_email_by_email(address)[0]

    def confirmation_link(self, user: User) -> str:
        return url_for("user.confirm_email", token=self.generate_token(user.id), _external=True)

    def reset_link(self, user: User) -> str:
        """Carries its purpose and part of the old password's hash, so it works once and for nothing else."""
        token = self.generate_token(user.id, "reset", user.password[-8:])
        return url_for("user.reset_password", token=token, _external=True)

    def user_to_confirm(self, token: str) -> User | None:
        """The user whose address a confirmation link confirms; None for an invalid link."""
        items = self.verify_token(token, self.USER_CONFIRM_EMAIL_EXPIRATION)
        return self.db_manager.get_user_by_id(items[0]) if items and len(items) == 1 else None

    def user_to_reset(self, token: str) -> User | None:
        """The user whose password a reset link replaces; None for an invalid link."""
        items = self.verify_token(token, self.USER_RESET_PASSWORD_EXPIRATION)
        user = self.db_manager.get_user_by_id(items[0]) if items and len(items) == 3 else None
        right = user and items[1] == "reset" and compare_digest(items[2], user.password[-8:])
        return user if right else None

    def make_safe_url(self, url):
        """Only a path on this site (CVE-2021-23401: upstream lets '////host' and backslashes through)."""
        try:
            parts = urlsplit((url or "").replace("\\", "/"))
        except ValueError:
            return "/"
        return urlunsplit(("", "", "/" + parts.path.lstrip("/"), parts.query, parts.fragment))

    def unauthenticated_view(self):
        """To the sign-in page and back again; 401 for scripts. Upstream would show the URL in a message."""
        if wants_json():
            abort(401)
        flash("Please sign in first.", "info")
        target = self.make_safe_url(request.url) if request.method == "GET" else "/"
        return redirect(url_for("user.login") + "?next=" + quote(target))

    def unauthorized_view(self):
        abort(403)

    def _do_login_user(self, user, safe_next_url, remember_me=False):
        """Sign in a user who has given the password, or followed an e-mailed link."""
        if not user.active:
            flash("This account has been disabled. Please ask an administrator of this site.", "error")
            return redirect(url_for("user.login"))
        if not user.email_confirmed_at:
            link = (
                "An administrator of this site will pass on the link that confirms it. You can ask for it here."
                if mail.waits()
                else "Please follow the link in the e-mail that we sent you. You can request a new e-mail here."
            )
            flash(f"Your e-mail address is not confirmed yet. {link}", "error")
            return redirect(url_for("user.resend_email_confirmation"))
        login_user(user, remember=remember_me)
        known_browsers.remember(user)
        user_logged_in.send(self.app, user=user)
        return redirect(safe_next_url)


def _stay_signed_in(_app, user) -> None:
    """A new password ends every session of the user except the one that set it."""
    login_user(user._get_current_object(), remember="remember_token" in request.cookies)
