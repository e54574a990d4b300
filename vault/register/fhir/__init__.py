"""HL7 FHIR R4 (4.0.1): resources become records of the register, and nothing is dropped silently."""
