# labels: short
"""cleanup and qmgr: what is taken in is delivered, deferred, returned, expanded, held; restarts lose and double nothing."""
import email
import os
import subprocess
import threading
import time

from queue_stage import BOUNCED, DEFERRED, EXPANDED, FAILURE, NEVER, SENT, SUCCESS, Host

seen = []          # deliveries in order
plan = {}          # address -> function(delivery)
lock = threading.Lock()


def agent(d):
    with lock:
        seen.append((d.qid, sorted(d.rcpts.values()), d.sender, d.content()))
    todo = [plan.get(a) for a in d.rcpts.values()]
    for t in todo:
        if t:
            t(d)
            return
    d.result(SENT)


def resolve(address):
    if address == "team@v.org":
        return [("bob@b.org", "smtp", "b.org"), ("carol@c.org", "smtp", "c.org"), ("BOB@b.org", "smtp", "b.org")]
    if address == "double@v.org":
        return [("bob@b.org", "smtp", "b.org")]
    if address == "maybe@v.org":
        return None
    if address == "postmaster":
        return [("postmaster@example.test", "smtp", "example.test")]
    if address == "nobody@b.org":
        return [("nobody@b.org", "error", "5.1.1 nobody lives here")]
    return [(address, "local" if address.endswith("@alias.org") else "smtp", address.split("@")[-1])]


def deliveries(qid):
    with lock:
        return [s for s in seen if s[0] == qid]


host = Host(agent, resolve, {"minimal_backoff_time": 3600})
sub = host.submitter()

# delivered and gone
status, qid, text = sub.send(["bob@b.org"])
assert (status, text) == (0, "2.0.0 Ok"), (status, text)
host.wait(lambda: host.logged(qid + ": removed"))
assert deliveries(qid)[0][3] == b"Subject: test\nFrom: alice@a.org\n\nhello\n"
assert not host.files(), host.files()
assert host.logged(qid + ": message-id=<" + qid + "@test>")
assert host.logged(qid + ": from=<alice@a.org>, size=39, nrcpt=1 (queue active)")

# expansion by rewrite, duplicates; one delivery for each destination
status, qid, _ = sub.send(["team@v.org", "double@v.org", "dave@b.org"])
host.wait(lambda: host.logged(qid + ": removed"))
got = sorted(d[1] for d in deliveries(qid))
assert got == [["BOB@b.org", "bob@b.org", "dave@b.org"], ["carol@c.org"]], got

# rewrite cannot tell: 451, nothing stays
assert sub.send(["maybe@v.org"])[0] == -4
assert not host.files()

# nonsense ends the connection and nothing else
other = host.submitter()
other.chan.send(0x0202, ["../../x", 1, 2], 9)
assert other.chan.recv() is None
other = host.submitter()
qid_, fd = other.take()
os.write(fd, b"Subject: x\n\nx\n")
os.close(fd)
other.chan.send(0x0202, other.commit_fields(qid_, b"x" * 5000, b"x" * 5000, "a@a.org", ["b@b.org"]), 9)
assert other.chan.recv()[2][0] == -10  # content outside the file
other = host.submitter()
other.chan.send(0x0202, sub.commit_fields(sub.take()[0], b"x", b"y", "a@a.org", ["b@b.org"]), 9)
assert other.chan.recv()[2][0] == -4  # somebody else's file

# a writer that keeps its descriptor changes nothing
plan["slow@b.org"] = lambda d: d.result(DEFERRED, "4.2.0", "later")
status, qid, _ = sub.send(["slow@b.org"], keep=True)
assert status == 0
os.pwrite(sub.kept, b"EVIL EVIL EVIL", 64)
os.ftruncate(sub.kept, 10)
os.close(sub.kept)
host.wait(lambda: deliveries(qid))
assert deliveries(qid)[0][3].startswith(b"Subject: test\n")
host.wait(lambda: qid in host.files())

# deferred: waits with its reason; a restart of qmgr does not try it again before its time; a flush does
time.sleep(0.3)
host.restart("qmgr")
time.sleep(0.5)
assert len(deliveries(qid)) == 1


def tool(*args):
    build = os.environ.get("MERPATI_BUILD", "build")
    p = subprocess.run([os.path.join(build, "bin", args[0]), *args[1:]], capture_output=True, text=True, timeout=20,
                       env=dict(os.environ, MAIL_CONFIG=host.queue))
    return p.returncode, p.stdout, p.stderr


with open(host.queue + "/main.cf", "w") as f:
    f.write("queue_directory = %s\nmyhostname = mx.example.test\ncommand_directory = %s\n" % (
        host.queue, os.path.abspath(os.path.join(os.environ.get("MERPATI_BUILD", "build"), "bin"))))
rc, out, err = tool("mailq")
assert rc == 0, err
assert qid in out and "(later)" in out and "slow@b.org" in out and "-- 0 Kbytes in 1 Request." in out, out
plan["slow@b.org"] = None
rc, out, err = tool("postqueue", "-f")
assert rc == 0, err
host.wait(lambda: host.logged(qid + ": removed"))
assert len(deliveries(qid)) == 2
host.wait(lambda: tool("mailq")[1] == "Mail queue is empty\n")

# kill -9 of qmgr with mail that it has never heard of, and of both
host.kill("qmgr")
ids = [sub.send(["k%d@b.org" % i])[1] for i in range(20)]
host.start("qmgr")
host.wait(lambda: all(host.logged(i + ": removed") for i in ids))
assert all(len(deliveries(i)) == 1 for i in ids)

# an agent that outlives qmgr keeps its message: no second delivery until it lets go
held = []
plan["hang@b.org"] = held.append
status, qid, _ = sub.send(["hang@b.org"])
host.wait(lambda: held)
plan["hang@b.org"] = None
host.restart("qmgr")
time.sleep(1)
assert len(deliveries(qid)) == 1
os.close(held[0].fd)
host.wait(lambda: host.logged(qid + ": removed"), 40)
assert len(deliveries(qid)) == 2

# some recipients done, some not: the done ones never get it again
plan["ok@b.org"] = None


def half(d):
    ok = [i for i, a in d.rcpts.items() if a == "ok@b.org"]
    later = [i for i, a in d.rcpts.items() if a == "later@b.org"]
    d.result(SENT, rcpts=ok, last=False)
    d.result(DEFERRED, "4.0.0", "busy", rcpts=later)


plan["later@b.org"] = half
status, qid, _ = sub.send(["ok@b.org", "later@b.org"])
host.wait(lambda: deliveries(qid))
time.sleep(0.5)
host.restart("qmgr")
plan["later@b.org"] = None
tool("postqueue", "-i", qid)
host.wait(lambda: host.logged(qid + ": removed"))
assert [d[1] for d in deliveries(qid)] == [["later@b.org", "ok@b.org"], ["later@b.org"]]

# returned to the sender, as a proper report; the original is gone after it
plan["bad@b.org"] = lambda d: d.result(BOUNCED, "5.1.1", "550 5.1.1 no such user here")
status, qid, _ = sub.send(["bad@b.org", "nobody@b.org"], body=b"\nthe body of it\n")
host.wait(lambda: host.logged(qid + ": removed"))
notice = host.logged(qid + ": sender non-delivery notification: ")[0].split()[-1]
host.wait(lambda: host.logged(notice + ": removed"))
_, rcpts, sender, content = deliveries(notice)[0]
assert (rcpts, sender) == (["alice@a.org"], "")
m = email.message_from_bytes(content)
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
parts = m.get_payload()
assert [p.get_content_type() for p in parts] == ["text/plain", "message/delivery-status", "message/rfc822"]
blocks = parts[1].get_payload()
assert blocks[0]["Reporting-MTA"] == "dns; mx.example.test"
by = {b["Final-Recipient"].split()[-1]: b for b in blocks[1:]}
assert by["bad@b.org"]["Status"] == "5.1.1" and by["bad@b.org"]["Action"] == "failed"
assert "no such user here" in by["bad@b.org"]["Diagnostic-Code"]
assert by["nobody@b.org"]["Status"] == "5.1.1"
assert parts[2].get_payload()[0].get_payload() == "the body of it\n"

# NOTIFY=NEVER: nobody hears of it.  SUCCESS: the sender does.
status, qid, _ = sub.send(["bad@b.org"], notify=NEVER)
host.wait(lambda: host.logged(qid + ": removed"))
assert not host.logged(qid + ": sender")
status, qid, _ = sub.send(["good@b.org"], notify=SUCCESS | FAILURE)
host.wait(lambda: host.logged(qid + ": removed"))
notice = host.logged(qid + ": sender delivery status notification: ")[0].split()[-1]
host.wait(lambda: deliveries(notice))
assert b"Action: delivered" in deliveries(notice)[0][3]

# a notice that cannot be delivered goes to the postmaster, and if that fails too, nowhere
plan["alice@gone.org"] = lambda d: d.result(BOUNCED, "5.1.1", "gone")
status, qid, _ = sub.send(["bad@b.org"], sender="alice@gone.org")
host.wait(lambda: [s for s in seen if s[1] == ["postmaster@example.test"]])
assert [s for s in seen if s[1] == ["postmaster@example.test"]][0][2] == "double-bounce@example.test"
host.wait(lambda: not host.files())

# an alias: members are recipients of their own; the alias is done
plan["list@alias.org"] = lambda d: d.result(EXPANDED, members=["m1@x.org", "m2@y.org", "list@alias.org", "sub@alias.org"])
plan["sub@alias.org"] = lambda d: d.result(EXPANDED, members=["m1@x.org", "m3@x.org"])
status, qid, _ = sub.send(["list@alias.org"])
host.wait(lambda: host.logged(qid + ": removed"))
got = sorted(sum((d[1] for d in deliveries(qid)), []))
assert got == ["list@alias.org", "m1@x.org", "m2@y.org", "m3@x.org", "sub@alias.org"], got
plan["loop1@alias.org"] = lambda d: d.result(EXPANDED, members=["loop2@alias.org"])
plan["loop2@alias.org"] = lambda d: d.result(EXPANDED, members=["loop1@alias.org"])
status, qid, _ = sub.send(["loop1@alias.org"])
host.wait(lambda: host.logged(qid + ": removed"))
assert host.logged("to=<loop2@alias.org>") and "5.4.6" in host.logged("to=<loop2@alias.org>")[0]

# expanded, a member deferred, qmgr killed: the members are still recipients, the alias is not expanded again
plan["list@alias.org"] = lambda d: d.result(EXPANDED, members=["w1@w.org", "w2@z.org"])
plan["w2@z.org"] = lambda d: d.result(DEFERRED, "4.0.0", "later")
status, qid, _ = sub.send(["list@alias.org"])
host.wait(lambda: len(deliveries(qid)) == 3)
time.sleep(0.3)
host.restart("qmgr")
plan["w2@z.org"] = None
tool("postqueue", "-f")
host.wait(lambda: host.logged(qid + ": removed"))
assert sorted(d[1][0] for d in deliveries(qid)) == ["list@alias.org", "w1@w.org", "w2@z.org", "w2@z.org"]

# a site that is down: the second message is deferred without an attempt
plan["x@down.org"] = lambda d: d.result(DEFERRED, "4.4.1", "connect to down.org: Connection refused", site_down=True)
first = [sub.send(["x@down.org"])[1] for _ in range(8)]
host.wait(lambda: host.logged("delivery temporarily suspended: connect to down.org"))
host.wait(lambda: len(host.files()) == 8)
rc, out, err = tool("postqueue", "-p")
assert out.count("Connection refused") == 8 and "in 8 Requests." in out, out

# hold, release, delete, requeue
rc, out, err = tool("postsuper", "-h", first[0])
assert rc == 0 and "Placed on hold: 1 message" in err, err
host.wait(lambda: first[0] + "!" in tool("mailq")[1])
plan["x@down.org"] = None
rc, out, err = tool("postqueue", "-f")
host.wait(lambda: len(host.files()) == 1)
assert host.files() == [first[0]]
rc, out, err = tool("postcat", "-q", first[0])
assert rc == 0 and "hello\n" in out and "sender: alice@a.org" in out, (rc, out, err)
rc, out, err = tool("postsuper", "-H", "ALL")
assert rc == 0 and "Released from hold: 1 message" in err, err
host.wait(lambda: not host.files())
plan["x@down.org"] = lambda d: d.result(DEFERRED, "4.2.2", "mailbox full")
qids = [sub.send(["x@down.org"])[1] for _ in range(3)]
host.wait(lambda: tool("postqueue", "-j")[1].count("mailbox full") == 3)
rc, out, err = tool("postsuper", "-d", qids[0])
assert rc == 0 and "Deleted: 1 message" in err, err
rc, out, err = tool("postsuper", "-d", "ALL", "deferred")
assert "Deleted: 2 messages" in err, err
host.wait(lambda: not host.files())
host.wait(lambda: tool("mailq")[1] == "Mail queue is empty\n")

# after an unclean stop of the machine: index thrown away, contents compared, what is damaged is kept aside
keep = [sub.send(["x@down.org"])[1] for _ in range(3)]
host.wait(lambda: all(host.logged(k + ": to=") or deliveries(k) for k in keep))
time.sleep(0.3)
host.kill("qmgr")
with open(host.queue + "/index/state", "w") as f:
    f.write("00000000-0000 open\n")
with open(host.queue + "/incoming/" + keep[0], "r+b") as f:
    f.seek(70)
    f.write(b"?")
with open(host.queue + "/incoming/" + keep[1], "r+b") as f:
    f.truncate(50)
host.start("qmgr")
host.wait(lambda: len(host.files("corrupt")) == 2)
assert host.files() == [keep[2]] and sorted(keep[:2]) == host.files("corrupt")
host.wait(lambda: keep[2] in tool("mailq")[1])
tool("postsuper", "-d", "ALL")
host.wait(lambda: not host.files())

# without qmgr: root works on the files
keep = [sub.send(["x@down.org"])[1] for _ in range(4)]
host.wait(lambda: tool("postqueue", "-j")[1].count("mailbox full") == 4)
host.kill("qmgr")
host.listener.close()
rc, out, err = tool("mailq")
assert rc == 0 and "in 4 Requests." in out and "accessing queue directly" in err, (out, err)
rc, out, err = tool("postsuper", "-h", keep[0], "-d", keep[1])
assert "Deleted: 1 message" in err and "Placed on hold: 1 message" in err, err
host.start("qmgr")
host.wait(lambda: keep[0] + "!" in tool("mailq")[1])
assert sorted(host.files()) == sorted([keep[0]] + keep[2:])
host.kill("qmgr")
host.listener.close()
rc, out, err = tool("postsuper", "-H", "ALL", "hold")
assert "Released from hold: 1 message" in err, err
plan["x@down.org"] = None
host.start("qmgr")
host.wait(lambda: keep[0] not in host.files())
rc, out, err = tool("postqueue", "-s", "elsewhere.org")
time.sleep(0.5)
assert rc == 0 and len(host.files()) == 2, err
rc, out, err = tool("postqueue", "-s", "down.org")
host.wait(lambda: not host.files())
rc, out, err = tool("postsuper", "-d", "ALL")
host.wait(lambda: not host.files())
host.close()
print("ok")
