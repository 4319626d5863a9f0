"""master: services that move, go and come back over reloads while old processes still drain; who may hold the lock."""
# labels: short
import fcntl
import os
import socket
import stat

import merpati
from merpati import check, wait_for


def master_cf(m, text=None):
    path = os.path.join(m.etc, "master.cf")
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    with open(path) as f:
        return f.read()


def reload(m):
    m.tool("merpati", "reload")


def line_of(m, text, name):
    at = text.index("127.0.0.1:%d " % m.ports[name])
    return text[at:text.index("\n", at) + 1]


def can_connect(port):
    with socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex(("127.0.0.1", port)) == 0


def busy_session(m, name):
    c = m.raw(name)
    check("greeting", c.reply()[0] == 220)
    check("EHLO", c.command("EHLO client.test")[0] == 250)
    check("MAIL", c.command("MAIL FROM:<a@load.test>")[0] == 250)
    check("RCPT", c.command("RCPT TO:<user0@example.test>")[0] == 250)
    check("DATA", c.command("DATA")[0] == 354)  # holds the drain back
    return c


def end_session(c):
    c.send("Subject: x\r\n\r\nx\r\n.\r\n")
    check("the old session ends well", c.reply()[0] == 250)
    c.close()


def test_removed_and_added_again_while_draining(m):
    whole = master_cf(m)
    old = busy_session(m, "smtp")
    without = whole.replace(line_of(m, whole, "smtp"), "")
    master_cf(m, without)
    reload(m)
    wait_for("nobody listens on the port of a service that is gone", lambda: not can_connect(m.ports["smtp"]))
    master_cf(m, whole)
    reload(m)
    check("added again", m.raw("smtp").reply()[0] == 220)
    reload(m)
    reload(m)
    check("reloads go on while the first process drains", m.raw("smtp").reply()[0] == 220)
    end_session(old)
    wait_for("the old generations are forgotten", lambda: "draining" not in m.tool("merpati", "status"))
    check("served", m.raw("smtp").reply()[0] == 220)


def test_ports_change_places(m):
    whole = master_cf(m)
    smtp, lmtp = line_of(m, whole, "smtp"), line_of(m, whole, "lmtp")
    # The same address under another name, and two services that change places.
    named = whole.replace(smtp, smtp.replace("127.0.0.1:", "localhost:"))
    master_cf(m, named)
    reload(m)
    check("the same port by another name", m.raw("smtp").reply()[0] == 220)
    swapped = whole.replace(smtp, "@").replace(lmtp, lmtp.replace(str(m.ports["lmtp"]), str(m.ports["smtp"])))
    swapped = swapped.replace("@", smtp.replace(str(m.ports["smtp"]), str(m.ports["lmtp"])))
    master_cf(m, swapped)
    reload(m)
    wait_for("LMTP is where SMTP was", lambda: m.raw("smtp").command("LHLO x.test")[0] in (220, 250))
    master_cf(m, whole)
    reload(m)
    check("and back", m.raw("smtp").reply()[0] == 220)


def test_an_address_named_twice(m):
    m.set(inet_interfaces="127.0.0.1, localhost")
    whole = master_cf(m)
    master_cf(m, whole + "%d inet n - - - - smtpd\n" % (m.base + 26))
    reload(m)
    check("bound once", can_connect(m.base + 26))
    master_cf(m, whole)
    m.set(inet_interfaces="loopback-only")


def test_one_queue_manager(m):
    """qmgr goes from master.cf's line to the implicit service: never two of them."""
    whole = master_cf(m)
    before = m.pids("qmgr")
    master_cf(m, "".join(line for line in whole.splitlines(True) if not line.startswith("qmgr")))
    reload(m)
    check("the same process serves on: %s %s" % (before, m.pids("qmgr")), m.pids("qmgr") == before)
    master_cf(m, whole)
    reload(m)


def test_the_log_stays(m):
    path = os.path.join(m.etc, "main.cf")
    with open(path) as f:
        good = f.read()
    with open(path, "a") as f:
        f.write("maillog_file =\n")
    done = m.tool("merpati", "reload", check=False)
    check("refused: %d %s" % (done.returncode, done.stdout), done.returncode == 78)
    m.wait_log("reload refused: maillog_file")
    with open(path, "w") as f:
        f.write(good)
    reload(m)
    m.raw("smtp").reply()
    m.wait_log("connect from")


def test_lock(m):
    path = os.path.join(m.queue, "master.pid")
    check("only root opens the lock file", stat.S_IMODE(os.stat(path).st_mode) == 0o600)
    with open(path) as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            check("the lock is held", False)
        except BlockingIOError:
            pass


def all_tests():
    with merpati.Instance(users=1, drain_time="60s") as m:
        for test in (test_removed_and_added_again_while_draining, test_ports_change_places, test_an_address_named_twice,
                     test_one_queue_manager, test_the_log_stays, test_lock):
            test(m)
            print("     %s" % test.__name__, flush=True)


if __name__ == "__main__":
    merpati.main(all_tests)
