"""Fake neighbours for one program: master's control channel and the programs that it asks, over the real frames.

    with Stage("local", conf, services={"rewrite": fn, ...}) as s:
        qmgr = s.connect("qmgr")

A service is a function (type, fields, fds) -> (type, fields, fds) or None; the classes local_file and local_user are real
processes of the same program, started as the identity that is asked for (as ourselves when we are not root).
"""
import os
import socket
import struct
import subprocess
import threading

BUILD = os.environ.get("MERPATI_BUILD", "build")

MA_HELLO, MA_LISTENER, MA_PEER, MA_RELOAD, MA_DRAIN, MA_CONNECTED = 1, 2, 3, 4, 5, 6
MA_READY, MA_STATUS, MA_CONNECT = 32, 33, 34


def encode(fields):
    out = b""
    for f in fields:
        if isinstance(f, tuple):
            out += b"i" + struct.pack("<q", f[0])
        elif isinstance(f, bool) or isinstance(f, int):
            out += b"u" + struct.pack("<Q", int(f))
        else:
            if isinstance(f, str):
                f = f.encode()
            out += b"s" + struct.pack("<I", len(f)) + f
    return out


def decode(body):
    out, at = [], 0
    while at < len(body):
        kind = body[at:at + 1]
        at += 1
        if kind in (b"u", b"i"):
            out.append(struct.unpack_from("<Q" if kind == b"u" else "<q", body, at)[0])
            at += 8
        else:
            n, = struct.unpack_from("<I", body, at)
            out.append(body[at + 4:at + 4 + n])
            at += 4 + n
    return out


class Chan:
    """One connection; recv() returns (type, id, fields, fds) or None at the end."""

    def __init__(self, sock):
        self.sock, self.buf, self.fds = sock, b"", []
        self.lock = threading.Lock()

    def send(self, kind, fields, id=0, fds=(), version=1):
        body = encode(fields)
        frame = struct.pack("<IHBBI", len(body), kind, len(fds), version, id) + body
        with self.lock:
            sent = socket.send_fds(self.sock, [frame], list(fds)) if fds else self.sock.send(frame)
            while sent < len(frame):
                sent += self.sock.send(frame[sent:])

    def recv(self):
        while True:
            if len(self.buf) >= 12:
                n, kind, nfds, version, id = struct.unpack_from("<IHBBI", self.buf)
                if len(self.buf) >= 12 + n and len(self.fds) >= nfds:
                    body, self.buf = self.buf[12:12 + n], self.buf[12 + n:]
                    fds, self.fds = self.fds[:nfds], self.fds[nfds:]
                    return kind, id, decode(body), fds
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 64)
            except OSError:
                return None
            self.fds += fds
            if not data:
                return None
            self.buf += data


class Process:
    """One real program with its control channel."""

    def __init__(self, stage, program, role, target, number):
        self.stage, self.ready = stage, threading.Event()
        ours, theirs = socket.socketpair()
        log_ours, log_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        conf = os.memfd_create("conf")
        os.write(conf, b"".join(k.encode() + b"\0" + str(v).encode() + b"\0" for k, v in stage.conf.items()))
        ids = {}
        if target and os.geteuid() == 0:
            uid, gid = map(int, target.split(":"))
            ids = {"user": uid, "group": gid, "extra_groups": []}
        self.popen = self._spawn(program, theirs, ids)
        theirs.close()
        self.control = Chan(ours)
        self.control.send(MA_HELLO, [program, stage.service, role, target, number, (0,), 0, 3, "merpati/" + program],
                          fds=[conf, log_theirs.fileno()])
        os.close(conf)
        log_theirs.close()
        self.log_socket = log_ours
        threading.Thread(target=self._log, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()

    def _spawn(self, program, theirs, ids):
        path, fd = os.path.join(BUILD, "libexec", program), theirs.fileno()
        move = "3<&%d %d<&-" % (fd, fd) if fd != 3 else ""  # the shell puts it where a program of the suite finds it
        return subprocess.Popen(["/bin/bash", "-c", "exec %s %s" % (path, move)], pass_fds=[fd], **ids)

    def _log(self):
        while True:
            try:
                line = self.log_socket.recv(8192)
            except OSError:
                return
            if not line:
                return
            self.stage.log.append(line.decode(errors="replace"))

    def _serve(self):
        while True:
            m = self.control.recv()
            if m is None:
                return
            kind, id, fields, fds = m
            if kind == MA_READY:
                self.ready.set()
            elif kind == MA_CONNECT:
                sock = self.stage.answer(fields[0].decode(), fields[1].decode())
                if sock is None:
                    self.control.send(MA_CONNECTED, [(-10,)], id)
                else:
                    self.control.send(MA_CONNECTED, [(0,)], id, fds=[sock.fileno()])
                    sock.close()

    def peer(self, program):
        """A connection to this process from `program`."""
        ours, theirs = socket.socketpair()
        assert self.ready.wait(20), "not ready: %s" % self.stage.log
        self.control.send(MA_PEER, [program, program, 99, os.getpid(), ""], fds=[theirs.fileno()])
        theirs.close()
        return Chan(ours)

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.control.sock.close()
        self.log_socket.close()


class Stage:
    def __init__(self, program, conf, services, service=None):
        self.program, self.conf, self.services, self.service = program, conf, services, service or program
        self.log, self.children, self.number, self.lock = [], {}, 1, threading.Lock()

    def __enter__(self):
        self.main = Process(self, self.program, "", "", 1)
        return self

    def __exit__(self, *_):
        self.main.kill()
        for p in self.children.values():
            p.kill()

    def connect(self, program):
        return self.main.peer(program)

    def answer(self, name, target):
        if name in ("local_file", "local_user"):
            with self.lock:
                key = name + " " + target
                old = self.children.get(key)
                if old is None or old.popen.poll() is not None:
                    self.number += 1
                    self.children[key] = Process(self, "local", name[6:], target, self.number)
                child = self.children[key]
            ours, theirs = socket.socketpair()
            assert child.ready.wait(20), "not ready: %s" % self.log
            child.control.send(MA_PEER, [self.program, self.program, 99, os.getpid(), ""], fds=[theirs.fileno()])
            theirs.close()
            return ours
        if name not in self.services:
            return None
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._service, args=(Chan(ours), self.services[name]), daemon=True).start()
        return theirs

    @staticmethod
    def _service(chan, fn):
        while True:
            m = chan.recv()
            if m is None:
                return
            kind, id, fields, fds = m
            reply = fn(kind, fields, fds)
            if reply is not None:
                chan.send(reply[0], reply[1], id, fds=reply[2] if len(reply) > 2 else ())
                for fd in reply[2] if len(reply) > 2 else ():
                    os.close(fd)
