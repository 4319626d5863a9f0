"""A hostile smtpd keeps its spool descriptors and writes into them after the commit: the queue file does not change."""
import os
import re
import shutil
import socket

from merpati import BUILD, Instance, Raw, check, main


def letter(rcpt):
    c = Raw(socket.create_connection(("127.0.0.1", m.ports["smtp"]), 30))
    c.reply()
    c.command("EHLO x")
    c.command("MAIL FROM:<user0@example.test>")
    check("rcpt", c.command("RCPT TO:<%s>" % rcpt)[0] == 250)
    check("data", c.command("DATA")[0] == 354)
    c.send("Subject: good\r\n\r\n" + "good words\r\n" * 500)
    code, text = c.command(".")
    c.command("QUIT")
    c.close()
    return re.search(r"queued as (\w+)", text[0]).group(1) if code == 250 else None


def test_descriptor_kept():
    ids = [letter("x@unreachable.test") for _ in range(5)]
    taken = [qid for qid in ids if qid]
    for _ in range(5):
        letter("user1@example.test")  # every close writes into all that were kept
    for qid in taken:
        text = m.tool("postcat", "-q", qid)
        check("the queue file is as it was acknowledged", "EVIL" not in text and text.count("good words") == 500)
    refused = len(ids) - len(taken)
    print("     %d taken (copied where a writer was left), %d refused" % (len(taken), refused))


def test_delivered_as_sent():
    for _ in range(5):
        qid = letter("user1@example.test")
        if qid:
            m.wait_log(r"%s: to=<user1@example.test>.*status=sent" % qid)
    for path in m.maildir("user1"):
        with open(path) as f:
            text = f.read()
        check("delivered as sent", "EVIL" not in text and text.count("good words") == 500)


if __name__ == "__main__":
    hostile = os.path.join(BUILD, "tests", "hostile_smtpd")
    work = os.path.join("/tmp", "merpati-hostile-%d" % os.getpid())
    shutil.copytree(os.path.join(BUILD, "libexec"), work + "/libexec")
    os.chmod(work, 0o755)
    shutil.copy(hostile, work + "/libexec/smtpd")
    try:
        with Instance(users=2, daemon_directory=work + "/libexec", relayhost="[127.0.0.1]:1") as m:
            main(test_descriptor_kept, test_delivered_as_sent)
    finally:
        shutil.rmtree(work)
