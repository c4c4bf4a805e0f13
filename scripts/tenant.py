"""Make tenants directly in the tables of a stack, with the rights of whoever runs it: the first ones of an installation.

`tenant.py --name Acme --tier pro --domain acme.example` prints the tenant with its API key and passwords, once.
`tenant.py --many 100 --keys FILE` makes so many tenants to try the load with, unless FILE holds the keys of as many already.
`tenant.py --demo FILE` makes the demo tenants of a local stack, unless FILE holds them already.
The environment is that of a function (`SHEAF_…`, see sheaf/base/config.py).
"""

import argparse
import json
import secrets
from pathlib import Path
from typing import Any

from sheaf.access import passwords, tenants
from sheaf.access.caller import Caller
from sheaf.access.limits import PER_WINDOW, Tier
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.entity.names import Role
from sheaf.features.accounts import api_keys, people
from sheaf.features.accounts.api_keys import Terms
from sheaf.store import keys, table

DEMO: tuple[tuple[str, Tier], ...] = (("Acme", "enterprise"), ("Globex", "pro"), ("Initech", "free"))


def make(name: str, tier: Tier, domain: str) -> dict[str, Any]:
    """One tenant with an API key, an admin and a member; the secrets are shown here and nowhere else."""
    setup = tenants.create(name, tier)
    return {
        "id": setup.tenant,
        "name": name,
        "tier": tier,
        "api_key": api_keys.create(setup, Terms("first key", "admin"))[1],
        "admin": person(setup, f"admin@{domain}", f"{name} Admin", "admin"),
        "member": person(setup, f"member@{domain}", f"{name} Member", "user"),
    }


def person(setup: Caller, email: str, name: str, role: Role) -> dict[str, str]:
    """One user: the profile and its credentials."""
    password = secrets.token_urlsafe(12)
    fields = {"name": name, "email": email, "role": role, "emailVerified": True}
    people.create(setup, ids.new("usr"), fields, passwords.hashed(password))
    return {"email": email, "password": password}


def key_of_one(number: int) -> str:
    """The key of a new tenant that nobody belongs to."""
    return str(api_keys.create(tenants.create(f"Load {number}", "enterprise"), Terms("load", "admin"))[1])


def open_site(tenant_id: str) -> None:
    """Let a tenant own the public forms."""
    table.put(config().control_table, keys.site(), {"tn": tenant_id})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--many", type=int)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--tier", choices=sorted(PER_WINDOW), default="pro")
    parser.add_argument("--domain", help="the admin is admin@DOMAIN, the member member@DOMAIN")
    parser.add_argument("--site", action="store_true", help="the contact form of the installation writes to this tenant")
    asked = parser.parse_args()
    if asked.demo:
        if not asked.demo.exists():
            tenants = [make(name, tier, f"{name.lower()}.example") for name, tier in DEMO]
            open_site(tenants[0]["id"])
            asked.demo.write_text(json.dumps(tenants))
    elif asked.many and asked.keys:
        kept: list[str] = json.loads(asked.keys.read_text()) if asked.keys.exists() else []
        asked.keys.write_text(json.dumps([*kept, *(key_of_one(number) for number in range(len(kept), asked.many))]))
    elif asked.name and asked.domain:
        print(json.dumps(made := make(asked.name, asked.tier, asked.domain), indent=2))
        if asked.site:
            open_site(made["id"])
    else:
        parser.error("say --name and --domain, --many and --keys, or --demo")


if __name__ == "__main__":
    main()
