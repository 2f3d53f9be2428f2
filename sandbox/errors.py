"""The errors of the sandbox: each says what is known, and its text is for people."""


class SandboxError(Exception):
    """The root of everything that the sandbox raises on purpose."""


class SettingsError(SandboxError):
    """The machine's environment is incomplete or senseless; the text names each variable."""


class Stopped(SandboxError):
    """SIGTERM came while this was under way."""


class Unavailable(SandboxError):
    """R2 did not answer, or not usefully: nothing is known about what it holds."""


class Missing(SandboxError):
    """R2 says that there is no such object. The only proof of absence."""


class Corrupt(SandboxError):
    """A snapshot, or the pointer, is not what it should be: asking again would not help."""


class Refused(SandboxError):
    """The pointer must not be moved by this machine (generation fencing)."""


class CommandError(SandboxError):
    """A program (gt, git, dolt) is missing, failed, or took too long."""


class BackupError(SandboxError):
    """The town can't be backed up as it is; nothing was published."""
