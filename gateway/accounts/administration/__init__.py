"""Administration of accounts, for the command line, imports and the demo."""

from gateway.accounts.administration.changes import Changes, Rejected
from gateway.accounts.administration.organizations import Organizations
from gateway.accounts.administration.partnerships import Partnerships
from gateway.accounts.administration.tokens import Tokens
from gateway.accounts.administration.users import Users

__all__ = ["Administration", "Rejected"]


class Administration:
    """Reads and changes accounts within the transaction of `changes`.

    `create` rejects what exists already; `ensure` creates or updates; `set_active` activates or deactivates. A `user`
    is an id or an e-mail address. Every method can raise `Rejected`, whose message is a sentence for the user.
    """

    def __init__(self, changes: Changes, token_secret: bytes) -> None:
        self.organizations = Organizations(changes)
        self.users = Users(changes, self.organizations)
        self.partnerships = Partnerships(changes, self.organizations)
        self.tokens = Tokens(changes, self.users, token_secret)
