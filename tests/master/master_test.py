"""master: reload without dropping a connection, a broken configuration never replaces a working one, orderly stop, restarts."""
# labels: short
import os
import re
import shutil
import signal
import subprocess
import time

import merpati
from merpati import check, wait_for


def test_reload_keeps_connections(m):
    old = m.raw("smtp")
    check("greeting", old.reply()[0] == 220)
    check("EHLO", old.command("EHLO client.test")[0] == 250)
    imap = m.imap()
    m.set(smtpd_banner="$myhostname ESMTP second generation")
    wait_for("the new banner", lambda: (lambda c: "second generation" in c.reply()[1][0])(m.raw("smtp")))
    check("the old session goes on", old.command("MAIL FROM:<a@load.test>")[0] == 250)
    check("to its end", old.command("RCPT TO:<user0@example.test>")[0] == 250)
    check("with data", old.command("DATA")[0] == 354)
    old.send("Subject: over a reload\r\n\r\nbody\r\n.\r\n")
    check("accepted", old.reply()[0] == 250)
    check("QUIT", old.command("QUIT")[0] == 221)
    m.wait_mail(count=1)
    check("the IMAP session goes on", imap.select("INBOX")[0] == "OK")
    imap.logout()


def test_errors_change_nothing(m):
    path = os.path.join(m.etc, "main.cf")
    with open(path) as f:
        good = f.read()
    with open(path, "a") as f:
        f.write("message_size_limit = many\nsmtpd_timeout = 5 fortnights\n")
    done = m.tool("merpati", "reload", check=False)
    check("refused with a configuration error: %d" % done.returncode, done.returncode == 78)
    check("both errors at once, with their lines: " + done.stdout,
          "message_size_limit" in done.stdout and "smtpd_timeout" in done.stdout and re.search(r"line \d+", done.stdout))
    os.kill(m.info["master_pid"], signal.SIGHUP)  # past the check of the command
    m.wait_log("reload refused")
    c = m.raw("smtp")
    check("still served", c.reply()[0] == 220)
    c.close()
    with open(path, "w") as f:
        f.write(good)
    check("check is silent now", m.tool("merpati", "check") == "")


def test_unknown_names_are_told(m):
    with open(os.path.join(m.etc, "main.cf"), "a") as f:
        f.write("smtpd_recipient_limits = 5\n")
    done = m.tool("merpati", "check", check=False)
    check("the nearest name: " + done.stdout, done.returncode == 0 and "smtpd_recipient_limit" in done.stdout)


def test_processes_come_back(m):
    for program in ("smtpd", "rewrite", "imapd", "logd"):
        before = set(m.pids(program))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for("new %s" % program, lambda: set(m.pids(program)) - before)
    m.wait_log(r"process smtpd pid \d+ killed by signal 9")
    status = m.tool("merpati", "status")
    check("status names each service: " + status, all(word in status for word in ("master pid", "qmgr", "pickup", "cleanup")))


def test_one_master_per_queue(m):
    done = m.tool("merpati", "start", check=False)
    check("a second start is refused: " + done.stdout, done.returncode != 0 and "already running" in done.stdout)


def test_strangers(m):
    tool = shutil.copy(os.path.join(m.bin, "merpati"), m.dir)  # a build folder may be closed to others
    for verb in ("status", "reload"):
        done = subprocess.run([tool, "-c", m.etc, verb], user=65534, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check("%s is not for everybody: %s" % (verb, done), done.returncode == 77 and "only root" in done.stdout)


def test_closed_folder(m):
    closed = os.path.join(m.dir, "closed")
    os.makedirs(os.path.join(closed, "libexec"))
    os.chmod(closed, 0o700)
    etc = shutil.copytree(m.etc, os.path.join(m.dir, "etc2"))
    with open(os.path.join(etc, "main.cf"), "a") as f:
        f.write("daemon_directory = %s/libexec\nqueue_directory = %s/spool\n" % (closed, closed))
    for verb in ("start", "check"):
        done = subprocess.run([os.path.join(m.bin, "merpati"), "-c", etc, verb], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check("%s tells what is in the way: %s" % (verb, done), done.returncode == 78 and closed + " is closed" in done.stdout)


def test_identities(m):
    uids = {}
    for program in ("smtpd", "cleanup", "qmgr", "rewrite", "resolver", "smtp", "local", "login", "imapd", "pop3d", "auth", "keyd",
                    "anvil", "logd"):
        pid = wait_for(program, lambda p=program: m.pids(p))[0]
        with open("/proc/%d/status" % pid) as f:
            status = f.read()
        uid = set(re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split())
        check("%s has one identity, not root's: %s" % (program, uid), len(uid) == 1 and "0" not in uid)
        uids.setdefault(uid.pop(), []).append(program)
        check("%s: no new privileges" % program, re.search(r"^NoNewPrivs:\s+1$", status, re.M))
        check("%s: seccomp" % program, re.search(r"^Seccomp:\s+2$", status, re.M))
        caps = int(re.search(r"^CapEff:\s+(\S+)$", status, re.M).group(1), 16)
        allowed = (1 << 6 | 1 << 7) if program in ("imapd", "pop3d") else 0
        check("%s: capabilities %x" % (program, caps), caps & ~allowed == 0)
    shared = [names for names in uids.values() if len(names) > 1]
    check("no two programs share a user: %s" % shared, not shared)
    files = subprocess.run(["find", m.info["bin"], os.path.join(m.info["bin"], "../libexec"), "-perm", "/6000"],
                           stdout=subprocess.PIPE, text=True).stdout
    check("no set-uid or set-gid file: " + files, files == "")


def test_stop(m):
    c = m.raw("smtp")
    c.reply()
    imap = m.imap()  # an idle session of each kind: neither may hold the stop back
    start = time.monotonic()
    m.tool("merpati", "stop")
    check("stopped in %.1f s" % (time.monotonic() - start), time.monotonic() - start < 4)
    imap.shutdown()
    check("everybody has ended", not any(m.pids(p) for p in ("smtpd", "cleanup", "qmgr", "logd")))
    last = c.line()
    check("the client was told: %r" % last, last is not None and last.startswith("421 4.3.2"))
    m.start_master()
    m.wait_mail(count=1)


def all_tests():
    with merpati.Instance(users=2, drain_time="5s") as m:
        for test in (test_reload_keeps_connections, test_errors_change_nothing, test_unknown_names_are_told,
                     test_processes_come_back, test_one_master_per_queue, test_strangers, test_closed_folder,
                     test_identities, test_stop):
            test(m)
            print("     %s" % test.__name__, flush=True)


if __name__ == "__main__":
    merpati.main(all_tests)
