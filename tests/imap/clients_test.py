"""IMAP with programs that none of us wrote: curl, mbsync (both ways), fetchmail, mutt."""
import os
import pty
import select
import shutil
import subprocess
import tempfile

import merpati
from imap_client import Client
from merpati import check

LETTER = b"From: Alice <alice@a.org>\r\nTo: bob@b.org\r\nSubject: letter %d\r\nMessage-ID: <%d@a.org>\r\n\r\nline one\r\n.dot\r\n"


def run(*command, home=None, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, cwd=home,
                          env=dict(os.environ, **(env or {})))
    check("%s: exit status %d\n%s%s" % (command[0], done.returncode, done.stdout.decode(errors="replace"),
                                        done.stderr.decode(errors="replace")), done.returncode == 0)
    return done.stdout


def run_screen(*command, env):
    """The same for a program that wants a terminal."""
    master, slave = pty.openpty()
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=dict(os.environ, **env),
                             start_new_session=True)
    os.close(slave)
    seen = b""
    try:
        while True:
            ready, _, _ = select.select([master], [], [], 30)
            part = os.read(master, 65536) if ready else b""
            seen += part
            if not part:
                break
    except OSError:  # the other end is closed
        pass
    try:
        status = child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        status = "killed"
    os.close(master)
    check("%s: exit status %s\n%r" % (command[0], status, seen[-2000:]), status == 0)


def fill(user, n):
    c = Client(M, user=user)
    c.ok("SELECT INBOX")
    for i in range(n):
        c.append(LETTER % (i, i))
    return c


def have(program):
    return shutil.which(program) is not None


def curl():
    if not have("curl"):
        return
    fill("user0", 2).close()
    base = "imaps://localhost:%d/" % M.ports["imaps"]
    auth = ["--cacert", M.info["ca_file"], "-s", "-S", "-u", "user0@example.test:secret"]
    check("list", b"INBOX" in run("curl", *auth, base))
    check("fetch", run("curl", *auth, base + "INBOX;MAILINDEX=1") == LETTER % (0, 0))
    check("search", run("curl", *auth, base + "INBOX?SUBJECT%20letter").strip() == b"* SEARCH 1 2")
    with tempfile.NamedTemporaryFile() as f:
        f.write(LETTER % (7, 7))
        f.flush()
        run("curl", *auth, "-T", f.name, base + "INBOX")
    check("upload", run("curl", *auth, base + "INBOX;MAILINDEX=3") == LETTER % (7, 7))
    run("curl", *auth, base, "-X", "CREATE Curl")
    check("starttls", b"Curl" in run("curl", "--ssl-reqd", *auth, "imap://localhost:%d/" % M.ports["imap"]))


def mbsync():
    if not have("mbsync"):
        return
    c = fill("user1", 3)
    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "rc"), "w") as f:
            f.write("""IMAPAccount a
Host localhost
Port %d
User user1@example.test
Pass secret
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
""" % (M.ports["imaps"], M.info["ca_file"], home, home))
        os.mkdir(os.path.join(home, "mail"))
        sync = lambda: run("mbsync", "-c", os.path.join(home, "rc"), "-a", home=home, env={"HOME": home})
        sync()
        inbox = os.path.join(home, "mail", "INBOX")
        files = lambda: sorted(os.path.join(inbox, d, n) for d in ("cur", "new") for n in os.listdir(os.path.join(inbox, d)))
        check("three came: %r" % files(), len(files()) == 3)
        # Changes on both sides: a flag here, a new message here, one gone there, a new folder there.
        first = files()[0]
        base = os.path.basename(first).split(":")[0]
        os.rename(first, os.path.join(inbox, "cur", base + ":2,FS"))
        with open(os.path.join(inbox, "new", "1.local"), "wb") as f:
            f.write(b"Subject: from here\n\nhello\n")
        c.ok("STORE 3 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("CREATE Far.Side")
        c.append(LETTER % (9, 9), mailbox="Far.Side")
        sync()
        sync()
        check("found", c.ok('SEARCH SUBJECT "from here"')[-2].split()[2:] != [])
        check("flag there", b"\\Flagged" in b"".join(c.ok("FETCH 1:* FLAGS")))
        check("gone here", len(files()) == 3)
        # A second run without changes moves nothing.
        before = c.ok("FETCH 1:* (UID FLAGS)")
        sync()
        check("stable", c.ok("FETCH 1:* (UID FLAGS)") == before)
    c.close()


def fetchmail():
    if not have("fetchmail"):
        return
    fill("user2", 2).close()
    with tempfile.TemporaryDirectory() as home:
        rc = os.path.join(home, "rc")
        with open(rc, "w") as f:
            f.write("""poll localhost protocol imap service %d user "user2@example.test" password "secret" ssl sslcertck
 sslcertfile "%s" keep mda "cat >> %s/got"
""" % (M.ports["imaps"], M.info["ca_file"], home))
        os.chmod(rc, 0o600)
        run("fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--pidfile", home + "/pid", env={"HOME": home, "FETCHMAILHOME": home})
        with open(home + "/got", "rb") as f:
            got = f.read()
        check("both letters", got.count(b"Subject: letter") == 2 and b"\n.dot\n" in got)


def mutt():
    if not have("mutt"):
        return
    fill("user3", 2).close()
    with tempfile.TemporaryDirectory() as home:
        rc = os.path.join(home, "rc")
        with open(rc, "w") as f:
            f.write("""set imap_user="user3@example.test" imap_pass="secret" ssl_force_tls=yes certificate_file="%s"
set ssl_verify_host=no header_cache="" quit=yes copy=no confirmappend=no confirmcreate=no delete=yes
set folder="imaps://localhost:%d/" mbox="" move=no
""" % (M.info["ca_file"], M.ports["imaps"]))
        # Copies the first message into a new folder, deletes the second, leaves.
        keys = 'push "<first-entry><copy-message>=Saved<enter><next-entry><delete-message><quit>"'
        run_screen("mutt", "-n", "-F", rc, "-f", "imaps://localhost:%d/INBOX" % M.ports["imaps"], "-e", keys,
            env={"HOME": home, "TERM": "dumb"})
    c = Client(M, user="user3")
    check("copied", c.ok("STATUS Saved (MESSAGES)")[0].endswith(b"(MESSAGES 1)\r\n"))
    check("deleted", c.ok("STATUS INBOX (MESSAGES)")[0].endswith(b"(MESSAGES 1)\r\n"))
    c.close()


if __name__ == "__main__":
    with merpati.Instance(users=4) as M:
        merpati.main(curl, mbsync, fetchmail, mutt)
