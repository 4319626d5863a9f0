"""Logs without maillog_file: to the journal's socket with fields, else to syslog's; a reader that stops stops no mail.  The
sockets are the test's own: master runs in a mount namespace where they lie in the place of the machine's."""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import merpati
from merpati import Instance, check, wait_for

# $1: folder with our sockets.  The command that follows sees a /run and a /dev without any others.
STAGE = r"""
set -e
mount --make-rprivate /
mkdir -p "$1/dev" && mount -t tmpfs tmpfs "$1/dev"
for name in null zero full random urandom tty; do touch "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done
mkdir "$1/dev/shm" && ln -s /proc/self/fd "$1/dev/fd"
[ ! -S "$1/syslog" ] || ln -s "$1/syslog" "$1/dev/log"
mount --rbind "$1/dev" /dev
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
[ ! -S "$1/journal" ] || ln -s "$1/journal" /run/systemd/journal/socket
shift
exec "$@"
"""


class Reader:
    """A datagram socket that keeps what comes, as long as it is not stopped."""

    def __init__(self, folder, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = os.path.join(folder, name)
        self.sock.bind(path)
        os.chmod(path, 0o666)
        self.sock.settimeout(0.1)
        self.got, self.reading, self.over = [], threading.Event(), False
        self.reading.set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            self.reading.wait()
            try:
                self.got.append(self.sock.recv(1 << 20))
            except socket.timeout:
                pass

    def close(self):
        self.over = True
        self.reading.set()
        self.thread.join()
        self.sock.close()


class Hidden(Instance):
    """An instance whose machine has only the log sockets of this folder."""

    def __init__(self, folder, **params):
        super().__init__(maillog_file="", **params)
        self.via = ["unshare", "-m", "sh", "-c", STAGE, "stage", folder]


def fields(datagram):
    """One entry of the journal's native protocol."""
    out, at = {}, 0
    while at < len(datagram):
        end = datagram.index(b"\n", at)
        line = datagram[at:end]
        if b"=" in line:
            name, value = line.split(b"=", 1)
            at = end + 1
        else:
            size, = struct.unpack_from("<Q", datagram, end + 1)
            name, value = line, datagram[end + 9:end + 9 + size]
            at = end + 10 + size
        out[name.decode()] = value.decode()
    return out


def stage():
    folder = tempfile.mkdtemp(prefix="merpati-sockets-")
    os.chmod(folder, 0o755)
    return folder


def send(m, subject):
    with m.smtp() as s:
        s.sendmail("user0@example.test", ["user1@example.test"], "Subject: %s\r\n\r\nx\r\n" % subject)


def journal():
    folder = stage()
    reader = Reader(folder, "journal")
    try:
        with Hidden(folder) as m:
            send(m, "one")

            def entries():
                return [fields(d) for d in list(reader.got)]

            wait_for("the end of the message", lambda: [e for e in entries() if e["MESSAGE"].endswith(": removed")])
            client = [e for e in entries() if "client=" in e["MESSAGE"]][0]
            qid = client["QUEUE_ID"]
            check("text as in a file: %s" % client["MESSAGE"], client["MESSAGE"].startswith("%s: client=" % qid))
            check("CLIENT: %r" % client, client["CLIENT"] == "localhost[127.0.0.1]")
            letter = [e for e in entries() if e.get("QUEUE_ID") == qid]
            who = {e["SYSLOG_IDENTIFIER"] for e in letter}
            check("each program of its way: %r" % who,
                  {"merpati/smtpd", "merpati/cleanup", "merpati/qmgr", "merpati/virtual"} <= who)
            for e in entries():
                check("%r" % e, e["PRIORITY"] in "34567" and e["SYSLOG_FACILITY"] == "2" and int(e["SYSLOG_PID"]) > 0)
            check("no queue id where there is none", "QUEUE_ID" not in [e for e in entries() if "connect from" in e["MESSAGE"]][0])
            check("no log file", not m.log())
            m.tool("merpati", "reload")
            send(m, "two")
            wait_for("lines after a reload", lambda: len([e for e in entries() if e["MESSAGE"].endswith(": removed")]) == 2)
    finally:
        reader.close()
        shutil.rmtree(folder)


def syslog():
    folder = stage()
    reader = Reader(folder, "syslog")
    try:
        with Hidden(folder) as m:
            send(m, "one")
            wait_for("the end of the message", lambda: [d for d in list(reader.got) if d.endswith(b": removed")])
            for line in reader.got:
                check("%r" % line, re.match(rb"<(1[6-9]|2[0-3])>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d merpati/[\w/-]+\[\d+\]: ", line))
            check("the letter", [d for d in reader.got if b"status=sent" in d and d.startswith(b"<22>")])
    finally:
        reader.close()
        shutil.rmtree(folder)


def stopped():
    """What a full socket does not take waits in the programs, and is counted where that is too much."""
    for name, end in (("journal", b"\n"), ("syslog", b"")):
        folder = stage()
        reader = Reader(folder, name)
        try:
            with Hidden(folder) as m:
                send(m, "first")
                wait_for("the log", lambda: [d for d in list(reader.got) if d.endswith(b": removed" + end)])
                reader.reading.clear()
                for number in range(300):
                    send(m, str(number))
                m.wait_mail("user1", 301, 60)
                m.tool("postqueue", "-p")
                reader.reading.set()
                send(m, "last")

                def told():
                    return b"".join(list(reader.got))

                wait_for("new lines", lambda: told().count(b": removed") >= 3)
                wait_for("the number of lost lines", lambda: b" log lines were lost" in told())
                wait_for("what waited", lambda: told().count(b"status=sent") >= 150)
        finally:
            reader.close()
            shutil.rmtree(folder)


def nobody_reads():
    """A reader that is gone: no line, no error to anybody, no waiting; a new one at the same place gets the next lines."""
    folder = stage()
    reader = Reader(folder, "journal")
    try:
        with Hidden(folder) as m:
            send(m, "first")
            m.wait_mail("user1", 1)
            reader.close()
            os.unlink(os.path.join(folder, "journal"))
            send(m, "second")
            m.wait_mail("user1", 2)
            reader = Reader(folder, "journal")

            def again():
                send(m, "third")
                return reader.got

            wait_for("lines for the new reader", again, 40)
    finally:
        reader.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    probe = subprocess.run(["unshare", "-m", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /run"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        print("SKIPPED: no mount namespaces here")
        sys.exit(0)
    merpati.main(journal, syslog, stopped, nobody_reads)
