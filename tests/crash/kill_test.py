"""kill -9 of any program at any moment under load: what got 250 arrives, and the suite heals by itself."""
# labels: crash
import os
import random
import re
import signal
import smtplib
import threading
import time

import merpati
from merpati import Failure, check, wait_for

PROGRAMS = ["smtpd", "cleanup", "qmgr", "rewrite", "local", "resolver", "auth", "keyd", "anvil", "login", "imapd", "pop3d",
            "smtp", "logd"]
KILLS = int(os.environ.get("MERPATI_KILLS", "20"))
SENDERS, USERS = 4, 4


class Load(threading.Thread):
    """Sends numbered messages until stopped and notes which were accepted."""

    def __init__(self, m, number, stop):
        super().__init__()
        self.m, self.number, self.stop, self.accepted, self.tried = m, number, stop, [], 0

    def run(self):
        session = None
        while not self.stop.is_set():
            self.tried += 1
            mark = "mark-%d-%d" % (self.number, self.tried)
            try:
                if session is None:
                    session = self.m.smtp(timeout=60)
                session.sendmail("sender@load.test", ["user%d@%s" % (self.tried % USERS, self.m.domain)],
                                 "Subject: %s\r\n\r\n%s\r\n" % (mark, "x" * 3000))
                self.accepted.append(mark)
            except (smtplib.SMTPException, OSError):
                session = None  # refused or cut off: this message counts for nothing
                self.stop.wait(0.02)


def marks(m):
    """How often each numbered message lies in the mailboxes."""
    found = {}
    for user in range(USERS):
        for path in m.maildir("user%d" % user):
            try:
                with open(path, errors="replace") as f:
                    mark = re.search(r"^Subject: (mark-\d+-\d+)$", f.read(), re.M)
            except FileNotFoundError:
                continue
            if mark:
                found[mark.group(1)] = found.get(mark.group(1), 0) + 1
    return found


def under_load(m, harm):
    """Runs harm(stop) while four sessions send; then checks that every accepted message arrives."""
    stop = threading.Event()
    load = [Load(m, i, stop) for i in range(SENDERS)]
    for sender in load:
        sender.start()
    try:
        wait_for("the load runs", lambda: all(s.accepted for s in load))
        harm()
    finally:
        before = sum(len(s.accepted) for s in load)
        try:
            wait_for("mail is accepted again after the last kill", lambda: sum(len(s.accepted) for s in load) > before + 20, 90)
        finally:
            stop.set()
            for sender in load:
                sender.join()
    accepted = {mark for s in load for mark in s.accepted}
    m.tool("postqueue", "-f")

    def missing():
        return accepted - set(marks(m))
    try:
        wait_for("all accepted messages in the mailboxes", lambda: not missing(), 120)
    except Failure:
        raise Failure("%d of %d accepted messages are missing, such as %s\n%s" % (
            len(missing()), len(accepted), sorted(missing())[:5], m.tool("postqueue", "-p")[-2000:]))
    found = marks(m)
    doubles = sum(n - 1 for n in found.values())
    corrupt = os.listdir(os.path.join(m.queue, "corrupt"))
    check("no queue file was taken for damaged: %s" % corrupt, not corrupt)
    print("     %d accepted, %d arrived twice, %d attempts" % (len(accepted), doubles, sum(s.tried for s in load)))


def test_kill_programs():
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    print("     seed %d" % seed)
    with merpati.Instance(users=USERS, minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s",
                          smtpd_client_connection_count_limit=0) as m:
        def harm():
            for _ in range(KILLS):
                program = dice.choice(PROGRAMS)
                pids = m.pids(program)
                if pids:
                    try:
                        os.kill(dice.choice(pids), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                time.sleep(dice.uniform(0.05, 0.5))  # the moment of the next kill is what is random here
        under_load(m, harm)
        for program in PROGRAMS:
            wait_for("%s runs again" % program, lambda p=program: m.pids(p), 90)


def test_kill_master():
    with merpati.Instance(users=USERS, minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s",
                          smtpd_client_connection_count_limit=0) as m:
        def harm():
            for _ in range(3):
                children = [p for name in PROGRAMS for p in m.pids(name)]
                os.kill(m.info["master_pid"], signal.SIGKILL)
                wait_for("the children of a dead master end", lambda: not any(os.path.exists("/proc/%d" % p) for p in children))
                m.start_master()
                time.sleep(0.5)  # some load between two deaths
        under_load(m, harm)


if __name__ == "__main__":
    merpati.main(test_kill_programs, test_kill_master)
