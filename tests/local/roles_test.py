# labels: short
"""local with fake neighbours: every kind of delivery and its result, in the three roles."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from neighbours import Stage

DV_DELIVER, DV_RESULT = 0x0401, 0x0402
RW_LOCAL, RW_LOCAL_IS = 0x0103, 0x0104
CL_STOCK, CL_COMMIT, CL_DISCARD = 0x0201, 0x0202, 0x0203
SENT, DEFERRED, BOUNCED, EXPANDED = 1, 2, 3, 4
NOT_FOUND, TEMP = -8, -4

root = os.geteuid() == 0
UID, GID = (5000, 5000) if root else (os.getuid(), os.getgid())
top = tempfile.mkdtemp(prefix="local-test-")
os.chmod(top, 0o755)
base, home, queue = top + "/mail", top + "/home", top + "/queue"
for d in (base, home, queue):
    os.mkdir(d)
    if root and d != queue:
        os.chown(d, UID, GID)

CONF = {
    "myhostname": "mx.example.test", "myorigin": "example.test", "recipient_delimiter": "+", "mailbox_command": "",
    "forward_path": "$home/.forward${recipient_delimiter}${extension}, $home/.forward", "luser_relay": "",
    "virtual_mailbox_base": base, "export_environment": "TZ=UTC, LANG", "allow_mail_to_commands": "alias, forward",
    "allow_mail_to_files": "alias, forward", "prepend_delivered_header": "command, file, forward",
    "first_valid_uid": 1000, "first_valid_gid": 1000, "mailbox_size_limit": 51200000, "virtual_mailbox_limit": 51200000, "command_time_limit": 2,
    "delay_logging_resolution_limit": 2, "ipc_timeout": 3600, "default_privs": "nobody", "mail_spool_directory": "/var/mail",
    "home_mailbox": "",
}

USERS = {}     # address -> fields of RW_LOCAL_IS
COMMITS = []


def user(address, kind, uid=UID, gid=GID, name=b"", rhs="", owner="", folder="", mailbox="", extension="", status=0, reason=""):
    USERS[address] = [(status,), reason, kind, rhs, owner, uid, gid, name or address.split("@")[0], folder, mailbox, extension]


def rewrite(kind, fields, fds):
    assert kind == RW_LOCAL
    unknown = [(NOT_FOUND,), "unknown user", 0, "", "", 0, 0, "", "", "", ""]
    return RW_LOCAL_IS, USERS.get(fields[0].decode(), unknown)


def cleanup(kind, fields, fds):
    if kind == CL_STOCK:
        fd = os.open(queue + "/new%d" % len(COMMITS), os.O_CREAT | os.O_WRONLY, 0o600)
        os.lseek(fd, 64, os.SEEK_SET)
        return CL_STOCK, [(0,), 1, "4NEW%d" % len(COMMITS)], [fd]
    if kind == CL_COMMIT:
        COMMITS.append(fields)
        return CL_COMMIT, [(0,), fields[0], "2.0.0 Ok"]


MESSAGE = b"Received: from x\nSubject: hi\nTo: someone\n\nbody\nFrom here\n"
job = 0


def deliver(qmgr, rcpts, message=MESSAGE, sender="alice@a.org", transport="virtual", qid="4TEST", wait=True):
    """One message to some addresses (or (address, orig) pairs): {index: (status, dsn, text, members)}."""
    global job
    job += 1
    path = queue + "/m%d" % job
    with open(path, "wb") as f:
        f.write(b"x" * 64 + message)
    fd = os.open(path, os.O_RDONLY)
    header = message.index(b"\n\n") + 1
    now = int(time.time() * 1e6)
    fields = [job, qid, transport, "", (now,), sender, "", 0, (1795294800123456,), len(message), "client", "192.0.2.1", "helo",
              "ESMTP", "", "", "<id@x>", "", 1, 64, header, 64 + header, len(message) - header, len(rcpts)]
    for i, r in enumerate(rcpts):
        addr, orig = r if isinstance(r, tuple) else (r, r)
        fields += [i, addr, orig, "", 0, 0]
    qmgr.send(DV_DELIVER, fields, fds=[fd])
    os.close(fd)
    return results(qmgr, job, len(rcpts)) if wait else job


def results(qmgr, job, n):
    out = {}
    while True:
        kind, id, f, fds = qmgr.recv()
        assert (kind, id, f[0]) == (DV_RESULT, 0, job), (kind, id, f)
        at = 7
        for _ in range(f[6]):
            index, status, flags, dsn, relay, text, nmember = f[at:at + 7]
            at += 7
            members = [f[at + 5 * i].decode() for i in range(nmember)]
            at += 5 * nmember
            assert index not in out
            out[index] = (status, dsn.decode(), text.decode(), members)
        if f[1]:
            assert len(out) == n, out
            return out


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check_virtual(s, q):
    user("bob@example.test", 3, mailbox=base + "/example.test/bob/", name="bob@example.test")
    assert deliver(q, ["bob@example.test"]) == {0: (SENT, "2.0.0", "delivered to maildir", [])}
    files = glob.glob(base + "/example.test/bob/new/*")
    assert len(files) == 1
    size = os.path.getsize(files[0])
    assert os.path.basename(files[0]) == "1795294800.M123456Q4TESTR0.mx.example.test,S=%d,W=%d" % (size, size + read(files[0]).count(b"\n"))
    assert read(files[0]) == (b"Return-Path: <alice@a.org>\nX-Original-To: bob@example.test\nDelivered-To: bob@example.test\n" + MESSAGE)
    assert os.stat(files[0]).st_uid == UID and os.stat(files[0]).st_mode & 0o777 == 0o600
    # The same again, as after a crash: recognised.
    assert deliver(q, ["bob@example.test"])[0][0] == SENT
    assert len(glob.glob(base + "/example.test/bob/new/*")) == 1
    assert not glob.glob(base + "/example.test/bob/tmp/*")
    line = [l for l in s.log if "to=<bob@example.test>" in l][0]
    assert re.search(r"4TEST: to=<bob@example.test>, relay=virtual, delay=[\d.]+, delays=[\d.]+/[\d.]+/0/[\d.]+, dsn=2.0.0, "
                     r"status=sent \(delivered to maildir\)", line), line


def check_bounces(s, q):
    assert deliver(q, ["nobody@example.test"])[0] == (BOUNCED, "5.1.1", 'unknown user: "nobody@example.test"', [])
    assert deliver(q, ["nobody@example.test"], transport="local")[0] == (BOUNCED, "5.1.1", 'unknown user: "nobody"', [])
    looped = b"Delivered-To: Bob@example.test\n" + MESSAGE
    got = deliver(q, ["bob@example.test"], looped)[0]
    assert got == (BOUNCED, "5.4.6", "mail forwarding loop for bob@example.test", [])
    user("later@example.test", 0, status=TEMP, reason="table is down")
    assert deliver(q, ["later@example.test"])[0][:2] == (DEFERRED, "4.3.0")
    user("root@example.test", 2, uid=0, gid=0, folder=home, mailbox=home + "/root/")
    assert deliver(q, ["root@example.test"], transport="local")[0][:2] == (DEFERRED, "4.3.5")


def check_alias(s, q):
    user("list@example.test", 1, rhs="bob, Carl <carl@c.org>,\n\tdora@d.org")
    got = deliver(q, [("list@example.test", "list@example.test")], transport="local")[0]
    assert got[0] == EXPANDED and got[3] == ["bob@example.test", "carl@c.org", "dora@d.org"], got
    user("owned@example.test", 1, rhs="carl@c.org", owner="owner-owned@example.test")
    got = deliver(q, ["owned@example.test"], transport="local")[0]
    assert got == (SENT, "2.0.0", "forwarded as 4NEW0", []), got
    commit = COMMITS[-1]
    assert commit[1] == b"owner-owned@example.test" and b"carl@c.org" in commit
    text = read(queue + "/new0")[64:]
    assert text.endswith(MESSAGE) and b"Delivered-To: owned@example.test\n" in text and text.startswith(b"Received: by mx")
    # The null sender stays: the members are a plain expansion.
    assert deliver(q, ["owned@example.test"], transport="local", sender="")[0][0] == EXPANDED
    user("bad@example.test", 1, rhs="a b c")
    assert deliver(q, ["bad@example.test"], transport="local")[0][:2] == (DEFERRED, "4.3.5")
    user("mixed@example.test", 1, rhs='"|exit 67", carl@c.org')
    got = deliver(q, ["mixed@example.test"], transport="local")[0]
    assert got == (BOUNCED, "5.1.1", "user unknown", []), got
    assert len(COMMITS) == 2 and b"carl@c.org" in COMMITS[-1]
    # An alias that names itself, and \\user: the user behind it.
    user("self@example.test", 1, rhs="self, carl@c.org")
    user("\\self@example.test", 2, name="self", folder=home, mailbox=home + "/self/")
    got = deliver(q, ["self@example.test"], transport="local")[0]
    assert got[0] == EXPANDED and got[3] == ["carl@c.org"], got
    assert len(glob.glob(home + "/self/new/*")) == 1
    user("bs@example.test", 1, rhs="\\self, \\nobody")
    assert deliver(q, ["bs@example.test"], transport="local", qid="4BS")[0][:2] == (BOUNCED, "5.1.1")
    assert len(glob.glob(home + "/self/new/*")) == 2
    lists = home + "/list"
    with open(lists, "w") as f:
        f.write("# people\neve@e.org, frank\n/dev/null\n:include:%s/more\n" % home)
    with open(home + "/more", "w") as f:
        f.write("gil@g.org\n")
    user("inc@example.test", 1, rhs=":include:" + lists)
    got = deliver(q, ["inc@example.test"], transport="local")[0]
    assert got[0] == BOUNCED and "restricted" in got[2], got  # /dev/null is a file, and files are not allowed in lists
    with open(lists, "w") as f:
        f.write("# people\neve@e.org, frank\n:include:%s/more\n" % home)
    got = deliver(q, ["inc@example.test"], transport="local")[0]
    assert got[0] == EXPANDED and got[3] == ["eve@e.org", "frank@example.test", "gil@g.org"], got
    user("noinc@example.test", 1, rhs=":include:/no/such/file")
    assert deliver(q, ["noinc@example.test"], transport="local")[0][:2] == (DEFERRED, "4.3.5")


def check_links(s, q):
    """Members of one alias in mailboxes of one user: one file, several names; others get their own."""
    for i in range(4):
        user("m%d@example.test" % i, 3, mailbox=base + "/example.test/m%d/" % i)
    who = [("m0@example.test", "team@example.test"), ("m1@example.test", "team@example.test"),
           ("m2@example.test", "other@example.test"), "m3@example.test"]
    for again in range(2):
        got = deliver(q, who, qid="4LINK")
        assert [got[i][0] for i in range(4)] == [SENT] * 4, got
        files = [glob.glob(base + "/example.test/m%d/new/*" % i) for i in range(4)]
        assert [len(f) for f in files] == [1] * 4, files
    assert deliver(q, who, qid="4LINK2")[0][0] == SENT  # now all answers of rewrite are at hand in one turn
    files = [glob.glob(base + "/example.test/m%d/new/*Q4LINK2R*" % i) for i in range(4)]
    assert os.path.samefile(files[0][0], files[1][0]) and os.stat(files[0][0]).st_nlink == 2
    assert os.stat(files[2][0]).st_nlink == 1 and os.stat(files[3][0]).st_nlink == 1
    assert b"\nDelivered-To: team@example.test\n" in read(files[1][0])
    assert b"\nDelivered-To: other@example.test\n" in read(files[2][0])
    assert b"\nDelivered-To: m3@example.test\n" in read(files[3][0])


def check_file_and_command(s, q):
    box = home + "/archive"
    user("arch@example.test", 1, rhs=box)
    for _ in range(2):
        assert deliver(q, ["arch@example.test"], transport="local")[0] == (SENT, "2.0.0", "delivered to file: " + box, [])
    text = read(box)
    assert text.count(b"\nFrom alice@a.org  ") == 1 and text.startswith(b"From alice@a.org  ")
    assert text.count(b"\n>From here\n\n") == 2 and text.count(b"\nDelivered-To: arch@example.test\n") == 2
    user("null@example.test", 1, rhs="/dev/null")
    assert deliver(q, ["null@example.test"], transport="local")[0][0] == SENT
    out = home + "/out"
    user("cmd@example.test", 1, rhs='"|cat > %s; env | sort >> %s"' % (out, out))
    got = deliver(q, ["cmd@example.test"], transport="local")[0]
    assert got[0] == SENT and got[2].startswith("delivered to command: cat"), got
    text = read(out)
    assert text.startswith(b"From alice@a.org  ") and MESSAGE in text and b"\nSENDER=alice@a.org\n" in text
    assert b"\nRECIPIENT=cmd@example.test\n" in text and b"\nTZ=UTC\n" in text and b"\nHOME=/\n" in text
    cases = {"exit 75": (DEFERRED, "4.3.0", "temporary failure"), "exit 67": (BOUNCED, "5.1.1", "user unknown"),
             "echo why; exit 3": (BOUNCED, "5.3.0", 'Command died with status 3: "echo why; exit 3". Command output: why'),
             "kill -9 $$": (DEFERRED, "4.3.0", 'Command died with signal 9: "kill -9 $$"'),
             "/no/such": (BOUNCED, "5.3.0", 'Command died with status 127: "/no/such"'),
             "sleep 30": (DEFERRED, "4.3.0", 'Command time limit exceeded: "sleep 30"')}
    for command, want in cases.items():
        user("c@example.test", 1, rhs='"|%s"' % command)
        assert deliver(q, ["c@example.test"], transport="local")[0] == want + ([],), (command, s.log[-3:])
    if root:
        user("priv@example.test", 1, rhs="/etc/merpati-must-not-exist", uid=65534, gid=65534)
        assert deliver(q, ["priv@example.test"], transport="local")[0][:2] == (DEFERRED, "4.2.0")


def check_forward(s, q):
    me = home + "/me"
    os.mkdir(me)
    if root:
        os.chown(me, UID, GID)
    user("me@example.test", 2, name="me", folder=me, mailbox=me + "/Maildir/")
    assert deliver(q, ["me@example.test"], transport="local")[0] == (SENT, "2.0.0", "delivered to maildir", [])
    assert len(glob.glob(me + "/Maildir/new/*")) == 1
    forward = me + "/.forward"

    def write(text, mode=0o644, path=forward):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        if root:
            os.chown(path, UID, GID)

    write("")
    assert deliver(q, ["me@example.test"], transport="local", qid="4F1")[0][0] == SENT
    assert len(glob.glob(me + "/Maildir/new/*")) == 2
    write("\\me, carl@c.org\n# no\n\"|cat > %s/piped\"\n" % me)
    got = deliver(q, ["me@example.test"], transport="local", qid="4F2")[0]
    assert got[0] == EXPANDED and got[3] == ["carl@c.org"], got
    assert len(glob.glob(me + "/Maildir/new/*")) == 3 and MESSAGE in read(me + "/piped")
    write("me@example.test, bob\n")
    got = deliver(q, ["me@example.test"], transport="local", qid="4F3")[0]
    assert got[3] == ["bob@example.test"] and len(glob.glob(me + "/Maildir/new/*")) == 4
    write("bob\n", 0o666)
    assert deliver(q, ["me@example.test"], transport="local", qid="4F4")[0][2] == "delivered to maildir"
    write("extra@e.org\n", path=me + "/.forward+ext")
    user("me+ext@example.test", 2, name="me", folder=me, mailbox=me + "/Maildir/", extension="ext")
    assert deliver(q, ["me+ext@example.test"], transport="local")[0][3] == ["extra@e.org"]
    user("me+..@example.test", 2, name="me", folder=me, mailbox=me + "/Maildir/", extension="../../x")
    write("carl@c.org\n")
    assert deliver(q, ["me+..@example.test"], transport="local")[0][3] == ["carl@c.org"]
    os.unlink(forward)
    user("gone@example.test", 2, name="gone", folder=home + "/gone", mailbox=home + "/gone/Maildir/")
    assert deliver(q, ["gone@example.test"], transport="local")[0][:2] == (DEFERRED, "4.2.0")


def check_robust(s, q):
    # A child that dies in the middle: deferred, and the next delivery starts another.
    user("sleepy@example.test", 1, rhs='"|sleep 20"')
    n = deliver(q, ["sleepy@example.test"], transport="local", wait=False)
    time.sleep(0.3)
    child = [p for k, p in s.children.items() if k.startswith("local_user")][0]
    child.popen.kill()
    child.popen.wait()
    assert results(q, n, 1)[0][:2] == (DEFERRED, "4.3.0")
    user("ok@example.test", 1, rhs='"|exit 0"')
    assert deliver(q, ["ok@example.test"], transport="local")[0][0] == SENT
    # Nonsense closes that connection and nothing else.
    bad = s.connect("qmgr")
    bad.send(DV_DELIVER, [1, 2, 3])
    assert bad.recv() is None
    bad = s.connect("smtpd")
    bad.send(DV_DELIVER, [])
    assert bad.recv() is None
    assert deliver(q, ["bob@example.test"])[0][0] == SENT
    # Many at once, several recipients each.
    for i in range(20):
        user("u%d@example.test" % i, 3, mailbox=base + "/example.test/u%d/" % i)
    jobs = [deliver(q, ["u%d@example.test" % i for i in range(20)], qid="4MANY%d" % k, wait=False) for k in range(10)]
    done = {}
    while len(done) < 200:
        kind, id, f, fds = q.recv()
        for i in range(f[6]):
            assert f[8 + 7 * i] == SENT, f
            done[f[0], f[7 + 7 * i]] = True
    assert len(glob.glob(base + "/example.test/u*/new/*")) == 200
    assert len(jobs) == 10
    # More than are taken at a time: the rest waits in the socket.
    sender = threading.Thread(target=lambda: [deliver(q, ["u%d@example.test" % (k % 20)], qid="4FLOOD%d" % k, wait=False)
                                              for k in range(1500)])
    sender.start()
    for _ in range(1500):
        assert q.recv()[2][8] == SENT
    sender.join()


def check_parameters(s, q):
    """luser_relay, mailbox_command, limits, a mailbox in mbox form."""
    assert deliver(q, ["lost@example.test"], transport="local")[0][3] == ["lost+mail@c.org"]
    assert deliver(q, ["lost@example.test"])[0][0] == BOUNCED  # not for virtual mailboxes
    me = home + "/cmd"
    os.mkdir(me)
    if root:
        os.chown(me, UID, GID)
    user("cmd+x@example.test", 2, name="cmd", folder=me, mailbox=me + "/Maildir/", extension="x")
    got = deliver(q, ["cmd+x@example.test"], transport="local")[0]
    assert got[0] == SENT and got[2].startswith("delivered to command: "), got
    assert read(me + "/got") == b"x cmd %s\n" % me.encode()
    user("box@example.test", 3, mailbox=base + "/box")
    assert deliver(q, ["box@example.test"])[0] == (SENT, "2.0.0", "delivered to mailbox", [])
    if root:  # somebody was there first
        os.close(os.open(base + "/taken", os.O_CREAT | os.O_WRONLY, 0o600))
        os.chmod(base + "/taken", 0o666)
        os.chown(base + "/taken", UID + 1, GID)
        user("taken@example.test", 3, mailbox=base + "/taken")
        status, _, text, _ = deliver(q, ["taken@example.test"])[0]
        assert status == DEFERRED and "belongs to somebody else" in text, (status, text)
        assert os.stat(base + "/taken").st_size == 0
    got = deliver(q, ["box@example.test"], MESSAGE + b"x" * 2000)[0]
    assert got[:2] == (BOUNCED, "5.2.2"), got
    assert read(base + "/box").count(b"\nDelivered-To: box@example.test\n") == 1
    assert not os.path.exists(base + "/box.lock")
    # Somebody else holds the lock for a moment.
    with open(base + "/box.lock", "w"):
        pass
    n = deliver(q, ["box@example.test"], wait=False)
    time.sleep(0.3)
    os.unlink(base + "/box.lock")
    assert results(q, n, 1)[0][0] == SENT


def check_full(s, q):
    """A full file system: deferred, nothing left over, and delivered when there is room."""
    full = base + "/full"
    os.mkdir(full)
    if not root or subprocess.call(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", full]) != 0:
        return
    try:
        user("full@example.test", 3, mailbox=full + "/box/")
        assert deliver(q, ["full@example.test"])[0][0] == SENT
        got = deliver(q, ["full@example.test"], MESSAGE + b"y" * 100000, qid="4FULL")[0]
        assert got[:2] == (DEFERRED, "4.3.0") and got[2].startswith("maildir delivery failed: "), got
        assert len(os.listdir(full + "/box/new")) == 1 and not os.listdir(full + "/box/tmp")
        subprocess.check_call(["mount", "-o", "remount,size=1m", full])
        assert deliver(q, ["full@example.test"], MESSAGE + b"y" * 100000, qid="4FULL")[0][0] == SENT
        assert len(os.listdir(full + "/box/new")) == 2
    finally:
        for child in s.children.values():
            child.kill()
        subprocess.call(["umount", full])


try:
    with Stage("local", dict(CONF, luser_relay="$local+mail@c.org", virtual_mailbox_limit=1000,
                             mailbox_command='echo "$EXTENSION" "$USER" "$HOME" > $HOME/got'),
               {"rewrite": rewrite}) as stage:
        check_parameters(stage, stage.connect("qmgr"))
        print("ok check_parameters")
    with Stage("local", CONF, {"rewrite": rewrite, "cleanup": cleanup}) as stage:
        stage_log = stage.log
        link = stage.connect("qmgr")
        for check in (check_virtual, check_bounces, check_alias, check_links, check_file_and_command, check_forward, check_robust, check_full):
            try:
                check(stage, link)
            except BaseException:
                print("\n".join(stage.log[-30:]))
                raise
            print("ok", check.__name__)
finally:
    shutil.rmtree(top, ignore_errors=True)
