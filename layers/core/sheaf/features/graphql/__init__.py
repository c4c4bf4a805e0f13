"""GraphQL: what a document may cost, and the operations that a tenant has registered."""
