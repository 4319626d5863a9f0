# labels: short
"""POP3 through login and pop3d: retrieval byte for byte, deletion only at QUIT, pipelining, bad input."""
import os
import poplib
import signal

from merpati import Instance, check, main, wait_for

MESSAGES = [
    b"From: a@a.org\nSubject: one\n\n.leading dot\n..two\nlast\n",
    b"From: a@a.org\nSubject: two\n\n" + b"".join(b"line %d\n" % i for i in range(200)),
    b"From: a@a.org\nSubject: three\n\nno end of line",
]


def put(m, text, user="user0", seq=[0]):
    """Files a message as a delivery agent would."""
    base = os.path.join(m.info["mail_root"], m.domain, user)
    for sub in ("", "tmp", "new", "cur"):
        path = os.path.join(base, sub)
        os.makedirs(path, mode=0o700, exist_ok=True)
        chain = path
        while chain != m.info["mail_root"]:
            os.chown(chain, 5000, 5000)
            chain = os.path.dirname(chain)
    seq[0] += 1
    name = "%d.M%dP1.test" % (1700000000 + seq[0], seq[0])
    path = os.path.join(base, "tmp", name)
    with open(path, "wb") as f:
        f.write(text)
    os.chmod(path, 0o600)
    os.chown(path, 5000, 5000)
    os.rename(path, os.path.join(base, "new", name))


def wire(text):
    lines = text.replace(b"\n", b"\r\n")
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def retrieval():
    with Instance(users=1) as m:
        for text in MESSAGES:
            put(m, text)
        p = m.pop3()
        check("STAT counts", p.stat()[0] == 3)
        check("LIST sizes", p.list()[1] == [b"%d %d" % (i + 1, len(t.replace(b"\n", b"\r\n"))) for i, t in enumerate(MESSAGES)])
        uidl = p.uidl()[1]
        check("unique ids are unique", len({u.split()[1] for u in uidl}) == 3)
        for i, text in enumerate(MESSAGES):
            got = b"".join(line + b"\r\n" for line in p.retr(i + 1)[1])
            check("message %d byte for byte" % (i + 1), got == wire(text))
        check("TOP", p.top(2, 3)[1] == [b"From: a@a.org", b"Subject: two", b"", b"line 0", b"line 1", b"line 2"])
        p.dele(1)
        p.close()  # no QUIT
        p = m.pop3()
        check("nothing removed without QUIT", p.uidl()[1] == uidl)
        p.dele(1)
        p.quit()
        p = m.pop3(tls=False)
        check("unique ids stay", [u.split()[1] for u in p.uidl()[1]] == [u.split()[1] for u in uidl[1:]])
        check("CAPA", {"TOP", "UIDL", "PIPELINING", "RESP-CODES"} <= set(p.capa()))
        p.quit()
        m.wait_log(r"pop3d\[\d+\]: user=<user0@example.test>, rip=127.0.0.1, logged out")


def pipelining():
    with Instance(users=1) as m:
        for i in range(300):
            put(m, b"Subject: %d\n\n" % i + b"x" * 70 + b"\n" * (i % 50))
        c = m.raw("pop3")
        check("greeting", c.line().startswith("+OK"))
        c.send("USER user0@example.test\r\nPASS secret\r\n" + "".join("RETR %d\r\n" % (i + 1) for i in range(300)) + "QUIT\r\n")
        check("USER", c.line().startswith("+OK"))
        check("PASS", c.line().startswith("+OK"))
        for i in range(300):
            check("RETR %d" % i, c.line().startswith("+OK"))
            check("order", c.line() == "Subject: %d" % i)
            while c.line() != ".":
                pass
        check("QUIT", c.line().startswith("+OK"))
        check("closed", c.line() is None)


def bad_input():
    with Instance(users=1) as m:
        put(m, MESSAGES[0])
        c = m.raw("pop3")
        c.line()
        c.send("USER user0@example.test\r\nPASS secret\r\n")
        c.line()
        check("logged in", c.line().startswith("+OK"))
        for text in (b"x" * 100000 + b"\r\n", b"RETR 1\0\r\n", b"RETR -1\r\n", b"RETR 99999999999999999999\r\n", b"\r\n",
                     b"TOP 1\r\n", b"\xff\xfe\r\n", b"RETR 2\r\n", b"DELE 0\r\n"):
            c.send(text)
            check("%r is refused" % text[:20], c.line().startswith("-ERR"))
        c.send("STAT\r\n")
        check("the session goes on", c.line().startswith("+OK 1 "))
        try:
            for _ in range(40):
                c.send("BOGUS\r\n")
                if c.line() is None:
                    break
            else:
                check("too many errors end the session", False)
        except ConnectionError:
            pass
        p = m.pop3()
        check("the next client is served", p.stat()[0] == 1)
        p.quit()


def two_sessions():
    with Instance(users=1) as m:
        for text in MESSAGES:
            put(m, text)
        a, b = m.pop3(), m.pop3()
        a.dele(2)
        a.quit()
        check("still counted", b.stat()[0] == 3)
        try:
            b.retr(2)
            check("a message that is gone", False)
        except poplib.error_proto:
            pass
        check("the others are there", len(b.retr(3)[1]) == 4)
        b.quit()
        i = m.imap()
        check("IMAP sees two", i.select()[1] == [b"2"])
        check("and one was read", i.search(None, "SEEN")[1] == [b"2"])
        i.logout()


def killed_zygote():
    with Instance(users=1) as m:
        put(m, MESSAGES[0])
        a = m.pop3()
        with open("/proc/%d/task/%d/children" % ((m.info["master_pid"],) * 2)) as f:
            mine = set(f.read().split())
        zygotes = [pid for pid in m.pids("pop3d") if str(pid) in mine]
        check("one zygote", len(zygotes) == 1)
        os.kill(zygotes[0], signal.SIGKILL)
        try:
            a.noop()
        except (poplib.error_proto, OSError, EOFError):
            pass

        def again():
            try:
                p = m.pop3()
                n = p.stat()[0]
                p.quit()
                return n == 1
            except (poplib.error_proto, OSError, EOFError):
                return False

        wait_for("a new session after kill -9", again, 20)


if __name__ == "__main__":
    main(retrieval, pipelining, bad_input, two_sessions, killed_zygote)
