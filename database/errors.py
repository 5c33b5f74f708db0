"""What can go wrong with the memory, each with its remedy in the message; the docstrings say what the desk does."""


class DatabaseError(Exception):
    """Root. An entry point prints it and exits non-zero; the cockpit shows it instead of a page."""


class DatabaseUnavailable(DatabaseError):
    """It cannot be reached, read or written just now. Streams go through the circuit breaker; nothing is sent."""


class UnreadableDatabase(DatabaseError):
    """The file or database is not a desk's memory, or its place does not exist. The process refuses to start."""


class NewerDatabase(DatabaseError):
    """A newer version of the desk has migrated it. This version refuses to touch it."""


class WrongDesk(DatabaseError):
    """It belongs to another mode, account or venue: one database is one desk. The process refuses to start."""


class NotDurable(DatabaseError):
    """The connection does not force commits to disk although it must. Nothing may be approved, claimed or sent."""


class UnusableFolder(DatabaseError):
    """The desk's own folder cannot be made or written. The process refuses to start."""


class KeyFileError(DatabaseError):
    """The signing key is unreadable, malformed, or readable by others. Nothing may be signed."""


class DecisionRefused(DatabaseError):
    """A decision that came too late or does not fit what is stored. Nothing changed; the page shows the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
