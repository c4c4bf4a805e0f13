"""Every route that a function registers, as data."""

import template
import world


def every_route() -> list[tuple[str, tuple[str, ...], set[str]]]:
    """(function folder, the path's segments, its methods) of each rule."""
    found = []
    for folder in sorted(set(template.routes().values())):
        api = world.function(folder).api
        found += [(folder, rule.segments, set(rule.methods)) for rule in api.rules()]
    return found
