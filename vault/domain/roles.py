"""Who may do what: people's roles, machines' offices, and the purposes a read is logged under."""

from enum import StrEnum


class Role(StrEnum):
    """A person's role, as Airflow's user management names it."""

    DPO = "dpo"
    CLINICIAN = "clinician"
    REGISTRAR = "registrar"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class OfficeName(StrEnum):
    """A process's office: which keys and parts it may use, and only those."""

    INTAKE = "intake"
    COLLECTOR = "collector"
    DESK = "desk"
    SEALER = "sealer"
    PRINT = "print"
    KEEPER = "keeper"
    REGISTRY = "registry"  # fills and keeps the patient register
    AUDIT = "audit"
    OPERATOR = "operator"


class Purpose(StrEnum):
    """Why data was read (Act 703/2023 s. 10: the purpose of use is logged)."""

    IDENTIFY = "identify"  # to find out who is asking
    COLLECT = "collect"  # to assemble the answer
    REVIEW = "review"  # a health-care professional decides about release
    SEAL = "seal"  # to close the package to the requester's key
    DELIVER = "deliver"  # to hand the package over
    PRINT = "print"  # the post office opens a letter to post it
    CASE_HANDLING = "case_handling"  # a registrar or data protection officer opens a case
    AUDIT = "audit"
    REGISTER_KEEPING = "register_keeping"
