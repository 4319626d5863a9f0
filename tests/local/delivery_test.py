# labels: short
"""Aliases, files, commands, lists, system users and virtual mailboxes, from SMTP to the file."""
import glob
import os
import re
import subprocess
import sys
import tempfile

import merpati
from merpati import check, wait_for

CAROL = 7001


def private_passwd(top):
    """Runs us again where /etc/passwd has one more user; the host's own file stays as it is."""
    if os.environ.get("MERPATI_PRIVATE_PASSWD"):
        return os.environ["MERPATI_PRIVATE_PASSWD"]
    if os.geteuid() != 0 or subprocess.call(["unshare", "-m", "true"]) != 0:
        print("SKIPPED: needs root and mount namespaces")
        sys.exit(0)
    os.chmod(top, 0o755)
    home = os.path.join(top, "carol")
    os.mkdir(home, 0o700)
    os.chown(home, CAROL, CAROL)
    passwd = os.path.join(top, "passwd")
    with open("/etc/passwd") as f, open(passwd, "w") as out:
        out.write(f.read() + "carol:x:%d:%d::%s:/bin/sh\n" % (CAROL, CAROL, home))
    env = dict(os.environ, MERPATI_PRIVATE_PASSWD=home)
    code = subprocess.call(["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd,
                            sys.executable] + sys.argv, env=env)
    subprocess.call(["rm", "-rf", top])
    sys.exit(code)


HOME = private_passwd(os.environ.get("MERPATI_PRIVATE_PASSWD") and "" or tempfile.mkdtemp(prefix="local-"))
BOX = tempfile.mkdtemp(prefix="local-box-")
os.chmod(BOX, 0o777)


def send(m, to, subject="x", sender="alice@a.org"):
    with m.smtp() as c:
        c.sendmail(sender, to if isinstance(to, list) else [to], "Subject: %s\r\n\r\nbody\r\n" % subject)


def status(m, to, count=1):
    return m.wait_log(r": to=<%s>, .*dsn=(\S+), status=(\w+) \((.*)\)" % re.escape(to), count).groups()


def aliases(m, **entries):
    """Adds entries and waits until the new table is in use: a name of its own tells."""
    marker = "marker%d" % aliases.count
    aliases.count += 1
    with open(os.path.join(m.etc, "aliases"), "a") as f:
        f.writelines("%s: %s\n" % item for item in entries.items())
        f.write("%s: user0\n" % marker)
    m.tool("postalias", "lmdb:%s/aliases" % m.etc)

    def known():
        with m.smtp() as c:
            c.ehlo()
            c.mail("probe@a.org")
            return c.rcpt(marker + "@localhost")[0] == 250
    wait_for("new alias table", known)


aliases.count = 0


def read(path):
    with open(path) as f:
        return f.read()


def test_virtual(m):
    send(m, ["user0@example.test", "user1+ext@example.test"], "virtual")
    m.wait_mail("user0")
    text = read(m.wait_mail("user1")[0])
    check("headers", text.startswith("Return-Path: <alice@a.org>\nX-Original-To: user1+ext@example.test\n"
                                     "Delivered-To: user1+ext@example.test\n"))
    check("virtual", status(m, "user0@example.test") == ("2.0.0", "sent", "delivered to maildir"))
    name = os.path.basename(m.maildir("user0")[0])
    size = os.path.getsize(m.maildir("user0")[0])
    check("size in the name " + name, ",S=%d,W=" % size in name)
    check("nothing left in tmp", not glob.glob(os.path.join(m.info["mail_root"], "example.test/*/tmp/*")))


def test_summary(m):
    """What smtpd worked out is in the index before the session opens a message."""
    with m.imap("user1") as c:
        c.select()
    send(m, "user1@example.test", "summary one")
    path = [p for p in m.wait_mail("user1", 2) if "summary one" in read(p)][0]
    check("record beside the mail", os.path.exists(os.path.join(m.info["mail_root"], "example.test/user1/merpati-delivered")))
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("summary one", "SUMMARY TWO"))
    with m.imap("user1") as c:
        c.select()
        got = b" ".join(x if isinstance(x, bytes) else b" ".join(x) for x in c.fetch("1:*", "(ENVELOPE)")[1])
        check("from the record: %r" % got, b"summary one" in got and b"SUMMARY TWO" not in got)
    check("taken", not os.path.exists(os.path.join(m.info["mail_root"], "example.test/user1/merpati-delivered")))


def test_alias_list(m):
    before = len(m.maildir("user0")), len(m.maildir("user1"))
    aliases(m, both="user0, user1@example.test")
    send(m, "both@localhost", "list")
    m.wait_mail("user0", before[0] + 1)
    m.wait_mail("user1", before[1] + 1)
    m.wait_log(r"to=<user0@example.test>, orig_to=<both@localhost>, relay=virtual, .*status=sent")


def test_owner(m):
    before = len(m.maildir("user0"))
    aliases(m, announce="user0", **{"owner-announce": "user1"})
    send(m, "announce@localhost", "owner")
    paths = m.wait_mail("user0", before + 1)
    text = [t for t in map(read, paths) if "Subject: owner" in t][0]
    check("sender is the owner: " + text, text.startswith("Return-Path: <owner-announce@"))
    check("trace", "Delivered-To: announce@" in text)
    check("forwarded", status(m, "announce@localhost")[2].startswith("forwarded as "))


def test_file_command_list(m):
    aliases(m, arch=BOX + "/archive", pipe='"|cat >> %s/piped"' % BOX, fail='"|echo sorry; exit 75"',
            inc=":include:%s/list" % BOX)
    with open(BOX + "/list", "w") as f:
        f.write("# members\nuser1\n")
    send(m, ["arch@localhost", "pipe@localhost", "inc@localhost", "fail@localhost"], "special")
    check("file", status(m, "arch@localhost")[2] == "delivered to file: %s/archive" % BOX)
    check("command", status(m, "pipe@localhost")[2].startswith("delivered to command: cat"))
    check("deferred", status(m, "fail@localhost") == ("4.3.0", "deferred", "temporary failure. Command output: sorry"))
    check("text", "Subject: special" in read(BOX + "/archive") and "Subject: special" in read(BOX + "/piped"))
    check("nobody wrote it", os.stat(BOX + "/archive").st_uid == 65534)
    m.wait_log(r"to=<user1@example.test>, orig_to=<inc@localhost>, relay=virtual, .*status=sent")


def test_system_user(m):
    send(m, "carol@localhost", "first")
    wait_for("mail for carol", lambda: glob.glob(HOME + "/Maildir/new/*"))
    path = glob.glob(HOME + "/Maildir/new/*")[0]
    check("owner", os.stat(path).st_uid == CAROL and os.stat(path).st_mode & 0o777 == 0o600)
    check("status", status(m, "carol@localhost") == ("2.0.0", "sent", "delivered to maildir"))
    before = len(m.maildir("user0"))
    with open(HOME + "/.forward", "w") as f:
        f.write("\\carol, user0@example.test, \"|id -u > %s/who\"\n" % HOME)
    os.chown(HOME + "/.forward", CAROL, CAROL)
    send(m, "Carol+x@localhost", "second")
    wait_for("copy for carol", lambda: len(glob.glob(HOME + "/Maildir/new/*")) == 2)
    m.wait_mail("user0", before + 1)
    check("command ran as carol", read(HOME + "/who") == "%d\n" % CAROL)
    aliases(m, carol="carol, user1")
    before = len(m.maildir("user1"))
    os.unlink(HOME + "/.forward")
    send(m, "carol@localhost", "third")
    m.wait_mail("user1", before + 1)
    wait_for("alias that names itself", lambda: len(glob.glob(HOME + "/Maildir/new/*")) == 3)


def test_loops(m):
    aliases(m, ping="pong@localhost", pong="ping@localhost")
    try:
        send(m, "ping@localhost", "loop", "user1@example.test")
        m.wait_log(r"to=<p[io]ng@localhost>, .*status=bounced")
    except merpati.smtplib.SMTPRecipientsRefused:
        pass  # found at RCPT already
    with m.smtp() as c:
        c.sendmail("", ["user0@example.test"], "Delivered-To: user0@example.test\r\n\r\nx\r\n")
    m.wait_log(r"to=<user0@example.test>, .*dsn=5.4.6, status=bounced \(mail forwarding loop for user0@example.test\)")


def test_unknown(m):
    for to in ("nobody-here@localhost", "nobody-here@example.test"):
        with m.smtp() as c:
            try:
                c.sendmail("a@a.org", [to], "x\r\n")
                raise merpati.Failure(to + " was accepted")
            except merpati.smtplib.SMTPRecipientsRefused as e:
                check("550: %r" % e.recipients, e.recipients[to][0] == 550)


def all_of_them():
    with merpati.Instance(users=2) as m:
        for test in (test_virtual, test_summary, test_alias_list, test_owner, test_file_command_list, test_system_user, test_loops,
                     test_unknown):
            test(m)
            print("  ok", test.__name__, flush=True)


merpati.main(all_of_them)
