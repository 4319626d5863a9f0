# labels: long
"""Power is lost right after deliveries were reported: what the disk has then holds every message, whole and under its name.

The mailboxes lie on a journaled ext4 in a file; a copy of that file, made when the results are there, is what a machine would
find after the crash (a disk that loses what it says it has written is not played)."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from neighbours import Stage

ROUNDS, EACH = 4, 12
DV_DELIVER = 0x0401
SENT = 1
UID = 5000
MESSAGE = b"Subject: hi\n\n" + b"line\n" * 200


def conf(base):
    return {"myhostname": "mx.example.test", "myorigin": "example.test", "recipient_delimiter": "", "mailbox_command": "",
            "forward_path": "", "luser_relay": "", "virtual_mailbox_base": base, "export_environment": "",
            "allow_mail_to_commands": "", "allow_mail_to_files": "", "prepend_delivered_header": "", "first_valid_uid": 1000,
            "first_valid_gid": 1000, "mailbox_size_limit": 0, "virtual_mailbox_limit": 0, "command_time_limit": 10,
            "delay_logging_resolution_limit": 2, "ipc_timeout": 3600}


def deliver_many(link, base, queue, round):
    path = queue + "/message"
    with open(path, "wb") as f:
        f.write(b"x" * 64 + MESSAGE)
    header = MESSAGE.index(b"\n\n") + 1
    now = int(time.time() * 1e6)
    for i in range(EACH):
        fd = os.open(path, os.O_RDONLY)
        to = "u%d@example.test" % (i % 5)
        link.send(DV_DELIVER, [1000 * round + i, "4R%dN%d" % (round, i), "virtual", "", (now,), "a@a.org", "", 0, (now,),
                               len(MESSAGE), "c", "192.0.2.1", "h", "ESMTP", "", "", "<id>", "", 1, 64, header, 64 + header,
                               len(MESSAGE) - header, 1, 0, to, to, "", 0, 0], fds=[fd])
        os.close(fd)
    for _ in range(EACH):
        fields = link.recv()[2]
        assert fields[8] == SENT, fields


def files(base):
    return sorted(glob.glob(base + "/*/new/*"))


def main(top):
    image, base, after, queue = top + "/image", top + "/mnt", top + "/after", top + "/queue"
    for d in (base, after, queue):
        os.mkdir(d)
    subprocess.check_call(["truncate", "-s", "64M", image])
    subprocess.check_call(["mkfs.ext4", "-q", "-F", image])
    if subprocess.call(["mount", "-o", "loop", image, base]) != 0:
        print("SKIPPED: cannot mount")
        return
    try:
        os.chown(base, UID, UID)

        def rewrite(kind, fields, fds):
            user = fields[0].decode().split("@")[0]
            return 0x0104, [(0,), "", 3, "", "", UID, UID, user, "", "%s/%s/" % (base, user), ""]

        with Stage("local", conf(base), {"rewrite": rewrite}) as s:
            link = s.connect("qmgr")
            for round in range(ROUNDS):
                # A load beside it, so that deliveries are synced alone and together.
                noise = threading.Thread(target=subprocess.call, args=(["dd", "if=/dev/zero", "of=%s/noise" % base, "bs=64k",
                                                                        "count=40", "status=none"],))
                noise.start()
                deliver_many(link, base, queue, round)
                shutil.copyfile(image, top + "/crashed")
                noise.join()
                subprocess.check_call(["mount", "-o", "loop", top + "/crashed", after])
                try:
                    want, got = files(base), files(after)
                    assert len(want) == EACH * (round + 1), len(want)
                    assert [os.path.relpath(p, base) for p in want] == [os.path.relpath(p, after) for p in got]
                    for p in got:
                        with open(p, "rb") as f:
                            text = f.read()
                        assert text.endswith(MESSAGE) and (",S=%d," % len(text)) in p, p
                finally:
                    subprocess.check_call(["umount", after])
        print("ok %d messages in %d crashes" % (EACH * ROUNDS, ROUNDS))
    finally:
        subprocess.call(["umount", base])


if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
    print("SKIPPED: needs root and mkfs.ext4")
    sys.exit(0)
work = tempfile.mkdtemp(prefix="local-crash-")
os.chmod(work, 0o755)
try:
    main(work)
finally:
    shutil.rmtree(work, ignore_errors=True)
