"""Signers by name: which of them a key service holds now, so that what is signed is signed by each."""

from vault.crypto.keyservice import SIGNERS, KeyService, name_unknown


def held(service: KeyService, name: str) -> tuple[str, ...]:
    """Name the held signers under one name, the primary first; each is fit for ``sign`` and ``public``.

    :param service: whose signers are meant.
    :param name: one of :data:`vault.crypto.keyservice.SIGNERS`.
    :raises NotAllowedError: there is no such signer.
    """
    if name not in SIGNERS:
        raise name_unknown()
    service.public(name)
    return (name,)
