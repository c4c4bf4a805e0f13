"""Import one function's app.py from its built folder and layers alone, and print what it cost.

usage: python -I -S cold.py <runtime> [<deps layer> <core layer> <function folder>]
With the runtime alone it is the yardstick: boto3 and one DynamoDB client.
"""

import importlib._bootstrap_external as machinery
import json
import sys
import time

runtime, *built = sys.argv[1:]
sys.path[:0] = [*reversed(built), runtime]
sys.dont_write_bytecode = True
compiled: list[str] = []
original = machinery.SourceLoader.source_to_code


def counted(self, data, path, *rest, **more):
    compiled.append(str(path))
    return original(self, data, path, *rest, **more)


machinery.SourceLoader.source_to_code = counted
started, cpu = time.perf_counter(), time.process_time()
if built:
    import app

    assert app.handler
else:
    import boto3

    boto3.client("dynamodb")
print(json.dumps({
    "wall": time.perf_counter() - started,
    "cpu": time.process_time() - cpu,
    "modules": len(sys.modules),
    "compiled": [path for path in compiled if not path.endswith("/app.py")],
    "from_elsewhere": sorted({str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)
                              and "site-packages" in str(m.__file__)}),
}))  # fmt: skip
