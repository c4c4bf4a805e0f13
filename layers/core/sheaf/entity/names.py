"""Names that an entity's class, its rows and its schema share."""

MARKS = "x-sheaf"  # in the JSON schema of a field: what `field()` says beside pydantic's rules
SYSTEM_FIELDS = ("id", "createdAt", "updatedAt", "version")  # the server's, on every row
GROUP_WORDS = ("and", "or", "not")  # of the filter grammar, so no field's name
