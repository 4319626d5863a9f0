# labels: short
"""login, auth and keyd: mechanisms, order, bad input, peers that are down, renewed certificates, changed passwords."""
import base64
import hashlib
import hmac
import imaplib
import os
import poplib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

from merpati import Failure, Instance, Raw, check, main, wait_for


class Scram:
    """The client of RFC 7677."""

    def __init__(self, user, password):
        self.user, self.password, self.nonce = user, password, base64.b64encode(os.urandom(15)).decode()

    def first(self):
        self.bare = "n=%s,r=%s" % (self.user, self.nonce)
        return "n,," + self.bare

    def final(self, server_first):
        parts = dict(p.split("=", 1) for p in server_first.split(","))
        check("the server's nonce begins with ours", parts["r"].startswith(self.nonce))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        without = "c=biws,r=" + parts["r"]
        message = ",".join((self.bare, server_first, without)).encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.expected = base64.b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")).decode()
        return "%s,p=%s" % (without, base64.b64encode(proof).decode())


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def scram(m):
    """SCRAM-SHA-256 with all three protocols; the server proves itself too."""
    raw = m.raw("imap")
    check("offered", "AUTH=SCRAM-SHA-256" in raw.line())
    s = Scram("user0@example.test", "secret")
    raw.send("a AUTHENTICATE SCRAM-SHA-256 %s\r\n" % b64(s.first()))
    raw.send(b64(s.final(base64.b64decode(raw.line()[2:]).decode())) + "\r\n")
    check("the server's signature", base64.b64decode(raw.line()[2:]).decode() == "v=" + s.expected)
    raw.send("\r\nb LOGOUT\r\n")
    check("logged in", raw.line().startswith("a OK"))
    raw.close()
    raw = m.raw("pop3")
    raw.line()
    s = Scram("user1", "secret")
    raw.send("AUTH SCRAM-SHA-256\r\n")
    check("empty challenge", raw.line().strip() == "+")
    raw.send(b64(s.first()) + "\r\n")
    raw.send(b64(s.final(base64.b64decode(raw.line()[2:]).decode())) + "\r\n")
    check("the server's signature", base64.b64decode(raw.line()[2:]).decode() == "v=" + s.expected)
    raw.send("\r\nQUIT\r\n")
    check("logged in", raw.line().startswith("+OK"))
    raw.close()
    for user, password in (("user0", "wrong"), ("nobody", "secret")):
        raw = m.raw("imap")
        raw.line()
        s = Scram(user, password)
        raw.send("a AUTHENTICATE SCRAM-SHA-256 %s\r\n" % b64(s.first()))
        raw.send(b64(s.final(base64.b64decode(raw.line()[2:]).decode())) + "\r\n")
        check("refused", raw.line().startswith("a NO [AUTHENTICATIONFAILED]"))
        raw.close()


def plain_mechanisms(m):
    for mech, words in (("PLAIN", [b"\0user0\0secret"]), ("LOGIN", [b"user0@EXAMPLE.test", b"secret"])):
        raw = m.raw("imap")
        raw.line()
        raw.send("a AUTHENTICATE %s\r\n" % mech)
        for word in words:
            check("a challenge", raw.line().startswith("+"))
            raw.send(b64(word) + "\r\n")
        check(mech, raw.line().startswith("a OK"))
        raw.close()
    raw = m.raw("imap")
    raw.line()
    raw.send("a AUTHENTICATE PLAIN %s\r\n" % b64(b"user1\0user0\0secret"))
    check("nobody acts for somebody else", raw.line().startswith("a NO"))
    raw.send("b AUTHENTICATE PLAIN\r\n")
    raw.line()
    raw.send("*\r\n")
    check("abort", raw.line().startswith("b BAD"))
    raw.send("c AUTHENTICATE GSSAPI\r\nd LOGIN user0 secret\r\n")
    check("unknown mechanism", raw.line().startswith("c NO"))
    check("the next command works", raw.line().startswith("d OK"))
    raw.close()


def same_answer(m):
    """An unknown user and a wrong password look and take the same."""
    took = []
    for user in ("user0", "nobody"):
        m_start = time.monotonic()
        try:
            m.imap(user, "wrong", tls=False)
            check("refused", False)
        except imaplib.IMAP4.error as error:
            took.append((str(error), time.monotonic() - m_start))
    check("same text", took[0][0] == took[1][0])
    check("a delay: %r" % took, took[0][1] >= 0.9 and took[1][1] >= 0.9)
    m.wait_log(r"warning: unknown\[127\.0\.0\.1\]: SASL PLAIN authentication failed: .*sasl_username=nobody@example\.test")


def pipelined(m):
    """What follows the login in the same packet reaches the session."""
    raw = m.raw("imap")
    raw.line()
    raw.send("a LOGIN user0 secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
    lines = []
    while True:
        line = raw.line()
        if line is None:
            break
        lines.append(line)
    for tag in "abc":
        check("%s OK in %r" % (tag, lines), any(l.startswith(tag + " OK") for l in lines))
    raw = m.raw("pop3")
    raw.line()
    raw.send("USER user0\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
    check("four answers", [raw.line()[:3] for _ in range(4)] == ["+OK"] * 4 and raw.line() is None)


def large_relay(m):
    """Megabytes through the relay and back, TLS and plain, with a reader that stops for a while."""
    text = b"Subject: big\r\n\r\n" + b"".join(b"%07d %s\r\n" % (i, b"x" * 60) for i in range(60000))
    for tls in (True, False):
        c = m.imap("user1", tls=tls)
        check("append", c.append("INBOX", None, None, text)[0] == "OK")
        c.select()
        c.send(b"z FETCH 1 BODY.PEEK[]\r\n")
        time.sleep(0.2)  # the buffers between us fill meanwhile
        line = c.readline()
        size = int(re.search(rb"\{(\d+)\}", line).group(1))
        got = c.read(size)
        check("what came back is what was sent", got == text)
        c.readline()
        check("tagged", c.readline().startswith(b"z OK"))
        c.store("1", "+FLAGS", "\\Deleted")
        c.expunge()
        c.logout()


BAD_INPUT = [
    ("imap", b"a " + b"x" * 20000 + b"\r\n", b"* BYE"),
    ("imap", b"a LOGIN \0 b\r\n", b"a BAD|\\* BAD"),
    ("imap", b"a LOGIN {9999999}\r\n", b"* BYE"),
    ("imap", b"a LOGIN {9999999+}\r\n", b"* BYE"),
    ("imap", b"a SELECT INBOX\r\n", b"a BAD"),
    ("imap", b"\xff\xfe\xfd\r\n", b"\\* BAD"),
    ("imap", b"junk\r\n" * 12, b"(?s).*\\* BYE"),
    ("imap", b"a AUTHENTICATE PLAIN !!!!\r\n", b"a BAD"),
    ("pop3", b"x" * 20000 + b"\r\n", b"-ERR"),
    ("pop3", b"PASS secret\r\n", b"-ERR"),
    ("pop3", b"USER a\0b\r\n", b"-ERR"),
    ("pop3", b"RETR 1\r\n", b"-ERR"),
    ("pop3", b"junk\r\n" * 12, b"(?s).*closed|.*(-ERR.*){11}"),
]


def bad_input(m):
    for port, data, want in BAD_INPUT:
        raw = m.raw(port)
        raw.line()
        raw.send(data)
        raw.sock.settimeout(2)
        got = b""
        pattern = re.compile(want.replace(b"* BYE", b"\\* BYE") if want == b"* BYE" else want)
        try:
            while not pattern.match(got):
                part = raw.sock.recv(65536)
                if not part:
                    break
                got += part
        except (socket.timeout, ConnectionResetError):
            pass
        check("%s %r: %r" % (port, data[:40], got[:200]), pattern.match(got))
        raw.close()
        m.imap(tls=False).logout()


def silence(m):
    """A client that says nothing is sent away; so is one that stops in the middle of a handshake."""
    idle, half = m.raw("imap", 60), m.raw("imaps", 60)
    idle.line()
    half.send(b"\x16\x03\x01")
    check("BYE", "BYE" in (idle.line() or ""))
    check("closed", half.sock.recv(10) == b"")


def failures_end(m):
    raw = m.raw("imap", timeout=60)
    raw.line()
    answers = []
    for i in range(5):
        raw.send("a%d LOGIN user0 wrong\r\n" % i)
        answers.append(raw.line())
    check("five refusals", all("AUTHENTICATIONFAILED" in a for a in answers))
    check("then the end", "BYE" in raw.line())


def starttls(m):
    """RFC 3501 section 6.2.1: what came before the handshake is forgotten, bytes sent along with STARTTLS are not run."""
    raw = m.raw("imap")
    raw.line()
    raw.send("a STARTTLS\r\nb NOOP\r\n")
    check("go on", raw.line().startswith("a OK"))
    tls = m.tls_context().wrap_socket(raw.sock, server_hostname="localhost")
    secure = Raw(tls)
    secure.send("c CAPABILITY\r\n")
    first = secure.line()
    check("no answer to b: %r" % first, first.startswith("* CAPABILITY") and "STARTTLS" not in first)
    check("done", secure.line().startswith("c OK"))
    secure.send("d STARTTLS\r\n")
    check("not twice", secure.line().startswith("d BAD"))
    secure.close()
    m.wait_log(r"Anonymous TLS connection established from unknown\[127\.0\.0\.1\]: TLSv1\.3 with cipher \S+ "
               r"\(\d+/\d+ bits\) key-exchange X25519 server-signature ECDSA \(P-256\)")


def resumption(m):
    """A second connection takes the ticket of the first, whichever process answers, and asks keyd for no signature."""
    context = m.tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect(session):
        sock = socket.create_connection(("localhost", m.ports["imaps"]), 10)
        return context.wrap_socket(sock, server_hostname="localhost", session=session)

    first = connect(None)
    first.recv(100)
    second = connect(first.session)
    second.recv(100)
    check("resumed", second.session_reused)
    first.close()
    second.close()


def session_that_cannot_start(m):
    """The mail folder of an account is gone: a temporary refusal, not a lost connection."""
    path = os.path.join(m.info["mail_root"], m.domain, "user1")
    os.rename(path, path + ".away")
    try:
        for port, hello, word in (("imap", "a LOGIN user1 secret\r\n", "a "), ("pop3", "USER user1\r\nPASS secret\r\n", "")):
            raw = m.raw(port)
            raw.line()
            raw.send(hello)
            answer = raw.line()
            if port == "pop3":
                answer = raw.line()
            check("an answer: %r" % answer, answer is not None and answer.startswith(word))
            raw.close()
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.rename(path + ".away", path)


def password_change(m):
    """The cache of right passwords ends with the password; a deleted account is unknown at once."""
    m.imap("user1", tls=False).logout()
    m.tool("merpati", "user", "passwd", "user1@example.test", input="better\n")

    def refused(password):
        try:
            m.imap("user1", password, tls=False).logout()
            return False
        except imaplib.IMAP4.error:
            return True

    wait_for("the new password", lambda: not refused("better"), 20)
    check("the old password", refused("secret"))
    m.tool("merpati", "user", "del", "user1@example.test")
    wait_for("the account is gone", lambda: refused("better"), 20)
    m.tool("merpati", "user", "add", "user1@example.test", input="secret\n")
    wait_for("the account is back", lambda: not refused("secret"), 20)


def auth_down(m):
    """auth stopped: a temporary answer; killed: back in a moment; its workers killed: nobody notices for long."""
    main_process = m.pids("auth")[-1]
    os.kill(main_process, signal.SIGSTOP)
    try:
        imap, pop3 = m.raw("imap", 60), m.raw("pop3", 60)
        imap.line(), pop3.line()
        imap.send("a LOGIN user0 secret\r\n")
        pop3.send("USER user0\r\nPASS secret\r\n")
        check("UNAVAILABLE", "[UNAVAILABLE]" in imap.line())
        pop3.line()
        check("SYS/TEMP", "[SYS/TEMP]" in pop3.line())
    finally:
        os.kill(main_process, signal.SIGCONT)

    def works():
        try:
            m.imap(tls=False).logout()
            return True
        except (imaplib.IMAP4.error, OSError):
            return False

    wait_for("logins after SIGCONT", works)
    for pid in m.pids("auth-nursery"):
        os.kill(pid, signal.SIGKILL)
    wait_for("logins after the helpers of auth died", works)
    for pid in m.pids("auth"):
        os.kill(pid, signal.SIGKILL)
    wait_for("logins after auth died", works)


def auth_slow():
    """auth answers too late: the client may try again on the same connection, and nobody else's login is cut off."""
    with Instance(users=2) as m:
        auth = m.pids("auth")[-1]
        imap = m.raw("imap", 60)
        imap.line()
        os.kill(auth, signal.SIGSTOP)
        try:
            imap.send("a LOGIN user0@example.test secret\r\n")
            check("UNAVAILABLE", "[UNAVAILABLE]" in imap.line())
            imap.send("b LOGIN user0@example.test secret\r\n")
        finally:
            os.kill(auth, signal.SIGCONT)
        check("the second try", "b OK" in imap.line())
        check("auth took it for no mistake", "out of order" not in m.log())


def keyd_down(m):
    """keyd killed: handshakes work again in a moment, with the contexts that login has."""
    for pid in m.pids("keyd"):
        os.kill(pid, signal.SIGKILL)

    def works():
        try:
            m.imap().logout()
            return True
        except (imaplib.IMAP4.error, OSError):
            return False

    wait_for("TLS after keyd died", works)


def renewed_certificate(m):
    """New files are noticed without a reload; broken ones are reported and the old stay in use."""
    tls = os.path.join(m.etc, "tls")
    before = ssl.get_server_certificate(("127.0.0.1", m.ports["imaps"]))
    saved = os.path.join(m.dir, "saved")
    shutil.copytree(tls, saved)
    with open(os.path.join(tls, "cert.pem"), "w") as f:
        f.write("nonsense\n")
    m.wait_log(r"keyd.*cannot be used, the old ones stay", timeout=30)
    check("the old one is served", ssl.get_server_certificate(("127.0.0.1", m.ports["imaps"])) == before)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", os.path.join(tls, "key.pem"), "-out",
                    os.path.join(tls, "cert.pem")], check=True, stderr=subprocess.DEVNULL)
    wait_for("the new one is served",
             lambda: ssl.get_server_certificate(("127.0.0.1", m.ports["imaps"])) != before, 30)
    m.imap().logout()
    m.wait_log(r"server-signature RSA-PSS \(2048 bits\)")


def reload_keeps_sessions(m):
    c = m.imap()
    c.select()
    m.tool("merpati", "reload")
    m.imap().logout()
    check("still there", c.noop()[0] == "OK")
    c.logout()


def many_certificates(m):
    """smtpd_tls_chain_files with two names and two key types: each client gets the certificate of the name it asks for."""
    files = []
    for name, key in (("one.test", ["rsa:2048"]), ("*.two.test", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        path = os.path.join(m.etc, "tls", "chain%d.pem" % len(files))
        done = subprocess.run(["openssl", "req", "-x509", "-newkey"] + key + ["-nodes", "-days", "3", "-subj", "/CN=x",
                              "-addext", "subjectAltName=DNS:" + name, "-keyout", "-", "-out", "-"],
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with open(path, "wb") as f:
            f.write(done.stdout)
        shutil.chown(path, "merpati-keyd")
        os.chmod(path, 0o400)
        files.append(path)
    m.set(smtpd_tls_chain_files=", ".join(files))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def certificate(name):
        with socket.create_connection(("localhost", m.ports["imaps"]), 10) as sock:
            with context.wrap_socket(sock, server_hostname=name) as tls:
                return tls.getpeercert(binary_form=True)

    def right():
        try:
            return (b"one.test" in certificate("one.test") and b"*.two.test" in certificate("imap.two.test")
                    and b"one.test" in certificate("other.test"))
        except OSError:
            return False

    wait_for("the certificates by name", right, 30)


def all_of_it():
    with Instance(users=2, auth_failure_delay="1s", auth_failure_delay_limit="1s", login_timeout="20s") as m:
        for step in (scram, plain_mechanisms, same_answer, pipelined, large_relay, bad_input, failures_end, starttls,
                     resumption, session_that_cannot_start,
                     password_change, reload_keeps_sessions, keyd_down, auth_down, renewed_certificate, silence,
                     many_certificates):
            began = time.monotonic()
            try:
                step(m)
            except Exception as error:
                raise Failure("%s: %s: %s" % (step.__name__, type(error).__name__, error)) from error
            print("     %-40s %6.2f s" % (step.__name__, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main(all_of_it, auth_slow)
