"""`POST /v1/graphql`: one operation over the entities, with the rules, permissions and hooks that REST has."""
