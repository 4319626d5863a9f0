"""A private instance of the suite for tests: started by tests/harness/up, with its own ports, accounts and log.

    with merpati.Instance(users=2) as m:
        m.smtp() ...; m.wait_log(r'status=sent')

Nothing here sleeps for a fixed time: wait_for() polls a condition until a deadline.  On failure the log is printed.
"""
import fcntl
import imaplib
import json
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MERPATI_BUILD", os.path.join(TOP, "build", "release"))
PORT_STRIDE = 1000
FIRST_BASE, LAST_BASE = 11000, 31000  # below the ephemeral ports


class Failure(AssertionError):
    """A condition that should hold did not."""


def wait_for(what, condition, timeout=30.0):
    """Calls condition() until it returns something true; Failure with `what` after timeout seconds."""
    end = time.monotonic() + timeout
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("timed out after %g s: %s" % (timeout, what))
        time.sleep(pause)  # the poll interval of a readiness check
        pause = min(pause * 1.5, 0.1)


def claim_base():
    """A block of ports that no other test of this machine uses: (base, lock file that holds it)."""
    for base in range(FIRST_BASE, LAST_BASE, PORT_STRIDE):
        lock = open("/tmp/merpati-ports-%d.lock" % base, "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", base + 25))
            return base, lock
        except OSError:
            lock.close()
    raise Failure("no free block of ports")


class Instance:
    """One running suite.  Parameters of main.cf are keyword arguments; users=N accounts user0@example.test ..."""
    via = []  # a command that starts the suite in another place, before its own words

    def __init__(self, users=2, domain="example.test", clock_offset=0, dir=None, **params):
        self.users, self.domain, self.clock_offset, self.params = users, domain, clock_offset, params
        self.keep = dir is not None
        self.dir = dir or tempfile.mkdtemp(prefix="merpati-")
        os.chmod(self.dir, 0o755)
        self.running = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not (kind is SystemExit and not value.code):  # main() ends with sys.exit(0)
            self.show_log()
        self.close()
        return False

    def start(self):
        self.base, self._lock = claim_base()
        args = ["base_port=%d" % self.base, "users=%d" % self.users, "domain=%s" % self.domain,
                "clock_offset=%d" % self.clock_offset]
        args += ["%s=%s" % item for item in self.params.items()]
        done = subprocess.run(self.via + [os.path.join(TOP, "tests/harness/up"), BUILD, self.dir] + args, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            self.show_log()
            raise Failure("up failed:\n" + done.stdout)
        with open(os.path.join(self.dir, "instance.json")) as f:
            self.info = json.load(f)
        self.ports, self.log_file, self.etc = self.info["ports"], self.info["log_file"], self.info["config_directory"]
        self.bin, self.queue = self.info["bin"], self.info["queue_directory"]
        self.running = True

    def stop(self):
        subprocess.run([os.path.join(TOP, "tests/harness/down"), self.dir], check=True)
        self.running = False

    def restart(self, clock_offset=None):
        """Stops and starts master on the same files; clock_offset in seconds moves its time."""
        self.tool("merpati", "stop")
        self.start_master(clock_offset)

    def start_master(self, clock_offset=None):
        if clock_offset is not None:
            self.clock_offset = clock_offset
        self.tool("merpati", "start", "--clock-offset", str(self.clock_offset))
        with open(os.path.join(self.queue, "master.pid")) as f:
            self.info["master_pid"] = int(f.read())

    def close(self):
        if self.running:
            try:
                self.stop()
            finally:
                self._lock.close()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- commands and files ---

    def tool(self, name, *args, input=None, check=True):
        """Runs one of the suite's commands on this instance; returns its output."""
        command = [os.path.join(self.bin, name)]
        if name == "sendmail":
            command += ["-C", self.etc]
        else:
            command += ["-c", self.etc]
        done = subprocess.run(command + list(args), input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if check and done.returncode != 0:
            raise Failure("%s %s: exit status %d:\n%s" % (name, " ".join(args), done.returncode, done.stdout))
        return done.stdout if check else done

    def set(self, **params):
        """Appends parameters to main.cf and reloads."""
        with open(os.path.join(self.etc, "main.cf"), "a") as f:
            f.writelines("%s = %s\n" % item for item in params.items())
        self.tool("merpati", "reload")

    def log(self):
        try:
            with open(self.log_file, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def wait_log(self, pattern, count=1, timeout=30.0):
        """Waits until the log has `count` matches of the pattern; returns the last one."""
        found = wait_for("log line %r" % pattern,
                         lambda: (lambda m: m if len(m) >= count else None)(list(re.finditer(pattern, self.log(), re.M))),
                         timeout)
        return found[-1]

    def show_log(self):
        for path in (os.path.join(self.dir, "log/mail.log"), os.path.join(self.dir, "spool/master.err")):
            try:
                with open(path, errors="replace") as f:
                    lines = f.readlines()[-150:]
            except OSError:
                continue
            sys.stderr.write("--- %s\n%s---\n" % (path, "".join(lines)))

    def maildir(self, user="user0", folder=""):
        """Paths of the messages in a mailbox."""
        base = os.path.join(self.info["mail_root"], self.domain, user, folder)
        out = []
        for sub in ("new", "cur"):
            path = os.path.join(base, sub)
            if os.path.isdir(path):
                out += [os.path.join(path, name) for name in sorted(os.listdir(path))]
        return out

    def wait_mail(self, user="user0", count=1, timeout=30.0):
        return wait_for("%d messages for %s" % (count, user),
                        lambda: (lambda m: m if len(m) >= count else None)(self.maildir(user)), timeout)

    def pids(self, program):
        """Process ids of one program of this instance (children of its master, and theirs)."""
        out = []
        todo = [self.info["master_pid"]]
        while todo:
            parent = todo.pop()
            try:
                with open("/proc/%d/task/%d/children" % (parent, parent)) as f:
                    children = [int(p) for p in f.read().split()]
            except OSError:
                continue
            for pid in children:
                todo.append(pid)
                try:
                    with open("/proc/%d/comm" % pid) as f:
                        if f.read().strip() == program:
                            out.append(pid)
                except OSError:
                    pass
        return sorted(out)

    # --- clients ---

    def tls_context(self):
        return ssl.create_default_context(cafile=self.info["ca_file"])

    def smtp(self, timeout=30):
        return smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="client.test", timeout=timeout)

    def submission(self, user="user0", password="secret", timeout=30):
        s = smtplib.SMTP("localhost", self.ports["submission"], local_hostname="client.test", timeout=timeout)
        s.starttls(context=self.tls_context())
        s.login("%s@%s" % (user, self.domain), password)
        return s

    def imap(self, user="user0", password="secret", tls=True):
        if tls:
            c = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.tls_context(), timeout=30)
        else:
            c = imaplib.IMAP4("localhost", self.ports["imap"], timeout=30)
        c.login("%s@%s" % (user, self.domain), password)
        return c

    def pop3(self, user="user0", password="secret", tls=True):
        if tls:
            c = poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.tls_context(), timeout=30)
        else:
            c = poplib.POP3("localhost", self.ports["pop3"], timeout=30)
        c.user("%s@%s" % (user, self.domain))
        c.pass_(password)
        return c

    def raw(self, port, timeout=10):
        """A socket with a line reader, for conversations byte by byte."""
        return Raw(socket.create_connection(("127.0.0.1", self.ports[port]), timeout))


class Raw:
    """A plain conversation: send bytes, read lines."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """The next line without CRLF; None at the end."""
        while b"\n" not in self.buffer:
            part = self.sock.recv(65536)
            if not part:
                return None
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        """One SMTP reply: (code, [texts])."""
        texts = []
        while True:
            line = self.line()
            if line is None:
                raise Failure("connection closed; so far: %r" % texts)
            texts.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), texts

    def command(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def close(self):
        self.sock.close()


def check(what, condition):
    """assert that is not removed by -O and says what should hold."""
    if not condition:
        raise Failure(what)


def main(*tests):
    """Runs the functions in order (or those named on the command line); exit status for ctest."""
    wanted = sys.argv[1:]
    failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            test()
            print("ok   %-50s %6.2f s" % (test.__name__, time.monotonic() - start), flush=True)
        except Exception as error:  # noqa: every failure is shown, the others still run
            failed += 1
            import traceback
            traceback.print_exc()
            print("FAIL %s: %s" % (test.__name__, error), flush=True)
    sys.exit(1 if failed else 0)
