"""The plugin side of Spillway's protocol, for plugins with stages in Python.

What is here follows from plugins/proto/plugin.proto, which protoc turns into
plugin_pb2.py, and from docs/plugins.md: the handshake of go-plugin with mutual
TLS, the control plane over gRPC, the bytes of parts over a Unix socket for each
call. A plugin calls serve({"name": factory}).
"""

import base64
import concurrent.futures
import datetime
import json
import os
import signal
import socket
import struct
import sys
import threading
import zlib

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import plugin_pb2 as pb

VERSION = 2  # of plugin.proto
MAX_FRAME = 1 << 20
DATA, SEAL, ABORT = 0, 1, 2


class Corrupt(Exception):
    """Stored bytes are not what was written."""


class Cut(Exception):
    """The stream ended before it was sealed."""


def log(level, message, **fields):
    """Writes a line that arrives in the log of Spillway."""
    print(json.dumps({"@level": level, "@message": message, **fields}), file=sys.stderr, flush=True)


class Stream:
    """The bytes of one call: read() gives what comes in, write() takes what
    goes out. Neither side's end is a success before it is sealed."""

    def __init__(self, where):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(where.socket)
        self.sock.sendall(b"SPILLWY1" + where.token)
        self.file = self.sock.makefile("rb", buffering=1 << 16)
        self.read_totals, self.written_totals = pb.Totals(), pb.Totals()
        self.sealed = False
        self.out = bytearray()

    def close(self):
        """Breaks the stream, also for a thread that waits in it."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # broken already

    def _take(self, n):
        data = self.file.read(n)
        if len(data) < n:
            raise Cut("the connection ended before the bytes were complete")
        return data

    @staticmethod
    def _count(totals, data):
        totals.bytes += len(data)
        totals.crc32 = zlib.crc32(data, totals.crc32)

    def read(self):
        """Returns the next bytes, or b"" at the sealed end."""
        if self.sealed:
            return b""
        kind, size = struct.unpack(">BI", self._take(5))
        if kind == DATA and 0 < size <= MAX_FRAME:
            data = self._take(size)
            self._count(self.read_totals, data)
            return data
        if kind == SEAL and size == 12:
            said = struct.unpack(">QI", self._take(12))
            if said != (self.read_totals.bytes, self.read_totals.crc32):
                raise Cut(f"sealed as {said}, there were {self.read_totals}")
            self.sealed = True
            return b""
        if kind == ABORT and size <= 4096:
            raise Cut("the other side gave up: " + self._take(size).decode(errors="replace"))
        raise Cut(f"a frame of kind {kind} and {size} bytes")

    def write(self, data):
        self._count(self.written_totals, data)
        self.out += data
        while len(self.out) >= MAX_FRAME:
            self._frame(self.out[:MAX_FRAME])
            del self.out[:MAX_FRAME]

    def _frame(self, data):
        self.sock.sendall(struct.pack(">BI", DATA, len(data)) + data)

    def seal(self):
        if self.out:
            self._frame(self.out)
        totals = self.written_totals
        self.sock.sendall(struct.pack(">BIQI", SEAL, 12, totals.bytes, totals.crc32))


class Plugin:
    """Answers the control plane. Its methods run on threads of gRPC."""

    def __init__(self, stages):
        self.stages = stages  # by name: a function of the configuration
        self.lock = threading.Condition()
        self.instances, self.running, self.draining = {}, set(), False

    def describe(self, _request, _context):
        return pb.DescribeResponse(components=[pb.Component(kind=pb.KIND_STAGE, name=n) for n in sorted(self.stages)])

    def configure(self, request, context):
        try:
            if request.kind != pb.KIND_STAGE:
                raise ValueError("there are only stages here")
            stage = self.stages[request.component](**json.loads(request.config or b"{}"))
        except Exception as err:  # whatever it is, the operator reads it
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        with self.lock:
            name = str(len(self.instances) + 1)
            self.instances[name] = stage
        return pb.ConfigureResponse(instance=name, version=stage.version, suffix=stage.suffix)

    def health(self, _request, _context):
        with self.lock:
            return pb.HealthResponse(running=list(self.running))

    def drain(self, _request, _context):
        with self.lock:
            self.draining = True
            self.lock.wait_for(lambda: not self.running)
        return pb.DrainResponse()

    def call(self, request, context, work):
        """Runs work(stage, stream) for one call; its answer is the totals."""
        call = request.call
        with self.lock:
            if self.draining:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the plugin is being ended")
            if call.instance not in self.instances or call.id in self.running:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no instance {call.instance!r}, or call {call.id} runs already")
            stage = self.instances[call.instance]
            self.running.add(call.id)
        try:
            stream = Stream(request.stream)
            context.add_callback(stream.close)  # when the call is cancelled, or over
            try:
                work(stage, stream)
                stream.seal()
            finally:
                stream.file.close()
                stream.sock.close()
            return dict(read=stream.read_totals, written=stream.written_totals)
        except Corrupt as err:
            context.abort(grpc.StatusCode.DATA_LOSS, str(err))
        except (Cut, OSError) as err:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(err))
        finally:
            with self.lock:
                self.running.discard(call.id)
                self.lock.notify_all()

    def encode(self, request, context):
        return pb.EncodeResponse(**self.call(request, context, lambda stage, s: stage.encode(s)))

    def decode(self, request, context):
        return pb.DecodeResponse(**self.call(request, context, lambda stage, s: stage.decode(s)))

    def services(self):
        """The services, as plugin.proto declares them."""
        methods = {
            "Plugin": {"Describe": self.describe, "Configure": self.configure, "Health": self.health, "Drain": self.drain},
            "Stage": {"Encode": self.encode, "Decode": self.decode},
        }
        for service, handlers in methods.items():
            yield grpc.method_handlers_generic_handler("spillway.plugin.v1." + service, {
                name: grpc.unary_unary_rpc_method_handler(
                    handler,
                    request_deserializer=getattr(pb, name + "Request").FromString,
                    response_serializer=lambda message: message.SerializeToString(),
                ) for name, handler in handlers.items()
            })


def certificate():
    """A key and a certificate for this process alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1)).not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, cert


def serve(stages):
    """Makes the process a plugin that offers stages, until Spillway ends it."""
    if os.environ.get("SPILLWAY_PLUGIN") != "b6a4e1c0f7d24d5c9a3f":
        sys.exit(f"This is a plugin for Spillway, which starts it. It offers the stages {', '.join(stages)}.")
    if str(VERSION) not in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "").split(","):
        sys.exit(f"this plugin speaks version {VERSION} of the protocol")
    # The host ends a plugin when it no longer needs it. A signal for everybody
    # must not take it away from the last snapshot.
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, lambda *_: None)

    key, cert = certificate()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=256), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(list(Plugin(stages).services()))
    path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "p.sock")
    server.add_secure_port("unix:" + path, grpc.ssl_server_credentials(
        [(key, cert.public_bytes(serialization.Encoding.PEM))],
        root_certificates=os.environ["PLUGIN_CLIENT_CERT"].encode(), require_client_auth=True,
    ))
    server.start()
    leaf = base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    print(f"1|{VERSION}|unix|{path}|grpc|{leaf}", flush=True)
    while os.read(0, 4096):  # the host holds the other end: it ends with the host
        pass
    os._exit(0)
