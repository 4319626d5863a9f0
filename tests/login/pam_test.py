"""System users log in through PAM (pam_unix): auth's worker reads shadow(5) by its group, nobody else does."""
import imaplib
import os
import pwd
import re
import subprocess

import merpati
from merpati import check, wait_for

USER, PASSWORD, SERVICE = "merpati-t%d" % (os.getpid() % 100000), "s3cret-%d" % os.getpid(), "merpati-test-%d" % os.getpid()


def groups(pid):
    with open("/proc/%d/status" % pid) as f:
        return re.search(r"^Groups:[ \t]*(.*)$", f.read(), re.M).group(1).split()


def test_pam():
    home = "/tmp/%s" % USER
    pam = "/etc/pam.d/" + SERVICE
    subprocess.run(["useradd", "-m", "-d", home, "-s", "/bin/false", USER], check=True)
    try:
        subprocess.run(["chpasswd"], input="%s:%s\n" % (USER, PASSWORD), text=True, check=True)
        with open(pam, "w") as f:
            f.write("auth required pam_unix.so\naccount required pam_unix.so\n")
        os.mkdir(os.path.join(home, "Maildir"), 0o700)
        who = pwd.getpwnam(USER)
        os.chown(os.path.join(home, "Maildir"), who.pw_uid, who.pw_gid)
        with merpati.Instance(users=1, auth_sources="lmdb, pam", auth_pam_service=SERVICE) as m:
            c = imaplib.IMAP4_SSL("localhost", m.ports["imaps"], ssl_context=m.tls_context(), timeout=30)
            check("logged in", c.login(USER, PASSWORD)[0] == "OK")
            check("SELECT", c.select("INBOX")[0] == "OK")
            c.logout()
            c = imaplib.IMAP4_SSL("localhost", m.ports["imaps"], ssl_context=m.tls_context(), timeout=30)
            try:
                c.login(USER, "wrong")
                raise merpati.Failure("a wrong password was taken")
            except c.error as e:
                check("refused: %s" % e, "AUTHENTICATIONFAILED" in str(e))
            m.imap().logout()  # accounts of merpati user go on
            check("auth has one more group", groups(wait_for("auth", lambda: m.pids("auth"))[0]) != [])
            for program in ("smtpd", "login", "keyd", "rewrite", "local"):
                check("%s has none" % program, groups(m.pids(program)[0]) == [])
        with merpati.Instance(users=1) as m:
            check("without PAM auth has none either", groups(m.pids("auth")[0]) == [])
    finally:
        if os.path.exists(pam):
            os.unlink(pam)
        subprocess.run(["userdel", "-r", USER], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    merpati.main(test_pam)
