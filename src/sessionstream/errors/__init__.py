"""Every error that sessionstream raises, in one tree.

::

    SessionStreamError
    ├── InvalidArgument (ValueError)          bad input; nothing was written
    │   ├── InvalidType (TypeError)
    │   ├── InvalidData                       a value that JSON would change; `.path` names it
    │   ├── TooLarge                          past a limit of the settings
    │   ├── CursorMismatch                    a cursor of another namespace or partition count
    │   ├── UnknownPosition                   a position past the end, or of another past; `.last` is the end
    │   ├── InvalidImportLine                 `.line` names it; the other lines go in
    │   ├── SealKeyMissing                    no key to make or verify seals with
    │   ├── InvalidAnchor                     no anchor of this namespace, or an altered one
    │   └── InvalidEvidence                   a file that is no evidence
    ├── SessionNotFound (ValueError)          no such session
    │   └── SessionEnded                      deleted, expired or erased; `.reason` says which
    ├── SessionExists (ValueError)            the id is in use, or ended and still kept
    ├── CheckpointExists (ValueError)         the checkpoint id is in use
    ├── SessionArchived                       an archived session takes no runtime events
    ├── NotPermittedInPhase                   the event's type may not be appended now
    ├── AccessDenied (PermissionError)        the session belongs to somebody else
    ├── SessionHeld                           a hold stands, so nothing of it is removed; `.reasons` says why
    │   └── SessionsHeld                      of many; `.held` names them, the others were deleted
    ├── ArchiveDamaged                        a file of an archive is not what was written; `.path` names it
    ├── ArchiveFailed                         an archive could not be written; nothing was trimmed
    ├── ConflictError                         somebody else changed it first; `.actual` is the version now
    ├── IdempotencyConflict (ValueError)      the key was used with another payload
    ├── LockError
    │   ├── LockTimeout (TimeoutError)        not acquired in time
    │   ├── LockLost                          the lease went to somebody else, or ran out
    │   ├── LockNotHeld                       released by somebody who does not hold it
    │   └── LockReentered (RuntimeError)      the same task asked for it twice
    ├── ConsumerError
    │   ├── GroupNotFound (ValueError)        no such consumer group
    │   ├── MemberExists (ValueError)         another process lives under that name in the group
    │   ├── LeaseLost                         the partition went to another member
    │   ├── NotProjected (TimeoutError)       not in the view in time
    │   └── ProjectionReplaced                another version of the projection is in use
    ├── FollowingError                        going on would pass over something
    │   ├── FeedTrimmed                       the feed is not kept so far back; `.first` is where it is whole
    │   ├── HistoryTrimmed                    events of a session are gone; `.first` is what is kept
    │   │   └── HistoryErased                 they were erased
    │   └── FollowerTooSlow                   dropped as it chose; go on from `.position`
    ├── EventTypeError (TypeError)            a wrong declaration of an event type or upcaster
    ├── CorruptEvent                          a stream entry that does not decode; `.offset` names it
    ├── CorruptRecord                         what is kept beside the events does not read; `.what` names it
    ├── IntegrityError                        a session is not sealed any further
    │   ├── HistoryAltered                    what is to be sealed is not what was appended; `.offset` says where
    │   └── SealKeyUnknown                    the last seal was made with a key that is not here; `.key_id` names it
    ├── EncryptionError                       `.user_id` and `.key_id` name the key
    │   ├── KeyUnavailable                    the key cannot be had here or now
    │   └── KeyDestroyed                      it was destroyed, and what it has encrypted with it
    ├── NamespaceMismatch                     the namespace was made with other settings
    ├── Unavailable (ConnectionError)         nothing was written; try again later
    │   ├── ServerLoading                     it is still loading its data
    │   ├── ServerReadOnly                    it is a replica, or refuses writes
    │   ├── ServerOutOfMemory (MemoryError)
    │   ├── AuthenticationFailed (PermissionError)
    │   ├── CertificateRefused (PermissionError)   of the server or of this side; `.reason` is OpenSSL's word
    │   ├── UnsafeEviction                    its eviction policy would drop keys
    │   ├── DurabilityUnavailable             it keeps less than was asked for; `.wanted`, `.found`
    │   └── EmbeddedUnavailable               the embedded server cannot be started
    ├── OutcomeUnknown (ConnectionError, TimeoutError)   sent, and no answer before the deadline
    │   └── NotReplicated                     the primary has it, too few replicas; `.reached` is how many
    └── ServerError                           the server refused a command; `.code` is its word
"""

from __future__ import annotations

from sessionstream.errors.arguments import (
    EventTypeError,
    InvalidArgument,
    InvalidData,
    InvalidImportLine,
    InvalidType,
    TooLarge,
)
from sessionstream.errors.consuming import (
    ConsumerError,
    GroupNotFound,
    LeaseLost,
    MemberExists,
    NotProjected,
    ProjectionReplaced,
)
from sessionstream.errors.encryption import EncryptionError, KeyDestroyed, KeyUnavailable
from sessionstream.errors.following import (
    CursorMismatch,
    FeedTrimmed,
    FollowerTooSlow,
    FollowingError,
    HistoryErased,
    HistoryTrimmed,
    UnknownPosition,
)
from sessionstream.errors.integrity import (
    HistoryAltered,
    IntegrityError,
    InvalidAnchor,
    InvalidEvidence,
    SealKeyMissing,
    SealKeyUnknown,
)
from sessionstream.errors.locks import (
    LockError,
    LockLost,
    LockNotHeld,
    LockReentered,
    LockTimeout,
)
from sessionstream.errors.retention import ArchiveDamaged, ArchiveFailed, SessionHeld, SessionsHeld
from sessionstream.errors.root import SessionStreamError
from sessionstream.errors.server import (
    AuthenticationFailed,
    CertificateRefused,
    DurabilityUnavailable,
    EmbeddedUnavailable,
    NotReplicated,
    OutcomeUnknown,
    ServerError,
    ServerLoading,
    ServerOutOfMemory,
    ServerReadOnly,
    Unavailable,
    UnsafeEviction,
)
from sessionstream.errors.sessions import (
    AccessDenied,
    CheckpointExists,
    ConflictError,
    CorruptEvent,
    CorruptRecord,
    IdempotencyConflict,
    NamespaceMismatch,
    NotPermittedInPhase,
    SessionArchived,
    SessionEnded,
    SessionExists,
    SessionNotFound,
)

__all__ = [
    "AccessDenied",
    "ArchiveDamaged",
    "ArchiveFailed",
    "AuthenticationFailed",
    "CertificateRefused",
    "CheckpointExists",
    "ConflictError",
    "ConsumerError",
    "CorruptEvent",
    "CorruptRecord",
    "CursorMismatch",
    "DurabilityUnavailable",
    "EmbeddedUnavailable",
    "EncryptionError",
    "EventTypeError",
    "FeedTrimmed",
    "FollowerTooSlow",
    "FollowingError",
    "GroupNotFound",
    "HistoryAltered",
    "HistoryErased",
    "HistoryTrimmed",
    "IdempotencyConflict",
    "IntegrityError",
    "InvalidAnchor",
    "InvalidArgument",
    "InvalidData",
    "InvalidEvidence",
    "InvalidImportLine",
    "InvalidType",
    "KeyDestroyed",
    "KeyUnavailable",
    "LeaseLost",
    "LockError",
    "LockLost",
    "LockNotHeld",
    "LockReentered",
    "LockTimeout",
    "MemberExists",
    "NamespaceMismatch",
    "NotPermittedInPhase",
    "NotProjected",
    "NotReplicated",
    "OutcomeUnknown",
    "ProjectionReplaced",
    "SealKeyMissing",
    "SealKeyUnknown",
    "ServerError",
    "ServerLoading",
    "ServerOutOfMemory",
    "ServerReadOnly",
    "SessionArchived",
    "SessionEnded",
    "SessionExists",
    "SessionHeld",
    "SessionNotFound",
    "SessionStreamError",
    "SessionsHeld",
    "TooLarge",
    "Unavailable",
    "UnknownPosition",
    "UnsafeEviction",
]
