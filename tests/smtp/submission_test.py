"""Submission: TLS first, then AUTH, then anywhere; and the TLS port."""
# labels: short
import base64
import hashlib
import hmac
import os
import smtplib
import socket
import ssl

from merpati import Instance, Raw, check, main


def start():
    s = smtplib.SMTP("localhost", m.ports["submission"], local_hostname="client.test", timeout=30)
    s.ehlo()
    return s


def test_tls_first():
    s = start()
    check("no AUTH in the clear", "auth" not in s.esmtp_features)
    check("MAIL before STARTTLS", s.docmd("MAIL FROM:<user0@example.test>")[0] == 530)
    check("AUTH before STARTTLS", s.docmd("AUTH PLAIN AGEAYg==")[0] == 530)
    s.starttls(context=m.tls_context())
    s.ehlo()
    check("AUTH under TLS", {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(s.esmtp_features["auth"].split()))
    check("no second STARTTLS", "starttls" not in s.esmtp_features and s.docmd("STARTTLS")[0] == 554)
    s.mail("user0@example.test")
    check("not without AUTH", s.rcpt("user1@example.test")[0] == 554)
    s.quit()


def test_auth():
    for mech in ("PLAIN", "LOGIN"):
        s = start()
        s.starttls(context=m.tls_context())
        s.ehlo()
        s.user, s.password = "user0@example.test", "secret"
        check(mech, s.auth(mech, getattr(s, "auth_" + mech.lower()))[0] == 235)
        check("again", s.docmd("AUTH PLAIN")[0] == 503)
        s.sendmail("user0@example.test", ["user1@example.test"], "Subject: %s\r\n\r\nx\r\n" % mech)
        s.quit()
        m.wait_log(r"client=\S+, sasl_method=%s, sasl_username=user0@example.test" % mech)
    got = open(m.wait_mail("user1", 2)[0]).read()
    check("ESMTPSA", " with ESMTPSA id " in got)


def test_wrong_password():
    s = start()
    s.starttls(context=m.tls_context())
    try:
        s.login("user0@example.test", "wrong")
        check("must fail", False)
    except smtplib.SMTPAuthenticationError as error:
        check("535", error.smtp_code == 535)
    m.wait_log(r"warning: \S+\[127.0.0.1\]: SASL \S+ authentication failed: .*")


def test_scram():
    """SCRAM-SHA-256 by hand (RFC 5802), the final server message in a last challenge."""
    s = start()
    s.starttls(context=m.tls_context())
    s.ehlo()
    nonce = base64.b64encode(os.urandom(18)).decode()
    bare = "n=user0@example.test,r=" + nonce
    code, text = s.docmd("AUTH SCRAM-SHA-256 " + base64.b64encode(("n,," + bare).encode()).decode())
    check("challenge", code == 334)
    first = base64.b64decode(text).decode()
    f = dict(p.split("=", 1) for p in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(f["s"]), int(f["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = "c=biws,r=" + f["r"]
    auth = ",".join((bare, first, final)).encode()
    proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), auth, "sha256")))
    code, text = s.docmd(base64.b64encode((final + ",p=" + base64.b64encode(proof).decode()).encode()).decode())
    check("server final", code == 334)
    sig = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
    check("the server knows us", base64.b64decode(text).decode() == "v=" + base64.b64encode(sig).decode())
    check("235", s.docmd("")[0] == 235)
    s.quit()


def test_cancel():
    s = start()
    s.starttls(context=m.tls_context())
    s.ehlo()
    check("334", s.docmd("AUTH PLAIN")[0] == 334)
    check("cancelled", s.docmd("*")[0] == 501)
    check("bad base64", s.docmd("AUTH PLAIN !!")[0] == 501)
    check("unknown mechanism", s.docmd("AUTH FOO")[0] in (504, 535))
    check("alive", s.noop()[0] == 250)
    s.quit()


def test_injection():
    """What a man in the middle puts behind STARTTLS is not obeyed under TLS (RFC 3207 section 4.2)."""
    c = Raw(socket.create_connection(("127.0.0.1", m.ports["submission"]), 20))
    c.reply()
    c.command("EHLO x")
    c.send("STARTTLS\r\nRSET\r\nNOOP\r\n")
    check("220", c.reply()[0] == 220)
    t = Raw(m.tls_context().wrap_socket(c.sock, server_hostname="localhost"))
    code, text = t.command("EHLO y")
    check("the first reply is EHLO's", code == 250 and len(text) > 3)
    t.close()


def test_wrapper():
    with smtplib.SMTP_SSL("localhost", m.ports["submissions"], context=m.tls_context(), timeout=30) as s:
        s.login("user0@example.test", "secret")
        s.sendmail("user0@example.test", ["user1@example.test"], "Subject: 465\r\n\r\nx\r\n")
    sock = socket.create_connection(("127.0.0.1", m.ports["submissions"]), 20)
    sock.sendall(b"EHLO in the clear\r\n")
    try:
        while sock.recv(100):  # an alert may come first
            pass
    except ConnectionResetError:
        pass
    m.wait_log(r"SSL_accept error from ")


def test_received_tls():
    s = smtplib.SMTP("localhost", m.ports["smtp"], timeout=30)
    s.starttls(context=m.tls_context())
    s.sendmail("x@a.org", ["user0@example.test"], "Subject: tls\r\n\r\nx\r\n")
    s.quit()
    got = open(m.wait_mail("user0", 1)[0]).read()
    check("protocol and cipher in Received", "(using TLSv1.3 with cipher " in got and " with ESMTPS id " in got)
    m.wait_log(r"Anonymous TLS connection established from \S+: TLSv1.3 with cipher \S+ \(\d+/\d+ bits\)")


if __name__ == "__main__":
    with Instance(users=2, smtpd_tls_received_header="yes", smtpd_tls_loglevel=1) as m:
        main(test_tls_first, test_auth, test_wrong_password, test_scram, test_cancel, test_injection, test_wrapper,
             test_received_tls)
