"""A scanner as a process of its own: clamd's INSTREAM command over TCP, which knows one signature, that of the EICAR test file.

`python scanner.py` prints its port and answers until it is ended. `--limit BYTES` refuses longer streams, as clamd does.
"""

import argparse
import socketserver
import struct

SIGNATURE = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Handler(socketserver.StreamRequestHandler):
    """One command a connection."""

    def handle(self) -> None:
        if self.rfile.read(10) != b"zINSTREAM\0":
            self.wfile.write(b"UNKNOWN COMMAND\0")
            return
        seen = b""
        while size := struct.unpack("!I", self.rfile.read(4))[0]:
            seen += self.rfile.read(size)
            if len(seen) > self.server.limit:  # type: ignore[attr-defined]
                self.wfile.write(b"INSTREAM size limit exceeded. ERROR\0")
                return
        self.wfile.write(b"stream: Eicar-Test-Signature FOUND\0" if SIGNATURE in seen else b"stream: OK\0")


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=25 * 1024 * 1024)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.limit = parser.parse_args().limit  # type: ignore[attr-defined]
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
