"""Endpoints of this API beside those that every entity has: one file each, listed here.

They run in the function of the entities, so their paths are `/v1/{entity}…` of up to any depth
(template.yaml sends them there), and a plain segment wins over `<…>`.
"""

from endpoints import posts, tasks
from sheaf.edge.api import Api


def register(api: Api) -> None:
    """Add them all."""
    posts.register(api)
    tasks.register(api)
