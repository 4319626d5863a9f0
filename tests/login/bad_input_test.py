# labels: short
"""Bad input to IMAP and POP3, before and after the login: each gets a refusal or a timeout, and the next client is served."""
import re
import socket
import time

import merpati
from merpati import Instance, check

SOON = 30  # seconds that any end of a connection may take on a busy machine
LOGIN_TIMEOUT = 6


def served(m):
    """The next client."""
    m.imap(tls=False).logout()
    m.pop3(tls=False).quit()


def everything(raw):
    """What the server says until it closes; b"" too when it resets the connection."""
    got = raw.buffer
    raw.sock.settimeout(SOON)
    try:
        while True:
            part = raw.sock.recv(65536)
            if not part:
                return got
            got += part
    except ConnectionError:
        return got


def lines_until(raw, pattern):
    """Lines up to the one that matches."""
    got = []
    raw.sock.settimeout(SOON)
    while True:
        line = raw.line()
        got.append(line)
        check("%r in %r" % (pattern, got[-5:]), line is not None)
        if re.match(pattern, line):
            return got


def connect(m, port, login):
    raw = m.raw(port, SOON)
    raw.line()
    if login and port == "imap":
        raw.send("l LOGIN user0 secret\r\n")
        lines_until(raw, "l OK")
    elif login:
        raw.send("USER user0\r\nPASS secret\r\n")
        check("logged in", [raw.line()[:3] for _ in range(2)] == ["+OK"] * 2)
    return raw


# (port, after the login, input, the answer's beginning; the connection goes on after it)
GOES_ON = [
    ("imap", False, b"a NOO\0P\r\n", r"(a|\*) BAD"),
    ("imap", False, b"a \xc3\x28\xff\r\n", r"(a|\*) BAD"),
    ("imap", False, b"a LOGIN us\xe9r secret\r\n", r"(a|\*) (BAD|NO)"),
    ("imap", False, b'a LOGIN "unclosed secret\r\n', r"(a|\*) BAD"),
    ("imap", False, b"\r\n", r"\* BAD"),
    ("imap", False, b"a FETCH 1 FLAGS\r\n", r"a BAD"),
    ("imap", False, b"a IDLE\r\n", r"a BAD"),
    ("imap", False, b"DONE\r\n", r"(DONE|\*) BAD"),
    ("imap", False, b"a LOGIN {-1}\r\n", r"(a|\*) BAD"),
    ("imap", False, b"a NOOP\n", r"a (OK|BAD)"),
    ("imap", True, b"a NOO\0P\r\n", r"a BAD"),
    ("imap", True, b"a \xc3\x28\xff\r\n", r"a BAD"),
    ("imap", True, b"a SELECT \xff\xfe\r\n", r"a (BAD|NO)"),
    ("imap", True, b"a AUTHENTICATE PLAIN\r\n", r"a BAD"),
    ("imap", True, b"a STARTTLS\r\n", r"a BAD"),
    ("imap", True, b"a CLOSE\r\n", r"a BAD"),
    ("imap", True, b"a NOOP\n", r"a (OK|BAD)"),
    ("pop3", False, b"US\0ER x\r\n", r"-ERR"),
    ("pop3", False, b"USER \xff\xfe\r\nPASS \x80\r\n", r"-ERR"),
    ("pop3", False, b"\xff\xfe\xfd\r\n", r"-ERR"),
    ("pop3", False, b"PASS secret\r\n", r"-ERR"),
    ("pop3", False, b"STAT\r\n", r"-ERR"),
    ("pop3", False, b"DELE 1\r\n", r"-ERR"),
    ("pop3", False, b"\r\n", r"-ERR"),
    ("pop3", False, b"AUTH PLAIN \xff\xff\r\n", r"-ERR"),
    ("pop3", False, b"NOOP\n", r"[+]OK|-ERR"),
    ("pop3", True, b"ST\0AT\r\n", r"-ERR"),
    ("pop3", True, b"\xff\xfe\r\n", r"-ERR"),
    ("pop3", True, b"USER user0\r\n", r"-ERR"),
    ("pop3", True, b"STLS\r\n", r"-ERR"),
    ("pop3", True, b"STAT\n", r"[+]OK|-ERR"),
]


def refused():
    """NUL, 8-bit, wrong order, a bare LF: one refusal, then the same connection serves."""
    for port, login, data, want in GOES_ON:
        raw = connect(M, port, login)
        raw.send(data)
        lines_until(raw, want)
        if port == "imap":
            raw.send("z NOOP\r\n")
            lines_until(raw, "z OK")
        else:
            raw.send("NOOP\r\n")
            lines_until(raw, r"[+]OK")
        raw.close()
        served(M)


def pour(raw, data, most):
    """Sends data again and again until the server ends it; False when it took everything."""
    raw.sock.settimeout(SOON)
    sent = 0
    try:
        while sent < most:
            raw.sock.sendall(data)
            sent += len(data)
    except ConnectionError:
        return True
    except socket.timeout:
        return False
    return False


def overlong():
    """A line that never ends, a literal that never ends: the server does not read or keep it for ever."""
    for port, login, head in (("imap", False, b"a LOGIN "), ("imap", True, b"a LIST "), ("pop3", False, b"USER "),
                              ("pop3", False, b"AUTH PLAIN ")):
        raw = connect(M, port, login)
        raw.send(head)
        ended = pour(raw, b"x" * 65536, 64 << 20)
        check("%s %r: the connection ends" % (port, head), ended)
        raw.close()
        served(M)
    # A session of POP3 skips what is too long, whatever its length: its next line is understood.
    raw = connect(M, "pop3", True)
    raw.send(b"x" * 5000000 + b"\r\nSTAT\r\n")
    check("refused", raw.line().startswith("-ERR"))
    check("and on", raw.line().startswith("+OK"))
    raw.close()
    served(M)


def literals():
    for login, data in ((False, b"a LOGIN {9999999}\r\n"), (False, b"a LOGIN {9999999+}\r\n"), (False, b"a LOGIN {4000000000}\r\n"),
                        (False, b"a LOGIN {99999999999999999999999999}\r\n")):
        raw = connect(M, "imap", login)
        raw.send(data)
        answer = raw.line()
        check("%r: %r" % (data, answer), re.match(r"\* BYE|(a|\*) (BAD|NO)", answer))
        raw.close()
        served(M)
    # One literal after the other without end.
    for login, head, part in ((False, b"a LOGIN ", b"{1+}\r\nx "), (True, b"a SEARCH ", b"{1+}\r\nx ")):
        raw = connect(M, "imap", login)
        raw.send(head)
        raw.sock.settimeout(SOON)
        try:
            for _ in range(20000):
                raw.send(part * 50)
        except ConnectionError:
            pass
        except socket.timeout:
            check("endless literals: the server neither reads nor closes", False)
        got = everything_soon(raw)
        check("a refusal: %r" % got[:200], b"BAD" in got or b"BYE" in got or got == b"")
        raw.close()
        served(M)


def everything_soon(raw):
    got = raw.buffer
    raw.sock.settimeout(2)
    try:
        while True:
            part = raw.sock.recv(65536)
            if not part:
                return got
            got += part
    except (ConnectionError, socket.timeout):
        return got


def no_line_end():
    """Input that ends without CRLF is no command, however the connection ends."""
    for port, login, data in (("imap", False, b"a LOGOUT"), ("imap", True, b"a LOGOUT"), ("pop3", False, b"QUIT"),
                              ("pop3", True, b"QUIT")):
        raw = connect(M, port, login)
        raw.send(data)
        raw.sock.shutdown(socket.SHUT_WR)
        got = everything(raw)
        check("%s %r: no command" % (port, got), b"+OK" not in got and b"a OK" not in got)
        raw.close()
        served(M)
    before = len(M.maildir("user0"))
    raw = connect(M, "imap", True)
    raw.send(b"a APPEND INBOX {20+}\r\nSubject: half")
    raw.sock.shutdown(socket.SHUT_WR)
    everything(raw)
    raw.close()
    check("half a literal is no message", len(M.maildir("user0")) == before)
    served(M)


def silence():
    """Who does not log in within login_timeout is sent away, whatever he did first; all at once, so that it is quick."""
    start = time.monotonic()
    waiting = []
    for port, data, what in (("imap", b"", "silence"), ("pop3", b"", "silence"), ("imap", b"a LOG", "half a command"),
                             ("pop3", b"USER us", "half a command"), ("imap", b"a LOGIN {20}\r\nabc", "half a literal"),
                             ("imap", b"a AUTHENTICATE PLAIN\r\n", "half an exchange"), ("pop3", b"AUTH PLAIN\r\n", "half an exchange"),
                             ("imaps", b"", "no handshake"), ("pop3s", b"\x16\x03\x01\x02", "half a handshake"),
                             ("imap", b"a STARTTLS\r\n", "no handshake"), ("pop3", b"STLS\r\n", "no handshake"),
                             ("imap", b"a NOOP\r\n", "no login"), ("pop3", b"CAPA\r\n", "no login")):
        raw = M.raw(port, SOON)
        raw.send(data)
        waiting.append((port, what, raw))
    served(M)  # others are not held up
    for port, what, raw in waiting:
        got = everything(raw)
        took = time.monotonic() - start
        check("%s, %s: closed after %.1f s: %r" % (port, what, took, got), took >= LOGIN_TIMEOUT - 1)
        if what in ("silence", "no login"):
            check("%s, %s: told: %r" % (port, what, got), b"* BYE" in got or b"-ERR" in got)
        raw.close()
    served(M)


def a_drop_at_a_time():
    """Bytes that arrive one by one do not put the end off."""
    for port in ("imap", "pop3"):
        raw = M.raw(port, SOON)
        start = time.monotonic()
        try:
            while time.monotonic() - start < SOON:
                raw.send(b"x")
                time.sleep(0.1)  # the pace of the slow client
            check("%s: still open" % port, False)
        except ConnectionError:
            pass
        raw.close()
        served(M)


if __name__ == "__main__":
    with Instance(users=1, login_timeout="%ds" % LOGIN_TIMEOUT) as M:
        merpati.main(refused, overlong, literals, no_line_end, silence, a_drop_at_a_time)
