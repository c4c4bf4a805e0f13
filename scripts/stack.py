"""The local stack: an emulator of AWS as a process of this machine, and Sheaf deployed onto it by `sam deploy`.

`stack.py up` starts and deploys in the background, `stack.py run` adds the tour and stays in the foreground,
`stack.py down` stops what `up` started. Everything of a stack lies in `.local/<name>`.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"


class StackError(Exception):
    """Something is in the way; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Stack:
    """One local stack: its name and its port."""

    name: str
    port: int

    @property
    def home(self) -> Path:
        """Its folder."""
        return ROOT / ".local" / self.name

    @property
    def endpoint(self) -> str:
        """Where its AWS answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def description(self) -> Path:
        """Its stack.json; the default stack's stands directly in `.local`."""
        return ROOT / ".local" / "stack.json" if self.name == "main" else self.home / "stack.json"

    def environment(self) -> dict[str, str]:
        """What a client of this AWS needs to know."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def say(text: str) -> None:
    """Progress for the person who waits."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


# ---- the emulator ----


def start(stack: Stack) -> None:
    """Start the emulator unless it runs."""
    if answers(stack):
        if not alive(stack):
            raise StackError(f"port {stack.port} is in use by something else; say PORT=<another> to make.")
        return
    if taken(stack.port):
        raise StackError(f"port {stack.port} is in use by something else; say PORT=<another> to make.")
    shutil.rmtree(stack.home / "tmp", ignore_errors=True)
    (stack.home / "tmp").mkdir(parents=True)
    say(f"starting the local AWS on {stack.endpoint}")
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(stack.port),
        "TMPDIR": str(stack.home / "tmp"),
        "AUTH": "true",  # every call of a function is checked against its role's policies
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
        "MINISTACK_REGION": REGION,
    }
    with (stack.home / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [ROOT / ".tools/emulator/bin/python", "-m", "ministack"],
            env=environment, cwd=stack.home, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    (stack.home / "emulator.pid").write_text(str(process.pid))
    for _ in range(300):
        if answers(stack):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise StackError(f"the local AWS did not start; its log: {stack.home / 'emulator.log'}")


def stop(stack: Stack) -> bool:
    """Stop the emulator and every worker it started; False where nothing ran."""
    stack.description.unlink(missing_ok=True)
    if not alive(stack):
        return False
    pid = int((stack.home / "emulator.pid").read_text())
    os.killpg(pid, signal.SIGTERM)
    for _ in range(50):
        if not alive(stack):
            break
        time.sleep(0.1)
    else:
        os.killpg(pid, signal.SIGKILL)
    (stack.home / "emulator.pid").unlink(missing_ok=True)
    shutil.rmtree(stack.home / "tmp", ignore_errors=True)
    return True


def alive(stack: Stack) -> bool:
    """Whether the emulator that this stack started still runs."""
    try:
        pid = int((stack.home / "emulator.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists():
            return b"ministack" in command.read_bytes()
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return not Path("/proc").exists()


def answers(stack: Stack) -> bool:
    """Whether an emulator answers on the port."""
    try:
        with urllib.request.urlopen(f"{stack.endpoint}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def taken(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- the deployment ----


def deploy(stack: Stack) -> dict[str, str]:
    """`sam build` and `sam deploy`; the stack's outputs."""
    make_bucket(stack)
    client(stack, "sesv2").create_email_identity(EmailIdentity="no-reply@example.com")
    environment = {
        **stack.environment(),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "SHEAF_LOCAL_PYTHON": str(ROOT / ".tools/emulator/bin/python"),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.1",
        "PYTHONWARNINGS": "ignore",
    }
    sam = ROOT / ".tools/sam/bin/sam"
    build = stack.home / "build"
    say("sam build")
    call(environment, sam, "build", "--cached", "--cache-dir", ROOT / ".local/cache", "--build-dir", build)
    say("sam deploy")
    overrides = (
        "Stage=local",
        f"EndpointUrl={stack.endpoint}",
        "WebhookLoopback=true",
        "WebhookRetrySeconds=1,2,4",
        "CorsOrigins=http://localhost:3000",
        "AppUrl=http://localhost:3000",
    )
    call(environment, sam, "deploy", "--config-env", "local", "--config-file", ROOT / "samconfig.toml",
         "--template-file", build / "template.yaml", "--parameter-overrides", " ".join(overrides))  # fmt: skip
    return outputs(stack)


def call(environment: Mapping[str, str], *command: str | Path) -> None:
    """Run a tool; its output is shown only if it fails."""
    done = subprocess.run([str(part) for part in command], env=dict(environment), cwd=ROOT, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    if done.returncode:
        print(done.stdout[-6_000:], done.stderr[-6_000:], sep="\n", file=sys.stderr)
        raise StackError(f"{Path(command[0]).name} {command[1]} failed; its output stands above.")


def client(stack: Stack, service: str) -> Any:
    """A client of the local AWS."""
    import botocore.session

    session = botocore.session.get_session()
    return session.create_client(service, region_name=REGION, endpoint_url=stack.endpoint,
                                 aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip


def make_bucket(stack: Stack) -> None:
    """The bucket that `sam deploy` puts its packages into."""
    client(stack, "s3").create_bucket(Bucket="sheaf-artifacts")


def outputs(stack: Stack) -> dict[str, str]:
    """The outputs of the deployed stack, read anew each time: a changed API has a new id."""
    found = client(stack, "cloudformation").describe_stacks(StackName="sheaf-local")["Stacks"][0]["Outputs"]
    return {each["OutputKey"]: each["OutputValue"] for each in found}


def seed(stack: Stack) -> list[dict[str, Any]]:
    """The demo tenants; those of an earlier run are kept."""
    kept = stack.home / "tenants.json"
    environment = {**stack.environment(), **function_environment(stack), "PYTHONPATH": str(ROOT / "layers/core")}
    done = subprocess.run([sys.executable, ROOT / "scripts/tenant.py", "--demo", kept], env=environment, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise StackError("the demo tenants could not be made; the output stands above.")
    tenants: list[dict[str, Any]] = json.loads(kept.read_text())
    return tenants


def function_environment(stack: Stack) -> dict[str, str]:
    """The variables of a deployed function, as the template set them."""
    found = client(stack, "cloudformation").describe_stack_resource(StackName="sheaf-local", LogicalResourceId="RecordsFunction")
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    variables: dict[str, str] = client(stack, "lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    return variables


# ---- the commands ----


def up(stack: Stack) -> dict[str, Any]:
    """Bring the stack up, or up to date; what stack.json holds."""
    fresh = not alive(stack)
    if fresh:
        (stack.home / "tenants.json").unlink(missing_ok=True)  # the local AWS starts empty
    start(stack)
    made = deploy(stack)
    say("making the demo tenants" if fresh else "keeping the demo tenants")
    description = {
        "base_url": f"http://localhost:{stack.port}/_aws/execute-api/{made['ApiId']}/api",
        "websocket_url": f"ws://localhost:{stack.port}/_aws/execute-api/{made['SocketsApiId']}/live",
        "console_url": None,
        "region": REGION,
        "endpoint_url": stack.endpoint,
        "tenants": seed(stack),
    }
    wait_for(f"{description['base_url']}/v1/health")
    stack.description.parent.mkdir(parents=True, exist_ok=True)
    stack.description.write_text(json.dumps(description, indent=2) + "\n")
    return description


def wait_for(url: str) -> None:
    """Wait until the API answers."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise StackError(f"the API does not answer at {url}")


def show(description: Mapping[str, Any]) -> None:
    """What a person needs to go on."""
    print(f"\nbase URL   {description['base_url']}")
    for tenant in description["tenants"]:
        print(f"tenant     {tenant['name']} ({tenant['tier']}, {tenant['id']})")
        print(f"  API key  {tenant['api_key']}")
        print(f"  admin    {tenant['admin']['email']}  {tenant['admin']['password']}")
        print(f"  member   {tenant['member']['email']}  {tenant['member']['password']}")
    key = description["tenants"][0]["api_key"]
    print(f"reference  {description['base_url']}/v1/docs")
    print(f"WebSocket  {description['websocket_url']}")
    print(f"GraphQL    {description['base_url']}/v1/graphql/explorer")
    print("\nTry it:\n")
    print(f"curl -s -H 'Authorization: Bearer {key}' '{description['base_url']}/v1/tasks?limit=2'\n", flush=True)


def run(stack: Stack) -> int:
    """Up, tour, and stay until Ctrl-C; then stop what was started."""
    started = not alive(stack)
    # A plain `kill` ends us like Ctrl-C does (which a shell's `&` switches off), so that nothing is left running.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        description = up(stack)
        tour = subprocess.run([sys.executable, ROOT / "scripts/tour.py", stack.description], check=False)
        if tour.returncode:
            return tour.returncode
        show(description)
        print("Ctrl-C stops it.", flush=True)
        while alive(stack):
            time.sleep(1)
        say("the local AWS has ended by itself")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if started and stop(stack):
            say("stopped")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("run", "up", "down"))
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--name", default="main")
    asked = parser.parse_args()
    stack = Stack(asked.name, asked.port)
    stack.home.mkdir(parents=True, exist_ok=True)
    try:
        if asked.command == "run":
            sys.exit(run(stack))
        elif asked.command == "up":
            show(up(stack))
        else:
            say("stopped" if stop(stack) else "nothing was running")
    except StackError as error:
        sys.exit(f"sheaf: {error}")


if __name__ == "__main__":
    main()
