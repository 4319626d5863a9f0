"""POP3 with clients that others wrote: curl and fetchmail, plain and TLS."""
import os
import subprocess

from merpati import Instance, check, main
from pop3_test import MESSAGES, put, wire


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)
    check("%s: exit status %d: %s" % (command[0], done.returncode, done.stderr.decode("utf-8", "replace")), done.returncode == 0)
    return done.stdout


def curl():
    with Instance(users=1) as m:
        for text in MESSAGES:
            put(m, text)
        for scheme, port in (("pop3", "pop3"), ("pop3s", "pop3s")):
            base = "%s://localhost:%d/" % (scheme, m.ports[port])
            common = ["curl", "-sS", "--cacert", m.info["ca_file"], "-u", "user0@%s:secret" % m.domain]
            check("LIST", run(*common, base).split()[0::2] == [b"1", b"2", b"3"])
            for i, text in enumerate(MESSAGES):
                check("RETR %d" % (i + 1), run(*common, base + str(i + 1)) == wire(text))
        starttls = run(*common, "--ssl-reqd", "pop3://localhost:%d/2" % m.ports["pop3"])
        check("STLS", starttls == wire(MESSAGES[1]))
        run(*common, "-X", "DELE", "-I", base + "1")
        check("DELE", len(run(*common, base).split()) == 4)


def fetchmail():
    with Instance(users=1) as m:
        for text in MESSAGES:
            put(m, text)
        home = os.path.join(m.dir, "home")
        os.mkdir(home, 0o700)
        rc = os.path.join(home, "rc")
        with open(rc, "w") as f:
            f.write("poll localhost port %d protocol pop3 uidl no envelope\n"
                    " user 'user0@%s' password 'secret' is root here\n"
                    " ssl sslcertfile '%s' sslcertck\n"
                    " fetchall no keep mda 'cat >> %s/got'\n" % (m.ports["pop3s"], m.domain, m.info["ca_file"], home))
        os.chmod(rc, 0o600)
        run("fetchmail", "-f", rc, "--invisible", "--norewrite", env=dict(os.environ, HOME=home, FETCHMAILHOME=home))
        with open(os.path.join(home, "got"), "rb") as f:
            got = f.read()
        for text in MESSAGES:
            check("fetched", text.split(b"\n\n", 1)[1].rstrip(b"\n") in got)
        p = m.pop3()
        check("all were removed", p.stat()[0] == 0)
        p.quit()


if __name__ == "__main__":
    main(curl, fetchmail)
