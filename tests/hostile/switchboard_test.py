"""Who may talk to whom: a probe takes the place of every program and asks master for every class and for sessions.

Each answer is compared with the table that `merpati check --switchboard` prints; grants are tried replayed, by another process,
by another program, and for identities that nobody may have.
"""
# labels: short
import os
import re
import shutil
import tempfile

import merpati
from merpati import BUILD, check, wait_for

OK, DENIED, NOT_FOUND = "0", "-10", "-8"
PROGRAMS = ["smtpd", "login", "imapd", "pop3d", "qmgr", "smtp", "local", "cleanup", "rewrite", "resolver", "auth", "keyd", "anvil"]
GOOD_TARGETS = {"smtp": "smtp", "local": "virtual", "local_file": "5000:5000", "local_user": "5000:5000"}


def table(m):
    """{class: set of callers} as printed."""
    out = {}
    for line in m.tool("merpati", "check", "--switchboard").split("\n")[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[0] != "session":
            out[fields[0]] = set(re.split(r"\s{2,}|\s", line.strip())[3:]) - {"-"}
    return out


def probes(where):
    """A daemon_directory in which every program but master and logd is the probe."""
    for name in ("master", "logd"):
        os.symlink(os.path.join(BUILD, "libexec", name), os.path.join(where, name))
    for name in PROGRAMS:
        shutil.copy(os.path.join(BUILD, "hostile", "probe"), os.path.join(where, name))
    os.chmod(where, 0o755)


def answers(m):
    found = re.findall(r"probe: (\S+) -> (\S*) (\S*): (-?\d+)$", m.log(), re.M)
    return {(who, cls, target): status for who, cls, target, status in found}


def test_every_pair(m):
    allowed = table(m)
    check("the table was read: %s" % allowed, allowed["cleanup"] == {"smtpd", "qmgr", "local"})
    got = wait_for("answers to every program", lambda: (lambda a: a if len({k[0] for k in a} & set(PROGRAMS)) == len(PROGRAMS)
                                                        and all((p, "session", "0123456789abcdef0123456789abcdef") in a
                                                                for p in PROGRAMS) else None)(answers(m)))
    wrong = []
    for (who, cls, target), status in got.items():
        good = cls in allowed and who in allowed[cls] and target == GOOD_TARGETS.get(cls, "")
        unknown_service = cls == "smtp" and who in allowed["smtp"] and target == "no-such-service"
        expected = OK if good else NOT_FOUND if unknown_service else DENIED
        if status != expected:
            wrong.append((who, cls, target, status, expected))
    check("answers differ from the table: %s" % wrong, not wrong)
    print("     %d questions answered as the table says" % len(got))


def test_grants(m):
    m.wait_log("probe: session with the grant of another process: ")
    log = m.log()
    for what in ("as root", "as a system user", "as a system group", "of a relative folder", "of a folder elsewhere"):
        check("grant " + what, re.findall("probe: grant %s: (-?\\d+)" % what, log) == [DENIED])
    check("ordinary grants", set(re.findall("probe: grant of an ordinary user: (-?\\d+)", log)) == {OK})
    check("own grant", OK in re.findall("session with its own grant: (-?\\d+)", log))
    check("used grant", set(re.findall("session with a used grant: (-?\\d+)", log)) == {DENIED})
    check("foreign grant", set(re.findall("session with the grant of another process: (-?\\d+)", log)) == {DENIED})
    check("it is logged", "made for" in log)


def all_tests():
    where = tempfile.mkdtemp(prefix="merpati-probes-")
    try:
        probes(where)
        with merpati.Instance(users=1, daemon_directory=where) as m:
            test_every_pair(m)
            test_grants(m)
    finally:
        shutil.rmtree(where)


if __name__ == "__main__":
    merpati.main(all_tests)
