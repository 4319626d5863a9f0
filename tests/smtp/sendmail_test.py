"""The sendmail command: options, recipients from the header, exit codes."""
import os
import subprocess

from merpati import Instance, check, main


def run(args, text, uid=None):
    command = [os.path.join(m.bin, "sendmail"), "-C", m.etc] + args
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, user=uid)


def newest(user, subject):
    m.wait_log("status=sent")
    for path in m.wait_mail(user):
        with open(path) as f:
            text = f.read()
        if "Subject: %s\n" % subject in text:
            return text
    return None


def test_header_recipients():
    done = run(["-t", "-F", "Full Name", "-f", "user0@example.test"],
               "To: user0@example.test,\n \"One, User\" <user1@example.test>\nBcc: user2@example.test\nSubject: t\n\nx\n")
    check(done.stdout, done.returncode == 0)
    for user in ("user0", "user1", "user2"):
        m.wait_mail(user)
        text = newest(user, "t")
        check("delivered to " + user, text is not None)
        check("Bcc is gone", "Bcc:" not in text)
        check("From was added", "\nFrom: Full Name <user0@example.test>\n" in text)
        check("Date, Message-ID", "\nDate: " in text and "\nMessage-Id: <" in text)
        check("who sent it", "from userid 0)" in text)


def test_uid():
    done = run(["user0@example.test"], "Subject: uid\n\nx\n", uid=65534)
    check(done.stdout, done.returncode == 0)
    m.wait_log(r": uid=65534 from=<nobody@example.test>")


def test_dot():
    run(["user1@example.test"], "Subject: dot\n\na\n.\nb\n")
    run(["-i", "user1@example.test"], "Subject: nodot\n\na\n.\nb\n")
    m.wait_mail("user1", 3)
    check("the dot ends it", newest("user1", "dot").endswith("\n\na\n"))
    check("-i: it does not", newest("user1", "nodot").endswith("\n\na\n.\nb\n"))


def test_usage():
    check("no recipient: EX_USAGE", run([], "x\n").returncode == 64)
    check("-t without any: EX_USAGE", run(["-t"], "Subject: x\n\n").returncode == 64)
    check("bad address: EX_DATAERR", run(["\x01@example.test"], "x\n").returncode == 65)
    check("too big: EX_UNAVAILABLE", run(["user0@example.test"], "x" * 70 * 4000 + "\n").returncode == 69)


def test_verify():
    done = run(["-bv", "user0@example.test", "nobody@example.test"], "")
    check(done.stdout, done.returncode == 67 and "user0@example.test... deliverable" in done.stdout)


def test_dialogue():
    done = run(["-bs"], "EHLO x\r\nMAIL FROM:<user0@example.test>\r\nRCPT TO:<user0@example.test>\r\nQUIT\r\n")
    check(done.stdout, done.returncode == 0 and done.stdout.rstrip().endswith("221 2.0.0 Bye"))


def by_name(name, *args):
    done = subprocess.run([os.path.join(m.bin, name), "-C", m.etc, *args], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_names():
    check("mailq takes sendmail's options", by_name("mailq", "-v") == (0, "Mail queue is empty\n", ""))
    check("sendmail -bp", by_name("sendmail", "-bp") == (0, "Mail queue is empty\n", ""))
    with open(os.path.join(m.etc, "aliases"), "a") as f:
        f.write("helpdesk: user1@example.test\n")
    check("newaliases", by_name("newaliases") == (0, "", ""))
    check("has the new entry", "user1@example.test" in m.tool("postalias", "-q", "helpdesk", "lmdb:%s/aliases" % m.etc))


def test_down():
    m.tool("merpati", "stop")
    done = run(["user0@example.test"], "x\n")
    check("the suite is down: EX_TEMPFAIL", done.returncode == 75)
    m.start_master()
    check("and up again", run(["user0@example.test"], "x\n").returncode == 0)


if __name__ == "__main__":
    with Instance(users=3, message_size_limit=200000) as m:
        main(test_header_recipients, test_uid, test_dot, test_usage, test_verify, test_dialogue, test_names, test_down)
