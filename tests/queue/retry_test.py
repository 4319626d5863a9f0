# labels: long
"""qmgr: retry times, expiry, delay notices, a small window, agents that die, many messages."""
import os
import socket
import threading
import time

from queue_stage import BOUNCED, DEFERRED, SENT, Host

seen, plan, lock = [], {}, threading.Lock()


def agent(d):
    with lock:
        seen.append((d.qid, sorted(d.rcpts.values()), time.time(), d.content()))
    fn = next((plan[a] for a in d.rcpts.values() if a in plan), None)
    fn(d) if fn else d.result(SENT)


def times(qid):
    with lock:
        return [s[2] for s in seen if s[0] == qid]


def fail(d):
    d.result(DEFERRED, "4.2.1", "not now")


plan["wait@b.org"] = fail
host = Host(agent, conf={"minimal_backoff_time": 1, "maximal_backoff_time": 3, "maximal_queue_lifetime": "9s", "delay_warning_time": "2s",
                         "qmgr_message_active_limit": 20})
sub = host.submitter()

# attempts after 1, 2, 3, 3 s; a warning on the way; returned after the first attempt that fails when its time is up
status, qid, _ = sub.send(["wait@b.org"])
host.wait(lambda: host.logged(qid + ": removed"), 30)
t = times(qid)
gaps = [b - a for a, b in zip(t, t[1:])]
assert len(gaps) >= 4, gaps
for gap, want in zip(gaps, [1, 2, 3, 3]):
    assert want - 0.1 <= gap <= want + 1.6, gaps
assert t[-1] - t[0] >= 9 and t[-2] - t[0] < 9, t
assert len(host.logged(qid + ": sender delay notification: ")) == 1
assert host.logged(qid + ": from=<alice@a.org>, status=expired, returned to sender")
notice = host.logged(qid + ": sender non-delivery notification: ")[0].split()[-1]
host.wait(lambda: times(notice))
content = [s[3] for s in seen if s[0] == notice][0]
assert b"Action: failed" in content and b"Status: 4.2.1" in content and b"not now" in content

# an old message whose site works is delivered, not returned, however old it is
status, qid, _ = sub.send(["fine@b.org"], arrival=int((time.time() - 86400) * 1e6))
host.wait(lambda: host.logged(qid + ": removed"))
assert not host.logged(qid + ": from=<alice@a.org>, status=expired")

# more messages than the window holds
slow = []
plan.update(("slow%d@s%d.org" % (i, i), slow.append) for i in range(200))
subs = [host.submitter() for _ in range(40)]
ids = [None] * 200


def fill(k):
    for i in range(k, 200, 40):
        ids[i] = subs[k].send(["slow%d@s%d.org" % (i, i)])[1]


fillers = [threading.Thread(target=fill, args=(k,)) for k in range(40)]
begin = time.time()
for th in fillers:
    th.start()
for th in fillers:
    th.join()
assert time.time() - begin > 2  # the window is full: answers are delayed (in_flow_delay)
done = 0
end = time.time() + 30
while done < 200:
    assert time.time() < end, "\n".join(host.log[-20:])
    while slow:
        slow.pop().result(SENT)
        done += 1
    assert len(slow) <= 20
    time.sleep(0.005)
host.wait(lambda: not host.files())
assert all(len(times(i)) == 1 for i in ids)

# an agent that ends with a message in its hands: tried again soon, not after the usual time
dead = []


def die(d):
    dead.append(d)
    os.close(d.fd)
    if len(dead) == 1:
        d.chan.sock.shutdown(socket.SHUT_RDWR)
    else:
        d.result(SENT, close=False)


plan["die@b.org"] = die
status, qid, _ = sub.send(["die@b.org"])
host.wait(lambda: host.logged(qid + ": removed"), 20)
assert len(times(qid)) == 2
assert not host.logged(qid + ": sender")
host.close()

# kill -9 of either program at any moment, under load: what got 250 is delivered
plan.clear()
host = Host(agent, conf={"minimal_backoff_time": 1})
accepted, stop = set(), False


def load():
    s = host.submitter()
    while not stop:
        try:
            status, qid, _ = s.send(["x@b.org"])
            if status == 0:
                accepted.add(qid)
        except (ConnectionError, OSError, AssertionError, IndexError):
            s.connect()


threads = [threading.Thread(target=load) for _ in range(4)]
for th in threads:
    th.start()
for i in range(12):
    time.sleep(0.4)
    host.restart("qmgr" if i % 2 else "cleanup")
stop = True
for th in threads:
    th.join(10)
assert len(accepted) > 100, len(accepted)
host.wait(lambda: not host.files(), 40)
with lock:
    got = {s[0] for s in seen}
assert not accepted - got, "%d of %d lost" % (len(accepted - got), len(accepted))
assert not host.files("corrupt")
host.close()
print("ok", len(accepted))
