"""A process that has been taken over turns on master and on the others: endless requests for connections whose answers it never
reads, requests that are not its own, more descriptors than it may send.  Only that process ends."""
# labels: short
import os
import re
import shutil
import tempfile

import merpati
from merpati import BUILD, check, wait_for

# Takes smtpd's place; what it does depends on how many were started before it (a file counts).
SMTPD = r'''#!/usr/bin/python3
import os, socket, struct, sys
count = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "count")
with open(count, "a+") as f:
    f.write("x")
    f.flush()
    turn = f.tell() - 1
control = socket.socket(fileno=3)

def frame(type, body, fds=0, id=7):
    return struct.pack("<IHBBI", len(body), type, fds, 1, id) + body

def text(s):
    return b"s" + struct.pack("<I", len(s)) + s

def number(v):
    return b"u" + struct.pack("<Q", v)

control.setblocking(True)
control.sendall(frame(32, number(0)))
connect = frame(34, text(b"rewrite") + text(b""))
kind = turn % 4
if kind == 0:      # never reads its answers
    while True:
        control.sendall(connect * 500)
elif kind == 1:    # reads them and keeps what it gets: how many connections to one program does one process have?
    control.setblocking(False)
    kept = []
    while True:
        try:
            control.sendall(connect)
        except BlockingIOError:
            pass
        try:
            kept += socket.recv_fds(control, 65536, 64)[1]
        except BlockingIOError:
            pass
elif kind == 2:    # grants, which are auth's to make, thousands in one write
    control.sendall(frame(35, b"") * 3000)
else:              # descriptors that belong to no message
    null = os.open("/dev/null", os.O_RDONLY)
    while True:
        socket.send_fds(control, [connect], [null] * 30)
'''


def place(where):
    for name in os.listdir(os.path.join(BUILD, "libexec")):
        if name != "smtpd":
            os.symlink(os.path.join(BUILD, "libexec", name), os.path.join(where, name))
    with open(os.path.join(where, "smtpd"), "w") as f:
        f.write(SMTPD)
    os.chmod(os.path.join(where, "smtpd"), 0o755)
    open(os.path.join(where, "count"), "w").close()
    os.chmod(os.path.join(where, "count"), 0o666)
    os.chmod(where, 0o755)


def descriptors(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return 0


def test_only_the_hostile_process_ends(m, where):
    core = {p: m.pids(p) for p in ("rewrite", "cleanup", "anvil", "auth", "qmgr")}
    master = m.info["master_pid"]
    most = {"master": 0, "rewrite": 0}

    def all_kinds_started():
        most["master"] = max(most["master"], descriptors(master))
        most["rewrite"] = max([most["rewrite"]] + [descriptors(p) for p in m.pids("rewrite")])
        return os.path.getsize(os.path.join(where, "count")) >= 12  # at 18 every service has one that goes on for ever

    wait_for("a dozen hostile processes", all_kinds_started, timeout=60)
    check("master is not filled with descriptors: %s" % most, most["master"] < 5000)
    check("nor is the program that they ask for: %s" % most, most["rewrite"] < 2000)
    for program, before in core.items():
        check("%s lives: %s, now %s" % (program, before, m.pids(program)), m.pids(program) == before)
    log = m.log()
    for why in ("does not read the answers that it asks for", "may not make", "too many descriptors"):
        check("it is said why: " + why, why in log)
    lines = len(re.findall("may not make", log))
    check("one line for each, not one for each message: %d" % lines, lines <= 40)
    imap = m.imap()
    check("others are served", imap.select("INBOX")[0] == "OK")
    imap.logout()


def all_tests():
    where = tempfile.mkdtemp(prefix="merpati-flood-")
    try:
        place(where)
        with merpati.Instance(users=1, daemon_directory=where, drain_time="2s") as m:
            test_only_the_hostile_process_ends(m, where)
    finally:
        shutil.rmtree(where)


if __name__ == "__main__":
    merpati.main(all_tests)
