"""Names that an entity's class, its rows and its schema share."""

INDEX_MARK = "x-index"  # in the JSON schema of a field that lists can be filtered by
SYSTEM_FIELDS = ("id", "createdAt", "updatedAt", "version")  # the server's, on every row
