/*
 * queue_client.h - what the queue tools have in common: main.cf, the connection to qmgr's local socket (blocking), and
 * a list read from the queue files themselves when qmgr does not run and the caller may read them.
 */
#ifndef MERPATI_QUEUE_CLIENT_H
#define MERPATI_QUEUE_CLIENT_H

#include "ipc/api_qmgr.h"

struct queue_client {
	char *queue_directory;
	int fd; /* -1: not connected */
	struct buf in;
	size_t used; /* bytes of in that belong to the last message */
};

/* Reads main.cf of config_directory (NULL: MAIL_CONFIG or /etc/merpati).  Exit status (0, EX_CONFIG) with the reason
 * printed. */
int queue_client_init(struct queue_client *c, const char *config_directory);
/* 0; ERR_CLOSED when qmgr does not run; ERR_DENIED, ERR_SYS. */
int queue_client_connect(struct queue_client *c, struct err *err);
int queue_client_send(struct queue_client *c, uint16_t type, const struct msg_out *m, struct err *err);
/* The next message; views are valid until the next call. */
int queue_client_recv(struct queue_client *c, struct msg *m, struct err *err);
void queue_client_close(struct queue_client *c);

typedef void queue_row_fn(void *arg, const struct qm_row *row);
/* Every row from qmgr.  0, or ERR_CLOSED/ERR_PROTOCOL/ERR_SYS. */
int queue_client_list(struct queue_client *c, queue_row_fn *fn, void *arg, struct err *err);
/* Every row from the queue files. */
int queue_client_list_files(struct queue_client *c, queue_row_fn *fn, void *arg, struct err *err);
/* One order; *count: messages that it applied to. */
int queue_client_order(
    struct queue_client *c, uint16_t type, struct sv qid, struct sv where, uint64_t *count, struct err *err);
/*
 * The same on the files themselves, when qmgr does not run (its lock is taken meanwhile): `qid` may be ALL; `where` as
 * for qmgr
 * ("active" is empty then).  ERR_TEMP when qmgr has come up.
 */
int queue_client_order_files(
    struct queue_client *c, uint16_t type, struct sv qid, struct sv where, uint64_t *count, struct err *err);

#endif
