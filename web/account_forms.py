"""The forms of accounts, with their limits and error messages."""

import email_validator
from flask_user import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, StringField, ValidationError
from wtforms.validators import DataRequired, EqualTo, Length

from database.tables import User
from web.users import user_manager

MIN_PASSWORD, MAX_PASSWORD = 10, 200  # characters
MIN_NAME, MAX_NAME = 3, 50
NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")
WRONG_SIGN_IN = "The user name, e-mail address or password is wrong."
WRONG_PASSWORD = "This is not your current password."

for _domain in ("local", "localhost"):  # as the library's README says: addresses of a house's own network are real here
    if _domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_domain)


def name_problem(name: str) -> str | None:
    """What is wrong with a user name, in one sentence. A valid one never looks like an e-mail address: it has no @."""
    if not MIN_NAME <= len(name) <= MAX_NAME:
        return f"A user name must have {MIN_NAME} to {MAX_NAME} characters."
    if not NAME_LETTERS.issuperset(name):
        return "A user name may contain only the letters a to z, digits, hyphens, dots and underscores."
    return None


def address_problem(address: str) -> str | None:
    """What is wrong with an e-mail address, in one sentence."""
    try:
        email_validator.validate_email(
            address, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        return "This is not a valid e-mail address."
    return None


def password_problem(password: str, *known: str) -> str | None:
    """What is wrong with a new password, in one sentence. known: user name and address, which anybody could guess."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"A password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters."
    if password.lower() in {text.lower() for text in known}:
        return "Please choose a password that is neither your user name nor your e-mail address."
    return None


def one_line(text: str | None) -> str:
    """Typed text without unprintable characters and surrounding space."""
    return "".join(letter for letter in text or "" if letter.isprintable()).strip()


def text_of(field: StringField) -> str:
    """The text of a field; empty if it was not sent."""
    return field.data or ""


def _free_name(_form: FlaskForm, field: StringField) -> None:
    problem = name_problem(text_of(field))
    if not problem and not user_manager().db_manager.username_is_available(field.data):
        problem = "This user name is taken. Please choose another one."
    if problem:
        raise ValidationError(problem)


def _address(_form: FlaskForm, field: StringField) -> None:
    if problem := address_problem(text_of(field)):
        raise ValidationError(problem)


def _refuse(problem: str | None) -> None:
    if problem:
        raise ValidationError(problem)


def _present_password(_form: FlaskForm, field: PasswordField) -> None:
    if not user_manager().verify_password(field.data, current_user.password):
        raise ValidationError(WRONG_PASSWORD)


def _required(sentence: str) -> list:
    return [DataRequired(sentence)]


class SignInForm(FlaskForm):
    """Sign in by user name or e-mail address."""

    next, reg_next = HiddenField(), HiddenField()
    username = StringField(
        "User name or e-mail address", _required("Please enter your user name or e-mail address."), filters=[one_line]
    )
    password = PasswordField(
        "Password",
        [*_required("Please enter your password."), Length(max=MAX_PASSWORD, message=WRONG_SIGN_IN)],
    )
    remember_me = BooleanField("Keep me signed in for 30 days")

    def validate(self, extra_validators=None) -> bool:
        """An unknown name costs one hash, like a known one, so that the response time reveals nothing."""
        if not super().validate(extra_validators):
            return False
        users = user_manager()
        user = users.find_login(text_of(self.username))
        if user and users.verify_password(self.password.data, user.password):
            return True
        if not user:
            users.hash_password(self.password.data)
        self.password.errors = [WRONG_SIGN_IN]
        return False


class RegisterForm(FlaskForm):
    """A new account."""

    next, reg_next = HiddenField(), HiddenField()  # Flask-User's sign-in page sets them
    username = StringField("User name", [*_required("Please choose a user name."), _free_name], filters=[one_line])
    email = StringField(
        "E-mail address", [*_required("Please enter your e-mail address."), _address], filters=[one_line]
    )
    password = PasswordField("Password", _required("Please choose a password."))
    retype_password = PasswordField("Repeat the password", [EqualTo("password", "The two passwords do not match.")])

    def validate_password(self, field: PasswordField) -> None:
        _refuse(password_problem(text_of(field), text_of(self.username), text_of(self.email)))


class AddressForm(FlaskForm):
    """An e-mail address to write to."""

    email = StringField(
        "E-mail address", [*_required("Please enter your e-mail address."), _address], filters=[one_line]
    )


class ConfirmForm(FlaskForm):
    """The password of `user`, who wants to confirm an address: the link alone could be anybody's account."""

    password = PasswordField("Password", _required("Please enter your password."))
    user: User

    def validate_password(self, field: PasswordField) -> None:
        if not user_manager().verify_password(text_of(field), self.user.password):
            raise ValidationError("This is not the password of this account.")


class NewPasswordForm(FlaskForm):
    """A new password, for `user`."""

    new_password = PasswordField("New password", _required("Please choose a new password."))
    retype_password = PasswordField(
        "Repeat the new password", [EqualTo("new_password", "The two passwords do not match.")]
    )
    end_tokens = BooleanField("End my API tokens too, so that programs need new ones")
    user = current_user

    def validate_new_password(self, field: PasswordField) -> None:
        _refuse(password_problem(text_of(field), self.user.username, self.user.email))


class ChangePasswordForm(NewPasswordForm):
    old_password = PasswordField(
        "Current password", [*_required("Please enter your current password."), _present_password]
    )


class ChangeUsernameForm(FlaskForm):
    new_username = StringField(
        "New user name", [*_required("Please choose a user name."), _free_name], filters=[one_line]
    )
    old_password = PasswordField("Password", [*_required("Please enter your current password."), _present_password])


class NamesForm(FlaskForm):
    """A person's real name; both parts may be empty."""

    first_name = StringField("First name", [Length(max=100)], filters=[one_line])
    last_name = StringField("Last name", [Length(max=100)], filters=[one_line])


class TokenForm(FlaskForm):
    """An API token."""

    name = StringField(
        "What is it for?",
        [
            *_required("Please say what the token is for."),
            Length(max=100, message="Please use at most 100 characters."),
        ],
        filters=[one_line],
    )
