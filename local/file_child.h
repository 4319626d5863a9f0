/* file_child.h - inside the two kinds of children. */
#ifndef MERPATI_LOCAL_FILE_CHILD_H
#define MERPATI_LOCAL_FILE_CHILD_H

#include "daemon/daemon.h"
#include "ev/ev_work.h"
#include "ipc/api_deliver.h"
#include "ipc/api_local.h"

#define MBOX_LOCK_TRIES 20     /* once a second (deliver_lock_attempts of Postfix) */
#define MBOX_STALE_SECONDS 500 /* age of a dot lock that nobody holds any more (stale_lock_time) */

/* The outcome of a failed delivery: "maildir delivery failed: why"; a full quota is final (5.2.2), all else is for now.
 */
void file_failed(struct lc_done *done, const struct err *err, const char *what, char *text, size_t size);
/* A copy of the message's body, which the message reads from now on; free() it when the decoded views are not needed.
 */
char *file_keep_body(struct msg *m);

/*
 * Appends in mbox form ("From " line, ">From " in the message, empty line at the end), under fcntl and dot locks,
 * synced; a failure takes back what was written.  Blocking, up to MBOX_LOCK_TRIES seconds for the locks.  0, ERR_SYS,
 * ERR_TEMP (locked by others), ERR_CORRUPT.
 */
int mbox_append(const struct lc_mbox *req, struct err *err);

/* Runs a command with the message on its standard input and answers the ticket with the outcome. */
int command_start(struct daemon *d, struct serve_ticket ticket, char *body, const struct lc_command *req);

#endif
