"""Servers that answer what a test says: a name server and a mail host, in threads of the test."""
import socket
import struct
import threading

A, PTR, MX, TXT, AAAA = 1, 12, 15, 16, 28


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"


def _same_port(address):
    """A UDP and a TCP socket at one port."""
    while True:
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind((address, 0))
            tcp.bind(udp.getsockname())
            return udp, tcp
        except OSError:  # somebody else has that one
            udp.close()
            tcp.close()


def _close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it
    except OSError:
        pass
    sock.close()


class NameServer:
    """Authoritative for everything: add(name, type, ...); unknown names do not exist."""

    def __init__(self, address="127.0.0.1"):
        self.records, self.failing, self.large, self.questions, self.by_tcp = {}, set(), set(), [], 0
        self.sock, self.tcp = _same_port(address)
        self.port = self.sock.getsockname()[1]
        self.tcp.listen(8)
        self.closed = False
        threading.Thread(target=self._run, daemon=True).start()
        threading.Thread(target=self._run_tcp, daemon=True).start()

    def add(self, name, kind, *data):
        """add("b.test", MX, 10, "mx1.b.test"); add("mx1.b.test", A, "127.0.0.2")"""
        if kind == MX:
            rdata = struct.pack(">H", data[0]) + _name(data[1])
        elif kind == A:
            rdata = socket.inet_aton(data[0])
        elif kind == AAAA:
            rdata = socket.inet_pton(socket.AF_INET6, data[0])
        else:
            rdata = _name(data[0])
        self.records.setdefault(name, {}).setdefault(kind, []).append(rdata)

    def fail(self, name):
        self.failing.add(name)

    def only_by_tcp(self, name):
        """Answers about this name are too large for UDP."""
        self.large.add(name)

    def _answer(self, packet, tcp=False):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii", "replace"))
            at += 1 + packet[at]
        kind, = struct.unpack_from(">H", packet, at + 1)
        question, name = packet[12:at + 5], ".".join(labels).lower()
        self.questions.append((name, kind))
        rcode, found = 0, []
        if name in self.failing:
            rcode = 2
        elif name in self.records:
            found = self.records[name].get(kind, [])
        elif not any(n.endswith("." + name) for n in self.records):
            rcode = 3
        if name in self.large and not tcp:
            return packet[:2] + struct.pack(">HHHHH", 0x8780, 1, 0, 0, 0) + question
        out = packet[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(found), 0, 0) + question
        for rdata in found:
            out += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(rdata)) + rdata
        return out

    def _run(self):
        while True:
            try:
                packet, client = self.sock.recvfrom(4096)
                self.sock.sendto(self._answer(packet), client)
            except OSError:
                return
            except (IndexError, struct.error):
                continue

    def _run_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
                with conn, conn.makefile("rb") as f:
                    size = f.read(2)
                    while len(size) == 2:
                        answer = self._answer(f.read(struct.unpack(">H", size)[0]), True)
                        self.by_tcp += 1
                        conn.sendall(struct.pack(">H", len(answer)) + answer)
                        size = f.read(2)
            except OSError:
                if self.closed:
                    return

    def close(self):
        self.closed = True
        _close(self.sock)
        _close(self.tcp)


class MailHost:
    """An SMTP server.  `replies` maps the beginning of a command (or "greeting", "end") to a reply, or to a function
    (connection socket, line) -> reply or None (the connection is closed then).  Keeps the messages that it took."""

    def __init__(self, address, port=0, **replies):
        self.replies = {"greeting": "220 sink.test ESMTP", "EHLO": "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME",
                        "HELO": "250 sink.test", "MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 Go on",
                        "RSET": "250 2.0.0 Ok", "end": "250 2.0.0 Ok: queued as SINK", "QUIT": "221 2.0.0 Bye"}
        self.replies.update(replies)
        self.messages, self.commands, self.connections = [], [], 0
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.sock.listen(64)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _say(self, conn, what, line=""):
        reply = self.replies.get(what, "502 5.5.1 What?")
        if callable(reply):
            reply = reply(conn, line)
        if reply is None:
            return None
        if reply:
            conn.sendall((reply + "\r\n").encode("latin-1"))
        return reply

    def _serve(self, conn):
        try:
            with conn, conn.makefile("rb") as f:
                if self._say(conn, "greeting") is None:
                    return
                while True:
                    line = f.readline()
                    if not line:
                        return
                    text = line.decode("latin-1").rstrip("\r\n")
                    self.commands.append(text)
                    verb = text[:4].upper()
                    reply = self._say(conn, verb, text)
                    if reply is None or verb == "QUIT":
                        return
                    if verb == "DATA" and reply.startswith("354"):
                        lines = []
                        while True:
                            line = f.readline()
                            if not line:
                                return
                            if line == b".\r\n":
                                break
                            lines.append(line[1:] if line.startswith(b".") else line)
                        self.messages.append(b"".join(lines))
                        if self._say(conn, "end") is None:
                            return
        except OSError:
            return

    def close(self):
        _close(self.sock)
