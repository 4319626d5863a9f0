"""An IMAP conversation byte by byte: responses with their literals, pipelining, commands that imaplib cannot send."""
import re
import socket
import ssl


class Client:
    """One connection.  cmd() sends a command and returns (untagged responses, tagged line), all bytes."""

    def __init__(self, instance, user="user0", tls=False, login=True):
        port = instance.ports["imaps" if tls else "imap"]
        self.sock = socket.create_connection(("localhost", port), 30)
        if tls:
            self.sock = instance.tls_context().wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.n = 0
        self.greeting = self.response()
        if login:
            done = self.ok("LOGIN %s@%s secret" % (user, instance.domain))
            if not done:
                raise AssertionError(done)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def response(self):
        """One response with its literals; b"" at the end of the connection."""
        out = b""
        while True:
            line = self.file.readline()
            out += line
            size = re.search(rb"\{(\d+)\}\r\n$", line)
            if not size:
                return out
            out += self.file.read(int(size.group(1)))

    def until(self, prefix):
        """Responses up to and with the one that begins with prefix; AssertionError when the connection ends before."""
        out = []
        while True:
            out.append(self.response())
            if out[-1].startswith(prefix):
                return out
            if not out[-1]:
                raise AssertionError("connection closed; so far %r" % out)

    def tag(self):
        self.n += 1
        return b"T%d" % self.n

    def cmd(self, text):
        tag = self.tag()
        self.send(tag + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        out = self.until(tag + b" ")
        return out[:-1], out[-1][len(tag) + 1:]

    def ok(self, text):
        untagged, done = self.cmd(text)
        if not done.startswith(b"OK"):
            raise AssertionError("%r: %r" % (text, done))
        return untagged + [done]

    def no(self, text, code=b""):
        _, done = self.cmd(text)
        if not done.startswith(b"NO") or code not in done:
            raise AssertionError("%r: %r" % (text, done))

    def bad(self, text):
        _, done = self.cmd(text)
        if not done.startswith(b"BAD"):
            raise AssertionError("%r: %r" % (text, done))

    def append(self, message, mailbox="INBOX", extra=""):
        """The UID of the new message."""
        tag = self.tag()
        message = message if isinstance(message, bytes) else message.encode()
        self.send(tag + b" APPEND %s %s{%d+}\r\n" % (mailbox.encode(), extra.encode(), len(message)) + message + b"\r\n")
        done = self.until(tag + b" ")[-1]
        return int(re.search(rb"OK \[APPENDUID \d+ (\d+)\]", done).group(1))

    def literal(self, item, text):
        """The literal of the only FETCH response of a command."""
        untagged = self.ok(text)
        body = untagged[0]
        at = body.index(item.encode() + b" {")
        size = re.match(rb"\{(\d+)\}\r\n", body[at + len(item) + 1:])
        start = at + len(item) + 1 + size.end()
        return body[start:start + int(size.group(1))]

    def close(self):
        self.file.close()
        self.sock.close()
