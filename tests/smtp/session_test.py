"""Conversations with the SMTP server by strangers and neighbours: what is taken, what is refused, and how."""
# labels: short
import re
import socket
import time

from merpati import Instance, Raw, check, main, wait_for

STRANGER = "127.0.0.9"  # not in mynetworks = 127.0.0.1/32


def talk(m, port="smtp", source="127.0.0.1"):
    c = Raw(socket.create_connection(("127.0.0.1", m.ports[port]), 20, (source, 0)))
    code, text = c.reply()
    check("greeting", code == 220)
    return c


def expect(c, line, code, text=None):
    got, texts = c.command(line)
    check("%s: %d %r, not %d" % (line, got, texts, code), got == code)
    if text is not None:
        check("%s: %r does not say %s" % (line, texts, text), re.search(text, "\n".join(texts)))
    return texts


def envelope(c, rcpt="user0@example.test", sender="x@a.org"):
    expect(c, "EHLO client.test", 250)
    expect(c, "MAIL FROM:<%s>" % sender, 250)
    expect(c, "RCPT TO:<%s>" % rcpt, 250)


def test_letter():
    c = talk(m, source=STRANGER)
    envelope(c)
    expect(c, "DATA", 354)
    c.send("Subject: letter\r\n\r\n..a dot\r\nend\r\n")
    _, text = c.command(".")
    qid = re.search(r"queued as (\w+)", text[0]).group(1)
    path = m.wait_mail("user0", 1)[0]
    with open(path) as f:
        got = f.read()
    check("content", got.endswith("Subject: letter\n\n.a dot\nend\n"))
    check("trace", "\tby mail.example.test (Merpati) with ESMTP id %s\n\tfor <user0@example.test>; " % qid in got)
    check("no Date is added for strangers", "\nDate:" not in got)
    expect(c, "QUIT", 221)
    check("closed", c.line() is None)
    m.wait_log(r"smtpd\[\d+\]: connect from \S+\[127\.0\.0\.9\]$")
    m.wait_log(r"%s: client=\S+\[127\.0\.0\.9\]$" % qid)
    m.wait_log(r"cleanup\[\d+\]: %s: message-id=" % qid)
    m.wait_log(r"disconnect from \S+\[127\.0\.0\.9\] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5$")


def test_recipients():
    c = talk(m, source=STRANGER)
    expect(c, "EHLO client.test", 250)
    expect(c, "MAIL FROM:<x@a.org>", 250)
    expect(c, "RCPT TO:<nobody@example.test>", 550, "5.1.1 .*User unknown")
    expect(c, "RCPT TO:<someone@elsewhere.org>", 454, "4.7.1 .*Relay access denied")
    check("no percent hack", c.command("RCPT TO:<someone%elsewhere.org@example.test>")[0] in (454, 550))
    expect(c, "RCPT TO:<@example.test:someone@elsewhere.org>", 454)
    expect(c, "RCPT TO:<postmaster>", 250)
    expect(c, "RCPT TO:<user1+ext@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user1@example.test", 250)
    expect(c, "RCPT TO:<user1@example.test> NOTIFY=NEVER,DELAY", 501)
    c.close()
    m.wait_log(r"reject: RCPT from \S+\[127.0.0.9\]: 454 4.7.1 <someone@elsewhere.org>: Relay access denied; "
               r"from=<x@a.org> to=<someone@elsewhere.org> proto=ESMTP helo=<client.test>")
    c = talk(m)  # a neighbour may relay
    expect(c, "EHLO client.test", 250)
    expect(c, "MAIL FROM:<x@a.org> RET=HDRS ENVID=abc", 250)
    expect(c, "RCPT TO:<someone@elsewhere.org>", 250)
    c.close()


def test_wrong_order_and_syntax():
    c = talk(m)
    expect(c, "RCPT TO:<a@b.org>", 503)
    expect(c, "DATA", 503)
    expect(c, "EHLO", 501)
    expect(c, "EHLO x", 250)
    expect(c, "MAIL FROM:a b", 555)
    expect(c, "MAIL FROM:<a b@c>", 501, "5.1.7")
    expect(c, "MAIL FROM:<a@b.org> SIZE=99999999999", 552, "5.3.4")
    expect(c, "MAIL FROM:<\u00e4@b.org>", 553)
    expect(c, "MAIL FROM:<\u00e4@b.org> SMTPUTF8", 250)
    expect(c, "MAIL FROM:<a@b.org>", 503)
    expect(c, "RSET", 250)
    expect(c, "VRFY user0@example.test", 252)
    expect(c, "VRFY nobody@example.test", 550)
    expect(c, "HELP", 214)
    expect(c, "NOOP x", 250)
    expect(c, "FOO", 500)
    c.close()


def test_bad_input():
    c = talk(m)
    c.send(b"x" * 100000)
    code, _ = c.reply()
    check("overlong line: 500", code == 500)
    c.send(b"\r\n")
    expect(c, "NOOP", 250)
    c.send(b"NO\0OP\r\n")
    check("NUL: 500", c.reply()[0] == 500)
    c.send(b"\xff\xfe\r\n")
    check("8-bit: 500", c.reply()[0] == 500)
    for _ in range(40):
        c.send("BOGUS\r\n")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        line = c.line()
        if line is None or line.startswith("421"):
            break
    check("too many errors ends it", line is not None and "too many errors" in line)
    m.wait_log(r"too many errors after UNKNOWN from ")
    c = talk(m)
    expect(c, "QUIT", 221)
    c = talk(m, source=STRANGER)
    c.send("GET / HTTP/1.0\r\n")
    check("other protocols are told goodbye", c.reply()[0] == 221)
    m.wait_log(r"warning: non-SMTP command from \S+\[127.0.0.9\]: GET / HTTP/1.0")


def test_pipelining():
    c = talk(m, source=STRANGER)
    expect(c, "EHLO client.test", 250, "PIPELINING")
    c.send("MAIL FROM:<x@a.org>\r\nRCPT TO:<user0@example.test>\r\nRCPT TO:<no1@example.test>\r\n"
           "RCPT TO:<user1@example.test>\r\nDATA\r\n")
    check("each in order", [c.reply()[0] for _ in range(5)] == [250, 250, 550, 250, 354])
    c.send("Subject: p\r\n\r\nx\r\n.\r\nQUIT\r\n")
    check("end and quit", [c.reply()[0] for _ in range(2)] == [250, 221])
    c = talk(m, source=STRANGER)
    c.send("HELO x\r\nMAIL FROM:<x@a.org>\r\n")
    check("not without EHLO", c.reply()[0] == 554)
    m.wait_log(r"improper command pipelining after HELO from \S+\[127.0.0.9\]: MAIL FROM")


def test_smuggling():
    for ending in ("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n\r.\r\n"):
        c = talk(m, source=STRANGER)
        envelope(c)
        expect(c, "DATA", 354)
        c.send("Subject: outer\r\n\r\ntext" + ending + "MAIL FROM:<e@a.org>\r\nRCPT TO:<user1@example.test>\r\n"
               "DATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n")
        code, text = c.reply()
        check("%r: %d %r" % (ending, code, text), code == 550 and "bare <" in text[0])
        c.close()
    c = talk(m, source=STRANGER)  # whatever was taken before this one is filed before this one is
    envelope(c, "user1@example.test")
    expect(c, "DATA", 354)
    c.send("Subject: after the smugglers\r\n\r\n")
    expect(c, ".", 250)

    def subjects():
        return [open(p).read().split("Subject: ", 1)[1].split("\n")[0] for p in m.maildir("user1")]
    wait_for("the last letter", lambda: "after the smugglers" in subjects())
    check("nothing was smuggled in", "smuggled" not in subjects())


def test_bdat():
    c = talk(m, source=STRANGER)
    envelope(c, "user1@example.test")
    c.send("BDAT 12\r\nSubject: b\r\n")
    check("chunk", c.reply() == (250, ["2.0.0 Ok: 12 bytes"]))
    body = "\r\n.\r\nlong " + "y" * 200000 + "\r\n"
    c.send("BDAT %d LAST\r\n%s" % (len(body), body))
    code, text = c.reply()
    check("last chunk", code == 250 and "queued as" in text[0])
    qid = re.search(r"queued as (\w+)", text[0]).group(1)
    m.wait_log(r"%s: to=<user1@example.test>.*status=sent" % qid)
    found = [p for p in m.maildir("user1") if "\nSubject: b\n\n.\nlong yyy" in open(p).read()]
    check("as sent", len(found) == 1)


def test_too_big():
    c = talk(m)
    envelope(c)
    expect(c, "DATA", 354)
    line = "z" * 998 + "\r\n"
    for _ in range(300):
        c.send(line)
    code, text = c.command(".")
    check("%d %r" % (code, text), code == 552 and text[0].startswith("5.3.4"))
    expect(c, "NOOP", 250)


def test_loop():
    c = talk(m)
    envelope(c)
    expect(c, "DATA", 354)
    c.send("Received: from x by y; now\r\n" * 60)
    check("hop count", c.command("\r\n.")[0] == 554)
    c.close()


def test_lmtp():
    c = talk(m, "lmtp")
    expect(c, "EHLO x", 500)
    expect(c, "LHLO x", 250)
    expect(c, "MAIL FROM:<x@a.org>", 250)
    expect(c, "RCPT TO:<user0@example.test>", 250)
    expect(c, "RCPT TO:<nobody@example.test>", 550)
    expect(c, "RCPT TO:<user1@example.test>", 250)
    expect(c, "DATA", 354)
    c.send("Subject: lmtp\r\n\r\nx\r\n.\r\n")
    check("one reply a recipient", [c.reply()[0] for _ in range(2)] == [250, 250])
    expect(c, "QUIT", 221)


def test_silence():
    c = talk(m)
    start = time.monotonic()
    code, text = c.reply()
    check("421 after smtpd_timeout", code == 421 and "timeout exceeded" in text[0] and time.monotonic() - start > 2)
    m.wait_log(r"timeout after CONNECT from ")


def test_half_close():
    c = talk(m)
    expect(c, "EHLO x", 250)
    c.send("MAIL FR")
    c.sock.shutdown(socket.SHUT_WR)
    check("a half line is no reason to wait", c.line() is None)
    m.wait_log(r"lost connection after EHLO from ")


def test_concurrency():
    """A hundred clients at once, each byte by byte or in one piece, all served."""
    clients = [talk(m) for _ in range(100)]
    for c in clients:
        c.send("EHLO x\r\n")
    for c in clients:
        check("EHLO", c.reply()[0] == 250)
        c.send("MAIL FROM:<a@b.org>\r\nRCPT TO:<user0@example.test>\r\nDATA\r\n")
    for c in clients:
        check("envelope", [c.reply()[0] for _ in range(3)] == [250, 250, 354])
        c.send("Subject: many\r\n\r\nx\r\n.\r\n")
    for c in clients:
        check("queued", c.reply()[0] == 250)
        c.close()
    wait_for("all delivered", lambda: sum("Subject: many" in open(p).read() for p in m.maildir("user0")) == 100)


if __name__ == "__main__":
    with Instance(users=2, mynetworks="127.0.0.1/32", message_size_limit=250000, smtpd_timeout="4s") as m:
        main(test_letter, test_recipients, test_wrong_order_and_syntax, test_bad_input, test_pipelining, test_smuggling,
             test_bdat, test_too_big, test_loop, test_lmtp, test_silence, test_half_close, test_concurrency)
