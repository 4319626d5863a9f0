"""Programs that none of us wrote send mail: swaks, curl, mutt."""
import os
import shutil
import subprocess

from merpati import Instance, check, main, wait_for


def run(*command, input=None):
    done = subprocess.run(command, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    check("%s: %d\n%s" % (command[0], done.returncode, done.stdout), done.returncode == 0)
    return done.stdout


def have(program):
    if shutil.which(program) is None:
        print("     skipped: no " + program)
        return False
    return True


def delivered(user, subject):
    def found():
        for path in m.maildir(user):
            with open(path) as f:
                text = f.read()
            if "Subject: %s\n" % subject in text:
                return text
        return None
    return wait_for("a letter about %s for %s" % (subject, user), found)


def test_swaks():
    if not have("swaks"):
        return
    run("swaks", "--server", "127.0.0.1", "--port", str(m.ports["smtp"]), "--from", "x@a.org", "--to",
        "user0@example.test,user1@example.test", "--header", "Subject: swaks", "--body", "@-", input=".line\n..\nend\n")
    text = delivered("user0", "swaks")
    check("dots: %r" % text[-60:], "\n\n.line\n..\nend\n" in text)
    delivered("user1", "swaks")
    run("swaks", "--server", "127.0.0.1", "--port", str(m.ports["smtp"]), "--pipeline", "--from", "x@a.org", "--to",
        "user0@example.test", "--header", "Subject: pipe")
    delivered("user0", "pipe")
    run("swaks", "--server", "127.0.0.1", "--port", str(m.ports["lmtp"]), "--protocol", "LMTP", "--from", "x@a.org", "--to",
        "user0@example.test", "--header", "Subject: lmtp")
    delivered("user0", "lmtp")
    shown = run("swaks", "--server", "127.0.0.1", "--port", str(m.ports["smtp"]), "--quit-after", "EHLO")
    for word in ("PIPELINING", "SIZE", "STARTTLS", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"):
        check(word, word in shown)


def test_curl():
    if not have("curl"):
        return
    text = os.path.join(m.dir, "letter")
    with open(text, "w") as f:
        f.write("From: user0@example.test\nTo: user1@example.test\nSubject: curl\n\nfrom curl\n")
    common = ["--silent", "--show-error", "--cacert", m.info["ca_file"], "--mail-from", "user0@example.test", "--mail-rcpt",
              "user1@example.test", "--user", "user0@example.test:secret", "--upload-file", text]
    run("curl", "--ssl-reqd", "--url", "smtp://localhost:%d" % m.ports["submission"], *common)
    run("curl", "--url", "smtps://localhost:%d" % m.ports["submissions"], *common)
    m.wait_mail("user1", 2)
    check("as ESMTPSA", " with ESMTPSA id " in delivered("user1", "curl"))


def test_mutt():
    if not have("mutt"):
        return
    rc = os.path.join(m.dir, "muttrc")
    with open(rc, "w") as f:
        f.write("set sendmail=\"%s/sendmail -C %s -oem -oi\"\nset copy=no\nset from=user0@example.test\nset use_from=yes\n"
                "set use_envelope_from=yes\n" % (m.bin, m.etc))
    attached = os.path.join(m.dir, "bytes")
    with open(attached, "wb") as f:
        f.write(bytes(range(256)) * 200)
    run("mutt", "-F", rc, "-s", "mutt", "-a", attached, "--", "user1@example.test", input="text of the letter\n")
    text = delivered("user1", "mutt")
    check("MIME", "multipart/mixed" in text and "text of the letter" in text)


if __name__ == "__main__":
    with Instance(users=2) as m:
        main(test_swaks, test_curl, test_mutt)
