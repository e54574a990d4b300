"""Alarms: what each code stands for and with which word one is closed; pure.

An alarm tells the data protection officer that somebody should look now. It holds references,
codes and numbers; the desk's texts and docs/operations.md say what each code asks for.
"""

from enum import StrEnum


class AlarmCode(StrEnum):
    """What rang."""

    CAP_REACHED = "cap_reached"  # a person tried to open more patients an hour than the limit
    CAP_NEAR = "cap_near"  # a person came near the limit for the third time within a week
    HONEY_READ = "honey_read"  # somebody looked at a subject that belongs to nobody
    EMERGENCY_OPENED = "emergency_opened"  # a person broke the glass; a second one must review it
    EMERGENCIES_REACHED = "emergencies_reached"  # a person tried to break the glass more often a day than the limit
    EMERGENCY_NOT_JUSTIFIED = "emergency_not_justified"  # the review found no good reason
    RATE_UNUSUAL = "rate_unusual"  # a person opened many more patients on a day than she usually does
    RATE_HIGH = "rate_high"  # a person opened more patients on a day than anybody can read
    HOURS_UNUSUAL = "hours_unusual"  # a person opened several patients at night or on a day off, unusually for her
    NO_RELATIONSHIP = "no_relationship"  # a person opened several patients of whom nothing waited for her
    UNWRAP_WITHOUT_ENTRY = "unwrap_without_entry"  # a key was opened for which the access log has no look
    ENTRY_WITHOUT_UNWRAP = "entry_without_unwrap"  # the access log has a look for which no key was opened
    LOG_NOT_CONTINUED = "log_not_continued"  # the stored log does not continue the published one; nothing was signed
    WITNESS_DISAGREES = "witness_disagrees"  # a witness saw another log than this one, refused it, or answered falsely
    WITNESS_SILENT = "witness_silent"  # a witness has cosigned nothing for a day
    MAIL_KEY_ENDS = "mail_key_ends"  # a key that mail to us is encrypted to ends within 60 days, or has ended


class Why(StrEnum):
    """The word with which an alarm is closed."""

    EXPLAINED = "explained"  # asked the person; the work was hers
    TEST = "test"  # somebody tried the alarm on purpose
    MEASURES_TAKEN = "measures_taken"  # rights were taken away, or the work was changed
    BREACH_OPENED = "breach_opened"  # it goes on as a breach (GDPR 33)
    REVIEWED = "reviewed"  # the emergency behind it was reviewed; no word that a person chooses


CHOSEN = tuple(why for why in Why if why is not Why.REVIEWED)
