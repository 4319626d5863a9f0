# labels: short
"""cleanup and qmgr where things go wrong: nothing is lost, sent without end, redirected or kept for ever."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

from queue_stage import BOUNCED, DEFERRED, EXPANDED, SENT, Host
from neighbours import MA_DRAIN  # noqa: E402 (queue_stage makes the path)

seen, plan, lock = [], {}, threading.Lock()
LONG = "550 5.1.1 nobody of that name " + "x" * 1900


def agent(d):
    with lock:
        seen.append((d.qid, sorted(d.rcpts.values()), d.content()))
    fn = next((plan[a] for a in d.rcpts.values() if a in plan), None)
    if fn:
        fn(d)
    elif d.nexthop == "gone.org":
        d.result(BOUNCED, "5.1.1", LONG)
    else:
        d.result(SENT)


def deliveries(qid):
    with lock:
        return [s for s in seen if s[0] == qid]


host = Host(agent, conf={"minimal_backoff_time": 1, "maximal_backoff_time": 3, "queue_run_delay": 1})
sub = host.submitter()


def tool(*args):
    build = os.environ.get("MERPATI_BUILD", "build")
    p = subprocess.run([os.path.join(build, "bin", args[0]), *args[1:]], capture_output=True, text=True, timeout=20,
                       env=dict(os.environ, MAIL_CONFIG=host.queue))
    return p.returncode, p.stdout, p.stderr


with open(host.queue + "/main.cf", "w") as f:
    f.write("queue_directory = %s\nmyhostname = mx.example.test\n" % host.queue)


def later(d):
    d.result(DEFERRED, "4.2.1", "not now")


def every_failure_is_told():
    """More failed recipients than one notice lists, and more text than one request holds."""
    rcpts = ["n%04d@gone.org" % i for i in range(2500)]
    status, qid, _ = sub.send(rcpts)
    assert status == 0
    host.wait(lambda: host.logged(qid + ": removed"), 60)
    notices = [line.split()[-1] for line in host.logged(qid + ": sender non-delivery notification: ")]
    assert len(notices) >= 3, notices
    host.wait(lambda: all(deliveries(n) for n in notices))
    told = []
    for n in notices:
        told += re.findall(rb"^Final-Recipient: rfc822; (\S+)$", deliveries(n)[0][2], re.M)
    assert sorted(told) == [r.encode() for r in rcpts], len(told)


def waits_too_long():
    """A next attempt that lies further ahead than any wait: the clock was wrong once."""
    plan["clock@b.org"] = later
    host.conf.update(minimal_backoff_time=1000000, maximal_backoff_time=1000000)
    host.restart("qmgr")
    _, qid, _ = sub.send(["clock@b.org"])
    host.wait(lambda: deliveries(qid))
    time.sleep(0.5)
    del plan["clock@b.org"]
    host.conf.update(minimal_backoff_time=1, maximal_backoff_time=3)
    host.restart("qmgr")
    host.wait(lambda: host.logged(qid + ": removed"))
    assert len(deliveries(qid)) == 2


def hold_that_the_file_does_not_know():
    plan["hold@b.org"] = later
    _, qid, _ = sub.send(["hold@b.org"])
    host.wait(lambda: deliveries(qid))
    time.sleep(0.3)
    path = host.queue + "/incoming/" + qid
    assert "Placed on hold: 1" in tool("postsuper", "-h", qid)[2]
    del plan["hold@b.org"]
    host.wait(lambda: qid + "!" in tool("postqueue", "-p")[1])
    time.sleep(4)  # whatever was under way when the order came
    n = len(deliveries(qid))
    with open(path, "rb") as f:
        last = f.read()[-20:]
    if last[4:6] == b"\3\0":
        os.truncate(path, os.stat(path).st_size - 20)  # as an order that was only noted in the index
    assert qid + "!" in tool("postqueue", "-p")[1] and len(deliveries(qid)) == n
    assert "Released from hold: 1" in tool("postsuper", "-H", qid)[2]
    host.wait(lambda: host.logged(qid + ": removed"))


def nothing_can_be_noted():
    """A queue file that cannot be written is not sent time and again."""
    plan["fixed@b.org"] = later
    _, qid, _ = sub.send(["fixed@b.org"])
    host.wait(lambda: deliveries(qid))
    path = host.queue + "/incoming/" + qid
    if subprocess.call(["chattr", "+i", path], stderr=subprocess.DEVNULL) != 0:
        print("no immutable files here")
        return
    try:
        time.sleep(0.5)
        del plan["fixed@b.org"]
        n = len(deliveries(qid))
        time.sleep(6)
        assert len(deliveries(qid)) <= n + 1, len(deliveries(qid)) - n
    finally:
        subprocess.check_call(["chattr", "-i", path])
    host.wait(lambda: host.logged(qid + ": removed"))


def agents_do_not_redirect():
    plan["r@b.org"] = lambda d: d.result(EXPANDED, members=["evil@c.org"])
    _, qid, _ = sub.send(["r@b.org"])
    host.wait(lambda: host.logged(qid + ": to=<r@b.org>"))
    del plan["r@b.org"]
    host.wait(lambda: host.logged(qid + ": removed"))
    assert not [d for d in deliveries(qid) if d[1] != ["r@b.org"]]


def drain_with_a_notice_under_way():
    """A new qmgr does not do again what the last one was about to note."""
    cleanup, qmgr = host.procs["cleanup"].popen, host.procs["qmgr"]
    bounce = []
    plan["late@b.org"] = bounce.append
    _, qid, _ = sub.send(["late@b.org"])
    host.wait(lambda: bounce)
    cleanup.send_signal(signal.SIGSTOP)
    bounce[0].result(BOUNCED, "5.1.1", "nobody")
    time.sleep(0.5)
    qmgr.control.send(MA_DRAIN, [0])
    time.sleep(1.5)
    cleanup.send_signal(signal.SIGCONT)
    host.wait(lambda: qmgr.popen.poll() is not None)
    assert qmgr.popen.returncode == 0, qmgr.popen.returncode
    del plan["late@b.org"]
    host.start("qmgr")
    host.wait(lambda: qid not in host.files())
    assert len(host.logged(qid + ": sender non-delivery notification: ")) == 1 and len(deliveries(qid)) == 1


def poison():
    """Mail that ends every agent is returned at last, but not for the first agent that dies with it."""
    plan["poison@b.org"] = lambda d: (os.close(d.fd), d.chan.sock.shutdown(2))
    _, qid, _ = sub.send(["poison@b.org"], arrival=int((time.time() - 20 * 86400) * 1e6))

    def expired():
        sub.send(["fine@b.org"])  # other mail goes through: the transport is in order
        time.sleep(0.2)
        return host.logged(qid + ": from=<alice@a.org>, status=expired")
    host.wait(expired, 60)
    assert len(deliveries(qid)) >= 4
    del plan["poison@b.org"]
    host.wait(lambda: host.logged(qid + ": sender non-delivery notification: "))


try:
    for test in (every_failure_is_told, waits_too_long, hold_that_the_file_does_not_know, nothing_can_be_noted,
                 agents_do_not_redirect, drain_with_a_notice_under_way, poison):
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        start = time.time()
        test()
        print("%s: ok, %.1f s" % (test.__name__, time.time() - start), flush=True)
finally:
    host.close()
