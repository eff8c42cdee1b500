"""Runs a server and a published collector, makes one signed request, and checks what the collector shows of its spans."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

# Longest wait for a program or a line.
PATIENCE = 120
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SERVICE = "activation-of-the-test"
# What the collector has to show.
EXPECTED = [
    TRACE,
    SERVICE,
    "service.version",
    "GET dcdn:DescribeDcdnService",
    "activation.dcdn.v1.DcdnService/DescribeDcdnService",
    "SELECT instances",
    "http.response.status_code",
    "rpc.response.status_code",
    "db.query.summary",
]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, found):
    """Returns the first value of `found()` that is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.2)
    raise SystemExit(f"failed: {what} is not there after {PATIENCE} s")


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def missing(text):
    return [expected for expected in EXPECTED if expected not in text]


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


def main(program):
    collector = next(Path(sys.prefix).glob("lib/python*/site-packages/rotel/rotel-agent"))
    collector.chmod(0o755)
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        shown, said = directory / "collector.log", directory / "server.log"
        # The database of `dev` runs as another user if this is root.
        directory.chmod(0o755)
        grpc, http = free_port(), free_port()
        arguments = ["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
        arguments += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
        arguments += ["--pid-file", str(directory / "pid")]
        with open(shown, "w") as output:
            receiving = subprocess.Popen([collector, *arguments], stdout=output, stderr=subprocess.STDOUT)
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{grpc}",
            "OTEL_SERVICE_NAME": SERVICE,
            **{name: "127.0.0.1:0" for name in ("GRPC_ADDR", "REST_ADDR", "OPS_ADDR")},
        }
        serving = None
        try:
            wait_for("the listener of the collector", lambda: is_open(grpc))
            with open(said, "w") as output:
                command = [program, "dev", "--data-dir", str(directory / "data")]
                serving = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
            # `dev` prints a signed URL to paste.
            url = wait_for("the signed URL of dev", lambda: re.search(r"curl '(http://[^']+)'", said.read_text()))
            request = urllib.request.Request(url[1], headers={"traceparent": TRACEPARENT})
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                assert answer.status == 200, answer.status
            stop(serving)
            assert serving.returncode == 0, serving.returncode
            wait_for("what the collector has to show", lambda: not missing(shown.read_text()))
        except SystemExit:
            print(shown.read_text())
            raise
        finally:
            for process in (serving, receiving):
                if process is not None and process.poll() is None:
                    stop(process)
        text = shown.read_text()
        query = parse_qs(urlsplit(url[1]).query, strict_parsing=True)
        secrets = [query["Signature"][0], query["SignatureNonce"][0], "Signature", "SignatureNonce", "AccessKeyId="]
        secret = [word for word in secrets if word in text]
        if secret:
            print(text)
            raise SystemExit(f"failed: the collector shows {secret}")
        print(f"passed: a published collector shows all of {', '.join(EXPECTED)}")


main(sys.argv[1])
