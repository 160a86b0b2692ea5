"""Changing the account store: what the command line, imports and the demo do, one transaction at a time."""

from gateway.accounts.administration.changes import Changes, Refused
from gateway.accounts.administration.organizations import Organizations
from gateway.accounts.administration.partnerships import Partnerships
from gateway.accounts.administration.tokens import Tokens
from gateway.accounts.administration.users import Users

__all__ = ["Administration", "Refused"]


class Administration:
    """Reads and changes accounts within one transaction, which whoever made this ends.

    Each part can `create` (refuses what exists already), `ensure` (brings it to the given state, new or not), list
    and `set_active`. A `user` is named by id or e-mail address. Every method raises `Refused`, whose text is a
    sentence for the person who asked.
    """

    def __init__(self, changes: Changes, token_secret: bytes) -> None:
        self.organizations = Organizations(changes)
        self.users = Users(changes, self.organizations)
        self.partnerships = Partnerships(changes, self.organizations)
        self.tokens = Tokens(changes, self.users, token_secret)
