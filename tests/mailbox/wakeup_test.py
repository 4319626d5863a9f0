"""Sessions in IDLE hear at once of what other programs and other sessions do to the folder, without polling."""
import os
import signal
import time

from merpati import Instance, check, main, wait_for

TEXT = b"Subject: hello\n\ntext\n"


def maildir(m, user="user0"):
    return os.path.join(m.info["mail_root"], m.domain, user)


def put(m, name):
    """Files a message as procmail would."""
    tmp, new = (os.path.join(maildir(m), sub, name) for sub in ("tmp", "new"))
    with open(tmp, "wb") as f:
        f.write(TEXT)
    os.chmod(tmp, 0o600)
    os.chown(tmp, 5000, 5000)
    os.rename(tmp, new)


class Idle:
    """One raw IMAP session with a selected folder."""

    def __init__(self, m, user="user0"):
        self.raw = m.raw("imap")
        self.raw.line()
        self.command("a LOGIN %s@%s secret" % (user, m.domain))
        self.command("b SELECT INBOX")

    def command(self, text):
        tag = text.split()[0]
        self.raw.send(text + "\r\n")
        lines = []
        while True:
            line = self.raw.line()
            lines.append(line)
            if line is None or line.startswith(tag + " "):
                check("%s: %s" % (text, line), line is not None and line.startswith(tag + " OK"))
                return lines

    def idle(self):
        self.raw.send("i IDLE\r\n")
        check("continuation", self.raw.line().startswith("+"))

    def until(self, text):
        start = time.monotonic()
        while True:
            line = self.raw.line()
            check("connection lost while waiting for %r" % text, line is not None)
            if text in line:
                return time.monotonic() - start


def new_mail_and_flags():
    with Instance(users=1) as m:
        a, b = Idle(m), Idle(m)
        for s in (a, b):
            s.idle()
        time.sleep(0.3)  # both have their watches; what comes now must come by a wake-up
        put(m, "1700000001.M1P1.procmail")
        check("the first session hears at once", a.until("1 EXISTS") < 3)
        check("the second session hears at once", b.until("1 EXISTS") < 3)
        b.raw.send("DONE\r\n")
        b.until("i OK")
        b.command("c STORE 1 +FLAGS (\\Flagged)")
        check("a flag of the other session", a.until("\\Flagged") < 3)
        # mutt reads it: the file is renamed by another program
        cur = os.path.join(maildir(m), "cur")
        name = os.listdir(cur)[0]
        os.rename(os.path.join(cur, name), os.path.join(cur, name + "S"))
        check("a flag set by another program", a.until("\\Seen") < 3)
        os.unlink(os.path.join(cur, name + "S"))
        check("a removal by another program", a.until("1 EXPUNGE") < 3)


def without_anvil():
    """Sessions whose anvil has died look at intervals; sessions that begin later have the new one."""
    with Instance(users=1, session_poll_interval="1s") as m:
        a = Idle(m)
        a.idle()
        time.sleep(0.3)
        os.kill(m.pids("anvil")[0], signal.SIGKILL)
        put(m, "1700000001.M1P1.procmail")
        check("found by looking", a.until("1 EXISTS") < 5)
        b = wait_for("a new session", lambda: Idle(m), 10)
        b.idle()
        time.sleep(0.3)
        put(m, "1700000002.M2P1.procmail")
        check("the new session hears at once", b.until("2 EXISTS") < 3)


def reload_keeps_sessions():
    with Instance(users=1) as m:
        a = Idle(m)
        a.idle()
        time.sleep(0.3)
        m.set(session_poll_interval="20s")
        put(m, "1700000001.M1P1.procmail")
        check("the session lives on", a.until("1 EXISTS") < 3)
        a.raw.send("DONE\r\n")
        a.until("i OK")
        a.command("c NOOP")
        b = Idle(m)
        b.command("c NOOP")


if __name__ == "__main__":
    main(new_mail_and_flags, without_anvil, reload_keeps_sessions)
