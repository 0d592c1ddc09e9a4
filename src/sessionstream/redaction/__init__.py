"""Redaction: what is a secret by its name, its place or its form is taken out before anything is encoded.

In its place stands a mark that names the rule, ``[redacted: password]``, so that nobody takes it for the value.
"""

from __future__ import annotations

from sessionstream.redaction.naming import Names
from sessionstream.redaction.rules import NAMES, NOT_SECRET, Redaction
from sessionstream.redaction.walking import AS_GIVEN, Redacted, Redactor, redactor_of

__all__ = ["AS_GIVEN", "NAMES", "NOT_SECRET", "Names", "Redacted", "Redaction", "Redactor", "redactor_of"]
