"""smtp-source and smtp-sink of Debian's postfix package, unpacked and never installed: 300 messages in, 300 out."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import merpati
from merpati import BUILD, Instance, check, wait_for

SESSIONS, MESSAGES, SIZE = 20, 300, 4096
PEERS = os.path.join(BUILD, "peers-postfix")


def unpack():
    """The package below the build folder; None when it cannot be had."""
    tree = os.path.join(PEERS, "tree")
    if os.path.isdir(tree):
        return tree
    os.makedirs(PEERS, exist_ok=True)
    got = subprocess.run(["apt-get", "-qq", "download", "postfix"], cwd=PEERS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    debs = [name for name in os.listdir(PEERS) if name.endswith(".deb")]
    if got.returncode != 0 or not debs:
        print("SKIPPED: postfix of Debian could not be downloaded: %s" % got.stdout.strip())
        return None
    fresh = tempfile.mkdtemp(dir=PEERS)
    subprocess.run(["dpkg", "-x", os.path.join(PEERS, debs[0]), fresh], check=True)
    os.chmod(fresh, 0o755)
    os.rename(fresh, tree)
    return tree


def command(name):
    return [os.path.join(TREE, "usr/sbin", name)]


def environment():
    return dict(os.environ, LD_LIBRARY_PATH=os.path.join(TREE, "usr/lib/postfix"), MAIL_CONFIG=CONF)


def source(m, *args):
    done = subprocess.run(command("smtp-source") + ["-s", str(SESSIONS), "-m", str(MESSAGES), "-l", str(SIZE)] + list(args) +
                          ["127.0.0.1:%d" % m.ports["smtp"]], env=environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=200)
    check("smtp-source: %d: %s" % (done.returncode, done.stdout), done.returncode == 0 and not done.stdout)


def to_mailbox():
    with Instance() as m:
        source(m, "-f", "user0@example.test", "-t", "user1@example.test")
        m.wait_log(r"to=<user1@example\.test>, .*status=sent", MESSAGES, 120)
        check("each once", len(m.maildir("user1")) == MESSAGES)
        for path in m.maildir("user1"):
            check("whole: %d bytes" % os.path.getsize(path), os.path.getsize(path) > SIZE)
        wait_for("an empty queue", lambda: "empty" in m.tool("postqueue", "-p"), 60)


def one_connection_each():
    """-d keeps the connections of the sessions; -r makes two recipients a message: 1user@..., 2user@..."""
    names = ["%suser1@example.test" % i for i in ("1", "2")]
    with Instance(virtual_alias_maps="inline:{%s}" % ", ".join("{%s = user1@example.test}" % n for n in names)) as m:
        source(m, "-d", "-f", "user0@example.test", "-r", "2", "-t", "user1@example.test")
        m.wait_log(r": removed", MESSAGES, 120)
        wait_for("an empty queue", lambda: "empty" in m.tool("postqueue", "-p"), 60)
        found = len(m.maildir("user1"))
        check("each once, not %d" % found, MESSAGES <= found <= 2 * MESSAGES)
        check("a few connections", len(re.findall("smtpd.*: connect from", m.log())) <= 2 * SESSIONS)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def to_sink():
    dump = tempfile.mkdtemp(prefix="merpati-sink-")
    os.chmod(dump, 0o777)
    port = free_port()
    sink = subprocess.Popen(command("smtp-sink") + ["-u", "nobody", "-d", os.path.join(dump, "%M."), "127.0.0.1:%d" % port, "128"],
                            env=environment())
    try:
        with Instance(relayhost="[127.0.0.1]:%d" % port) as m:
            source(m, "-f", "user0@example.test", "-t", "somebody@remote.test")
            m.wait_log(r"to=<somebody@remote\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*dsn=2\.\d\.\d, status=sent" % port,
                       MESSAGES, 120)
            wait_for("an empty queue", lambda: "empty" in m.tool("postqueue", "-p"), 60)
            files = os.listdir(dump)
            check("%d messages in the sink" % len(files), len(files) == MESSAGES)
            ids = set()
            for name in files:
                with open(os.path.join(dump, name), errors="replace") as f:
                    text = f.read()
                check("a whole message", len(text) > SIZE and "Received: from" in text)
                ids.update(line for line in text.split("\n") if line.lower().startswith("message-id:"))
            check("each another one: %d" % len(ids), len(ids) == MESSAGES)
    finally:
        sink.terminate()
        sink.wait()
        shutil.rmtree(dump, ignore_errors=True)


if __name__ == "__main__":
    TREE = unpack()
    if TREE is None:
        sys.exit(0)
    CONF = tempfile.mkdtemp(prefix="merpati-postfix-")
    open(os.path.join(CONF, "main.cf"), "w").close()
    os.chmod(CONF, 0o755)
    try:
        merpati.main(to_mailbox, one_connection_each, to_sink)
    finally:
        shutil.rmtree(CONF, ignore_errors=True)
