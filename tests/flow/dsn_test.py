"""RFC 3461 from end to end: NOTIFY, ORCPT, RET and ENVID through smtpd to notices and to the next host; delay warnings; double
bounces."""
# labels: short
import email
import email.policy
import os
import sys

import merpati
from merpati import Instance, check, wait_for

sys.path.insert(0, os.path.join(merpati.TOP, "tests/relay"))
from fakes import MailHost  # noqa: E402

BODY = "A line of the body that nobody else writes.\r\n"


def refuse(conn, line):
    if "<bad" in line:
        return "550 5.1.1 no such mailbox here"
    if "<slow" in line:
        return "451 4.2.1 come back later"
    return "250 2.1.5 Ok"


def submit(m, subject, rcpts, mail="", sender="user0@example.test"):
    """rcpts: (address, DSN parameters) pairs; the queue id."""
    c = m.raw("smtp")
    c.reply()
    code, words = c.command("EHLO client.test")
    check("DSN is offered", code == 250 and "DSN" in words)
    check("MAIL", c.command("MAIL FROM:<%s>%s" % (sender, mail))[0] == 250)
    for rcpt, params in rcpts:
        code, text = c.command("RCPT TO:<%s>%s" % (rcpt, params))
        check("RCPT %s: %d %r" % (rcpt, code, text), code == 250)
    check("DATA", c.command("DATA")[0] == 354)
    code, text = c.command("From: <user0@example.test>\r\nSubject: %s\r\nX-Mark: mark\r\n\r\n%s." % (subject, BODY))
    check("queued: %d %r" % (code, text), code == 250)
    c.close()
    return text[0].split()[-1]


def notices(m, user="user0"):
    out = []
    for path in m.maildir(user):
        with open(path, "rb") as f:
            message = email.message_from_binary_file(f, policy=email.policy.default)
        if message.get_content_type() == "multipart/report":
            out.append(message)
    return out


def about(m, subject, user="user0"):
    """The notices that return the message with this subject."""
    found = []
    for message in notices(m, user):
        last = message.get_payload()[-1]
        text = str(last.get_payload(0)) if last.get_content_type() == "message/rfc822" else last.get_payload()
        if "Subject: %s\n" % subject in text.replace("\r", ""):
            found.append(message)
    return found


def notice(m, subject, user="user0", timeout=40):
    found = wait_for("a notice about %r" % subject, lambda: about(m, subject, user), timeout)
    check("one notice about %r, not %d" % (subject, len(found)), len(found) == 1)
    return found[0]


def fields(message):
    """(fields of the message, [fields of each recipient]) of the second part."""
    part = message.get_payload(1)
    check("delivery-status", part.get_content_type() == "message/delivery-status")
    first, *rest = part.get_payload()
    return first, [r for r in rest if len(r)]


def done(m, qid):
    m.wait_log(r"%s: removed" % qid, timeout=60)


def parameters_refused(m):
    c = m.raw("smtp")
    c.reply()
    c.command("EHLO client.test")
    for text in ("MAIL FROM:<user0@example.test> RET=SOME", "MAIL FROM:<user0@example.test> RET=FULL RET=FULL",
                 "MAIL FROM:<user0@example.test> ENVID=a+zz", "MAIL FROM:<user0@example.test> ENVID=" + "x" * 101):
        check(text, c.command(text)[0] == 501)
    check("MAIL", c.command("MAIL FROM:<user0@example.test>")[0] == 250)
    for params in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY=SOMETIMES", "NOTIFY=DELAY NOTIFY=DELAY", "ORCPT=nosemicolon",
                   "ORCPT=rfc822;a+zz"):
        check(params, c.command("RCPT TO:<user1@example.test> " + params)[0] == 501)
    c.close()


def success(m):
    """A delivery here is told when asked for, with everything that the client said about itself."""
    qid = submit(m, "success", [("user1@example.test", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2BName@example.test")],
                 " RET=HDRS ENVID=QQ+2B314159")
    n = notice(m, "success")
    check("from nobody", n["Return-Path"] in ("<>", None) and "MAILER-DAEMON" in n["From"])
    check("to the sender", "user0@example.test" in n["To"])
    message, (rcpt,) = fields(n)
    check("envelope id is decoded: %s" % message["Original-Envelope-Id"], message["Original-Envelope-Id"] == "QQ+314159")
    check("Reporting-MTA", message["Reporting-MTA"] == "dns; mail.example.test")
    check("action", rcpt["Action"] == "delivered" and rcpt["Status"].startswith("2."))
    check("final: %s" % rcpt["Final-Recipient"], rcpt["Final-Recipient"].lower().replace(" ", "") == "rfc822;user1@example.test")
    check("original: %s" % rcpt["Original-Recipient"],
          rcpt["Original-Recipient"].lower().replace(" ", "") == "rfc822;old+name@example.test")
    check("the header only", n.get_payload()[-1].get_content_type() == "text/rfc822-headers" and BODY.strip() not in str(n))
    done(m, qid)
    m.wait_log(r"%s: sender delivery status notification: " % qid)
    qid = submit(m, "silent", [("user1@example.test", "")])
    done(m, qid)
    check("no notice unasked", not about(m, "silent"))


def relayed(m):
    """To a host without DSN the responsibility ends: Action: relayed.  To one with DSN the parameters go on instead."""
    done(m, submit(m, "relayed", [("good@remote.test", " NOTIFY=SUCCESS")]))
    _, (rcpt,) = fields(notice(m, "relayed"))
    check("relayed: %s" % rcpt["Action"], rcpt["Action"] == "relayed")
    done(m, submit(m, "passed on", [("good@dsn.test", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@a.test"),
                                    ("quiet@dsn.test", " NOTIFY=NEVER")], " RET=HDRS ENVID=a+3Db"))
    said = [c.upper() for c in KNOWS.commands]
    mail = [c for c in said if c.startswith("MAIL")][0]
    check(mail, " RET=HDRS" in mail and " ENVID=A+3DB" in mail)
    rcpt = [c for c in said if c.startswith("RCPT TO:<GOOD")][0]
    check(rcpt, " NOTIFY=SUCCESS,DELAY" in rcpt and " ORCPT=RFC822;X+2BY@A.TEST" in rcpt)
    rcpt = [c for c in said if c.startswith("RCPT TO:<QUIET")][0]
    check(rcpt, " NOTIFY=NEVER" in rcpt)
    check("no notice of ours", not about(m, "passed on"))


def failure(m):
    """RET decides what is returned; NOTIFY=NEVER and SUCCESS alone silence a failure."""
    submit(m, "full", [("bad1@remote.test", "")], " RET=FULL")
    n = notice(m, "full")
    message, (rcpt,) = fields(n)
    check("failed", rcpt["Action"] == "failed" and rcpt["Status"] == "5.1.1")
    check("who said it: %s" % rcpt["Remote-MTA"], rcpt["Remote-MTA"] and "127.0.0.1" in rcpt["Remote-MTA"])
    said = " ".join(rcpt["Diagnostic-Code"].split())
    check("what it said and nothing else: %s" % said, said == "smtp; 550 5.1.1 no such mailbox here")
    people = " ".join(n.get_payload(0).get_content().split())
    check("once: %s" % people, people.count(" said: ") == 1 and "said: 550 5.1.1 no such mailbox here (in reply to RCPT" in people)
    check("no envelope id", message["Original-Envelope-Id"] is None)
    check("returned whole", n.get_payload()[-1].get_content_type() == "message/rfc822" and BODY.strip() in str(n))
    submit(m, "headers", [("bad2@remote.test", " NOTIFY=FAILURE")], " RET=HDRS")
    n = notice(m, "headers")
    check("header", "X-Mark: mark" in str(n) and BODY.strip() not in str(n))
    for subject, params in (("never", " NOTIFY=NEVER"), ("only success", " NOTIFY=SUCCESS")):
        qid = submit(m, subject, [("bad3@remote.test", params)])
        done(m, qid)
        check(subject, not about(m, subject))
    submit(m, "some", [("bad4@remote.test", " NOTIFY=NEVER"), ("bad5@remote.test", " NOTIFY=FAILURE"), ("good@remote.test", "")])
    _, rcpts = fields(notice(m, "some"))
    check("one recipient", [r["Final-Recipient"].split(";")[1].strip() for r in rcpts] == ["bad5@remote.test"])


def delay(m):
    """delay_warning_time: who did not say NOTIFY, or named DELAY, is told once; the mail goes on waiting."""
    for subject, params in (("slow default", ""), ("slow asked", " NOTIFY=DELAY"), ("slow not asked", " NOTIFY=FAILURE"),
                            ("slow never", " NOTIFY=NEVER")):
        submit(m, subject, [("slow@remote.test", params)])
    for subject in ("slow default", "slow asked"):
        n = notice(m, subject, timeout=60)
        message, (rcpt,) = fields(n)
        check("delayed", rcpt["Action"] == "delayed" and rcpt["Status"] == "4.2.1" and rcpt["Will-Retry-Until"])
    for subject in ("slow not asked", "slow never"):
        check(subject, not about(m, subject))
    check("still there", m.tool("postqueue", "-p").count("slow@remote.test") == 4)
    m.wait_log(r"status=deferred", m.log().count("status=deferred") + 4)  # another round
    notice(m, "slow default")  # still one
    m.tool("postsuper", "-d", "ALL")


def double_bounce(m):
    """A notice that cannot be delivered goes to the postmaster; the mail of the null sender too."""
    submit(m, "double", [("bad6@remote.test", "")], sender="bad-sender@remote.test")
    n = notice(m, "double", "postmaster")
    check("from: %s, to: %s" % (n["From"], n["To"]), "MAILER-DAEMON" in n["From"] and "postmaster" in n["To"].lower())
    m.wait_log(r"postmaster non-delivery notification: ")
    submit(m, "null", [("bad7@remote.test", "")], sender="")
    notice(m, "null", "postmaster")
    check("no loop", "double-bounce" not in m.tool("postqueue", "-p"))


def bound(test):
    def run():
        test(M)
    run.__name__ = test.__name__
    return run


if __name__ == "__main__":
    PLAIN = MailHost("127.0.0.1", RCPT=refuse)
    KNOWS = MailHost("127.0.0.1", EHLO="250-dsn.test\r\n250-8BITMIME\r\n250 DSN", RCPT=refuse)
    maps = "inline:{{remote.test = smtp:[127.0.0.1]:%d}, {dsn.test = smtp:[127.0.0.1]:%d}}" % (PLAIN.port, KNOWS.port)
    with Instance(transport_maps=maps, delay_warning_time="3s", minimal_backoff_time="1s", maximal_backoff_time="2s",
                  queue_run_delay="1s") as M:
        M.tool("merpati", "user", "add", "postmaster@example.test", input="secret\n")
        merpati.main(*map(bound, (parameters_refused, success, relayed, failure, delay, double_bounce)))
