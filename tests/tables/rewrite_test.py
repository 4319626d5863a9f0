"""What rewrite says at RCPT: the whole alias chain, changed tables, tables that cannot be read, a dead worker."""
# labels: short
import os
import signal
import smtplib

from merpati import Instance, check, main, wait_for


def rcpt(*addresses):
    """Reply codes of RCPT for each address."""
    s = smtplib.SMTP("127.0.0.1", m.ports["smtp"], timeout=60)
    s.ehlo("client.test")
    codes = []
    for a in addresses:
        s.rset()
        s.mail("x@a.org")
        codes.append(s.rcpt(a))
    s.quit()
    return codes


def code(address):
    return rcpt(address)[0][0]


def virt(text):
    path = os.path.join(m.etc, "virtual")
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)
    m.tool("postmap", "hash:" + path)


FIRST = ("ali.test x\ninfo@ali.test user0@example.test, user1@example.test\nloopa@ali.test loopb@ali.test\n"
         "loopb@ali.test loopa@ali.test\ndead@ali.test nosuch@example.test\n@other.test @example.test\n")


def test_chain():
    got = rcpt("user0@example.test", "user0+tag@example.test", "info@ali.test", "user1@other.test")
    check(str(got), [c for c, _ in got] == [250] * 4)
    for address, text in (("nosuch@example.test", b"User unknown in virtual mailbox table"),
                          ("nosuch@ali.test", b"User unknown in virtual alias table"),
                          ("dead@ali.test", b"User unknown in virtual mailbox table"),
                          ("nosuch@other.test", b"User unknown in virtual mailbox table"),
                          ("no-such-user@localhost", b"User unknown in local recipient table")):
        (c, reply), = rcpt(address)
        check("%s: %d %s" % (address, c, reply), c == 550 and b"5.1.1" in reply and text in reply)
    check("a loop is not for ever", code("loopa@ali.test") == 451)
    check("system user", code("root@localhost") == 250)


def test_changed_table():
    check("not there yet", code("late@ali.test") == 550)
    virt(FIRST + "late@ali.test user1@example.test\n")
    wait_for("the new table", lambda: code("late@ali.test") == 250, 10)


def test_unreadable_table():
    path = os.path.join(m.etc, "virtual")
    for name in ("", ".lmdb"):
        os.rename(path + name, path + name + ".away")
    wait_for("no table, no answer", lambda: code("user0@example.test") == 451, 10)
    check("never 550", code("nosuch@example.test") == 451)
    os.rename(path + ".away", path)
    wait_for("the source text will do", lambda: code("info@ali.test") == 250, 10)
    os.rename(path + ".lmdb.away", path + ".lmdb")
    with open(path + ".lmdb", "r+b") as f:
        good = f.read()
        f.seek(0)
        f.write(b"\0" * 8192)
    virt(FIRST)
    wait_for("whole again", lambda: code("info@ali.test") == 250 and code("nosuch@ali.test") == 550, 10)
    check("something was there", len(good) > 4096)


def test_delivery():
    """One address, two mailboxes; the extension goes along."""
    before = len(m.maildir("user0")), len(m.maildir("user1"))
    s = smtplib.SMTP("127.0.0.1", m.ports["smtp"], timeout=60)
    s.sendmail("x@a.org", ["info@ali.test", "user1+tag@other.test"], "Subject: both\r\n\r\nx\r\n")
    s.quit()
    m.wait_mail("user0", before[0] + 1)
    m.wait_mail("user1", before[1] + 2)
    m.wait_log(r"to=<user0@example.test>, orig_to=<info@ali.test>.*status=sent")
    m.wait_log(r"to=<user1\+tag@example.test>, orig_to=<user1\+tag@other.test>.*status=sent")


def test_worker_killed():
    """The process that asks NSS dies: rewrite is replaced, mail goes on."""
    first = m.pids("rewrite")
    workers = m.pids("rewrite-users")
    check(str(workers), len(workers) == 1)
    os.kill(workers[0], signal.SIGKILL)
    wait_for("a new rewrite", lambda: m.pids("rewrite") and m.pids("rewrite") != first, 20)
    wait_for("served", lambda: code("root@localhost") == 250, 20)


with Instance() as m:
    with open(os.path.join(m.etc, "virtual"), "w") as f:
        f.write(FIRST)
    m.tool("postmap", "hash:" + os.path.join(m.etc, "virtual"))
    m.set(virtual_alias_maps="hash:" + os.path.join(m.etc, "virtual"))
    wait_for("the reload", lambda: code("info@ali.test") == 250, 20)
    main(*[f for name, f in list(globals().items()) if name.startswith("test_")])
