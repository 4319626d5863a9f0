"""Two instances: STARTTLS, SASL to a relay, LMTP, between our own client and server."""
import merpati
from merpati import Instance, check


def send(m, rcpt, body="hello"):
    with m.smtp() as s:
        s.sendmail("user0@" + m.domain, [rcpt], "From: user0@%s\r\nTo: %s\r\nSubject: x\r\n\r\n%s\r\n" % (m.domain, rcpt, body))


def starttls():
    with Instance(domain="b.test") as b:
        with Instance(domain="a.test", relayhost="[127.0.0.1]:%d" % b.ports["smtp"], smtp_tls_loglevel="1") as a:
            send(a, "user1@b.test")
            b.wait_mail("user1")
            a.wait_log(r"TLS connection established to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: TLSv1\.3 with cipher")
            with open(b.maildir("user1")[0]) as f:
                check("TLS is in Received", "with ESMTPS" in f.read())


def starttls_verified():
    with Instance(domain="b.test") as b:
        with Instance(domain="a.test", relayhost="[localhost]:%d" % b.ports["smtp"], smtp_tls_security_level="secure",
                      smtp_tls_CAfile=b.info["ca_file"], smtp_tls_loglevel="1") as a:
            send(a, "user1@b.test")
            b.wait_mail("user1")
            a.wait_log(r"Verified TLS connection established to localhost\[127\.0\.0\.1\]")
        with Instance(domain="a.test", relayhost="[localhost]:%d" % b.ports["smtp"], smtp_tls_security_level="verify",
                      smtp_tls_loglevel="1") as a:
            send(a, "user1@b.test")
            a.wait_log(r"dsn=4\.7\.5, status=deferred")


def policy_by_table():
    with Instance(domain="b.test") as b:
        relay = "[localhost]:%d" % b.ports["smtp"]
        with Instance(domain="a.test", relayhost=relay, smtp_tls_loglevel="1", smtp_tls_CAfile=b.info["ca_file"],
                      smtp_tls_policy_maps="inline:{{%s = verify match=localhost}}" % relay) as a:
            send(a, "user1@b.test")
            b.wait_mail("user1")
            a.wait_log(r"Verified TLS connection established")
        with Instance(domain="a.test", relayhost=relay, smtp_tls_policy_maps="inline:{{%s = none}}" % relay) as a:
            send(a, "user1@b.test")
            b.wait_mail("user1", 2)
        with Instance(domain="a.test", relayhost=relay, smtp_tls_CAfile=b.info["ca_file"],
                      smtp_tls_policy_maps="inline:{{%s = verify match=other.test}}" % relay) as a:
            send(a, "user1@b.test")
            a.wait_log(r"dsn=4\.7\.5, status=deferred")


def sasl():
    with Instance(domain="b.test") as b:
        relay = "[127.0.0.1]:%d" % b.ports["submission"]
        with Instance(domain="a.test", relayhost=relay, smtp_sasl_auth_enable="yes",
                      smtp_sasl_password_maps="inline:{{%s = user0@b.test:secret}}" % relay,
                      smtp_sasl_security_options="noanonymous") as a:
            send(a, "user1@b.test")
            b.wait_mail("user1")
            b.wait_log(r"sasl_method=\S+, sasl_username=user0@b\.test")
        with Instance(domain="a.test", relayhost=relay, smtp_sasl_auth_enable="yes",
                      smtp_sasl_password_maps="inline:{{%s = user0@b.test:wrong}}" % relay,
                      smtp_sasl_security_options="noanonymous") as a:
            send(a, "user1@b.test")
            a.wait_log(r"dsn=4\.7\.8, status=deferred \(SASL authentication failed; server 127\.0\.0\.1\[127\.0\.0\.1\] said: 535")


def lmtp():
    with Instance(domain="b.test") as b:
        with Instance(domain="a.test", default_transport="lmtp:inet:127.0.0.1:%d" % b.ports["lmtp"]) as a:
            send(a, "user1@b.test")
            b.wait_mail("user1")
            a.wait_log(r"to=<user1@b\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % b.ports["lmtp"])


if __name__ == "__main__":
    merpati.main(starttls, starttls_verified, policy_by_table, sasl, lmtp)
