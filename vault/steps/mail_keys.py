"""A mail key that ends rings in time: the intake, which alone holds the keys, looks at them in each round."""

from datetime import timedelta

from vault.domain.alarms import AlarmCode
from vault.intake.mailkeystore import in_settings
from vault.intake.ownkeys import endings
from vault.steps.parts import Parts
from vault.storage.alarms import raise_alarm, told

_AGAIN = timedelta(days=7)  # after somebody closed the alarm and the key still ends


def ring_for_mail_keys(parts: Parts) -> bool:
    """Raise ``mail_key_ends`` where a current OpenPGP or S/MIME key ends within 60 days; tell whether it rang.

    What rang already and is open rings no second time; once closed, it rings again after a week.

    :raises OutOfReachError: gpg does not list its keys, or the database does not answer.
    :raises WrongUseError: a key that the settings name can't be read.
    """
    now = parts.now()
    detail = endings(in_settings(parts.settings).keys(now), now)
    if not detail:
        return False
    with parts.database.connect() as connection:
        if told(connection, AlarmCode.MAIL_KEY_ENDS, detail, now - _AGAIN):
            return False
        raise_alarm(connection, AlarmCode.MAIL_KEY_ENDS, at=now, actor=parts.actor, detail=detail)
    return True
