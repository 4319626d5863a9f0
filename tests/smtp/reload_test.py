"""A reload drops no connection: an open session goes on with what it began with, new ones get the new parameters."""
from merpati import Instance, check, main, wait_for


def test_reload():
    c = m.raw("smtp")
    check("greeting", c.reply()[0] == 220)
    check("EHLO", c.command("EHLO x")[0] == 250)
    check("MAIL", c.command("MAIL FROM:<x@a.org>")[0] == 250)
    check("RCPT", c.command("RCPT TO:<user0@example.test>")[0] == 250)
    m.set(smtpd_banner="$myhostname ESMTP new")

    def renewed():
        d = m.raw("smtp")
        _, text = d.reply()
        d.close()
        return text[0].endswith("ESMTP new")
    wait_for("the new banner", renewed)
    check("DATA", c.command("DATA")[0] == 354)
    c.send("Subject: over a reload\r\n\r\nx\r\n")
    check("queued", c.command(".")[0] == 250)
    check("QUIT", c.command("QUIT")[0] == 221)
    m.wait_mail("user0")


def test_stop():
    """What was acknowledged just before a stop is there after the next start."""
    c = m.raw("smtp")
    c.reply()
    c.command("EHLO x")
    c.command("MAIL FROM:<x@a.org>")
    c.command("RCPT TO:<user0@example.test>")
    c.command("DATA")
    c.send("Subject: at the end\r\n\r\nx\r\n")
    code, _ = c.command(".")
    check("queued", code == 250)
    c.close()
    m.tool("merpati", "stop")
    m.start_master()
    m.wait_mail("user0", 2)


if __name__ == "__main__":
    with Instance(users=1) as m:
        main(test_reload, test_stop)
