"""Real cleanup and qmgr, talking to each other, with fake rewrite, submitters and delivery agents (tests/local/neighbours.py)."""
import os
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "local"))
from neighbours import MA_LISTENER, MA_PEER, Chan, Process  # noqa: E402

CL_STOCK, CL_COMMIT, CL_DISCARD, CL_NOTICE = 0x0201, 0x0202, 0x0203, 0x0204
DV_DELIVER, DV_RESULT = 0x0401, 0x0402
RW_RESOLVE, RW_RESOLVED = 0x0101, 0x0102
SENT, DEFERRED, BOUNCED, EXPANDED = 1, 2, 3, 4
NEVER, SUCCESS, FAILURE, DELAY = 1, 2, 4, 8

CONF = {
    "myhostname": "mx.example.test", "myorigin": "example.test", "queue_minfree": 0, "message_size_limit": 10240000,
    "bounce_size_limit": 50000, "in_flow_delay": "1s", "double_bounce_sender": "double-bounce", "qmgr_message_active_limit": 20000,
    "qmgr_message_recipient_limit": 20000, "minimal_backoff_time": 300, "maximal_backoff_time": 4000, "queue_run_delay": 300,
    "maximal_queue_lifetime": "5d", "bounce_queue_lifetime": "5d", "delay_warning_time": 0, "qmgr_daemon_timeout": 3600,
    "transport_retry_time": 60, "initial_destination_concurrency": 5, "default_destination_concurrency_limit": 20,
    "default_destination_recipient_limit": 50, "soft_bounce": "no", "notify_classes": "2bounce, resource, software",
    "2bounce_notice_recipient": "postmaster", "defer_transports": "", "mail_owner": "root",
    "local_destination_concurrency_limit": 2, "local_destination_recipient_limit": 1,
}


class Side:
    """What a Process needs of its stage, for one program."""

    def __init__(self, host, program):
        self.host, self.service, self.log, self.conf = host, program, host.log, host.conf

    def answer(self, name, target):
        return self.host.answer(self.service, name, target)


class Delivery:
    """One DV_DELIVER as an agent sees it."""

    def __init__(self, chan, f, fd):
        self.chan, self.fd = chan, fd
        self.job, self.qid, self.transport, self.nexthop = f[0], f[1].decode(), f[2].decode(), f[3].decode()
        self.sender, self.flags, self.size = f[5].decode(), f[7], f[9]
        nheader = f[18]
        at = 19
        self.extents = [(f[at + 2 * i], f[at + 2 * i + 1]) for i in range(nheader + 1)]
        at += 2 * (nheader + 1)
        n = f[at]
        at += 1
        self.rcpts = {f[at + 6 * i]: f[at + 6 * i + 1].decode() for i in range(n)}
        self.notify = {f[at + 6 * i]: f[at + 6 * i + 4] for i in range(n)}

    def content(self):
        return b"".join(os.pread(self.fd, n, at) for at, n in self.extents)

    def result(self, status, dsn="2.0.0", text="ok", last=True, rcpts=None, members=(), site_down=False, close=True):
        if close and last:
            os.close(self.fd)
        rcpts = self.rcpts if rcpts is None else rcpts
        fields = [self.job, last, site_down, 0, 0, 0, len(rcpts)]
        for i in rcpts:
            fields += [i, status, 0, dsn, "relay.test[192.0.2.9]:25", text, len(members)]
            for m in members:
                fields += [m, self.rcpts[i], "", 0, 0]
        self.chan.send(DV_RESULT, fields)


class Host:
    def __init__(self, agent, resolve=None, conf=None):
        """agent(Delivery) is called for each delivery, in a thread per connection; resolve(address) -> [(final, transport, hop)]."""
        self.agent, self.log = agent, []
        self.resolve = resolve or (lambda a: [(a, "smtp", a.split("@")[-1])])
        self.queue = tempfile.mkdtemp(prefix="queue-test-")
        os.mkdir(self.queue + "/public")
        self.conf = dict(CONF, queue_directory=self.queue, **(conf or {}))
        self.procs = {}
        self.lock = threading.Lock()
        self.number = 0
        self.start("cleanup")
        self.start("qmgr")

    def start(self, program):
        with self.lock:
            self.number += 1
            p = self.procs[program] = Process(Side(self, program), program, "", "", self.number)
        assert p.ready.wait(20), "\n".join(self.log)
        if program == "qmgr":
            path = self.queue + "/public/qmgr"
            if os.path.exists(path):
                os.unlink(path)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen(10)
            p.control.send(MA_LISTENER, ["qmgr", 0], fds=[self.listener.fileno()])
        return p

    def kill(self, program):
        self.procs[program].kill()

    def restart(self, program):
        self.kill(program)
        self.start(program)

    def close(self):
        for p in self.procs.values():
            p.kill()

    def answer(self, asker, name, target):
        ours, theirs = socket.socketpair()
        if name in ("cleanup", "qmgr"):
            p = self.procs.get(name)
            if p is None or p.popen.poll() is not None or not p.ready.is_set():
                return None
            try:
                p.control.send(MA_PEER, [asker, asker, 99, os.getpid(), ""], fds=[theirs.fileno()])
            except OSError:
                return None
            theirs.close()
            return ours
        fn = self._rewrite if name == "rewrite" else self._agent
        threading.Thread(target=fn, args=(Chan(ours),), daemon=True).start()
        return theirs

    def _rewrite(self, chan):
        while True:
            m = chan.recv()
            if m is None:
                return
            kind, id, f, _ = m
            flags, addresses = f[0], f[3:]
            assert kind == RW_RESOLVE, m
            out = [len(addresses)]
            for a in addresses:
                finals = self.resolve(a.decode())
                if finals is None:
                    out += [(-4,), "cannot tell", a, 0, "", "", 0]
                    continue
                out += [(0,), "", finals[0][0], 5, finals[0][1], finals[0][2]]
                exp = finals if flags & 2 else []
                out.append(len(exp))
                for final, transport, hop in exp:
                    out += [final, 5, transport, hop]
            try:
                chan.send(RW_RESOLVED, out, id)
            except OSError:
                return

    def _agent(self, chan):
        while True:
            m = chan.recv()
            if m is None:
                return
            kind, id, f, fds = m
            assert kind == DV_DELIVER and id == 0 and len(fds) == 1, m
            try:
                self.agent(Delivery(chan, f, fds[0]))
            except OSError:  # qmgr was killed meanwhile
                return

    # ---- a submitter ----

    def submitter(self):
        return Submitter(self)

    def files(self, folder="incoming"):
        return sorted(os.listdir(self.queue + "/" + folder))

    def wait(self, what, seconds=15):
        end = time.time() + seconds
        while not what():
            if time.time() > end:
                raise AssertionError("timeout\n" + "\n".join(self.log[-40:]))
            time.sleep(0.01)

    def logged(self, text):
        return [line for line in self.log if text in line]


class Submitter:
    def __init__(self, host):
        self.host = host
        self.connect()

    def connect(self):
        sock = self.host.answer("smtpd", "cleanup", "")
        while sock is None:
            time.sleep(0.05)
            sock = self.host.answer("smtpd", "cleanup", "")
        self.chan, self.stock, self.id = Chan(sock), [], 0

    def call(self, kind, fields, fds=()):
        self.id += 1
        self.chan.send(kind, fields, self.id, fds=fds)
        m = self.chan.recv()
        if m is None:
            raise ConnectionError
        assert m[1] == self.id, m
        return m

    def take(self):
        if not self.stock:
            _, _, f, fds = self.call(CL_STOCK, [4])
            assert f[0] == 0, f
            self.stock = list(zip(f[2:], fds))
        return self.stock.pop(0)

    def commit_fields(self, qid, header, body, sender, rcpts, notify=0, flags=0, arrival=None):
        fields = [qid, sender, "", flags, (arrival or int(time.time() * 1e6),), len(header) + len(body), "client.test",
                  "192.0.2.1", "helo", "ESMTP", "", "", "<%s@test>" % qid.decode(), "", 1, 64, len(header), 64 + len(header),
                  len(body), len(rcpts)]
        for r in rcpts:
            fields += [r, r, "", notify, 0]
        return fields

    def send(self, rcpts, body=b"\nhello\n", sender="alice@a.org", keep=False, **kw):
        """Returns (status, queue id, text)."""
        qid, fd = self.take()
        header = b"Subject: test\nFrom: alice@a.org\n"
        os.write(fd, header + body)
        if keep:
            self.kept = os.dup(fd)
        os.close(fd)
        _, _, f, _ = self.call(CL_COMMIT, self.commit_fields(qid, header, body, sender, rcpts, **kw))
        return f[0], f[1].decode(), f[2].decode()
