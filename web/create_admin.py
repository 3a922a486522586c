"""`python app.py create_admin`: creates the first administrator, who can appoint others on the site."""

import secrets
import sys
from getpass import getpass

from database.tables import Role, User, db, now
from utils.errors import WrongUse
from web.account_forms import address_problem, name_problem, password_problem
from web.command_line import Command, Option
from web.users import user_manager


class CreateAdmin(Command):
    """Create an administrator; prompts for missing arguments, and for the password.

    If there is already an administrator of this name, it says so and changes nothing.
    """

    help = "Create an administrator; asks for user name, e-mail address and password."
    option_list = (
        Option("name", nargs="?", metavar="NAME", help="user name; prompts if missing"),
        Option("email", nargs="?", metavar="EMAIL", help="e-mail address; prompts if missing"),
        Option("--password-from-stdin", action="store_true", help="read the password from the first line of input"),
        Option("--random-password", action="store_true", help="generate a password and print it once"),
    )

    def run(self, name: str | None, email: str | None, password_from_stdin: bool, random_password: bool) -> None:
        """Raises WrongUse for an invalid name, address or password, and if name or address are taken."""
        if password_from_stdin and random_password:
            raise WrongUse("Choose one of --password-from-stdin and --random-password.")
        name = _checked(name or _ask("User name: "), name_problem)
        if _exists(name):
            print(f"There is already an administrator named {name}.")
            return
        email = _checked(email or _ask("E-mail address: "), address_problem).lower()
        if user_manager().find_address(email):
            raise WrongUse(f"There is already an account with the address {email}.")
        if random_password:
            password = secrets.token_urlsafe(12)
        else:
            password = sys.stdin.readline().rstrip("\n") if password_from_stdin else _ask_password()
        if problem := password_problem(password, name, email):
            raise WrongUse(problem)
        add_admin(name, email, password)
        print(f"Administrator {name} has been created.")
        if random_password:
            print(f"Password (it will not be shown again): {password}")


def add_admin(name: str, email: str, password: str) -> None:
    """Create a user with the role "admin" and a confirmed e-mail address."""
    hashed = user_manager().hash_password(password)
    db.session.add(User(username=name, email=email, email_confirmed_at=now(), password=hashed, roles=[admin_role()]))
    db.session.commit()


def admin_role() -> Role:
    """The role "admin"; the first time, a new row (not committed)."""
    return db.session.scalar(db.select(Role).filter_by(name="admin")) or Role(name="admin")


def _exists(name: str) -> bool:
    user = user_manager().db_manager.find_user_by_username(name)
    if user and not user.is_admin:
        raise WrongUse(f"There is already an account named {name}, which is not an administrator. Choose another name.")
    return user is not None


def _checked(text: str, problem_of) -> str:
    if problem := problem_of(text):
        raise WrongUse(f"{text!r} is not valid. {problem}")
    return text


def _ask(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        print()
        raise WrongUse("Give NAME and EMAIL on the command line when there is no terminal to prompt on.") from None


def _ask_password() -> str:
    if not sys.stdin.isatty():
        raise WrongUse(
            "There is no terminal to prompt for the password: use --password-from-stdin or --random-password."
        )
    password = getpass("Password (10 characters or more): ")
    if getpass("Repeat the password: ") != password:
        raise WrongUse("The two passwords do not match.")
    return password
