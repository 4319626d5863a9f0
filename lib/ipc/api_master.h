/*
 * api_master.h - the control channel between master and each process that it started (docs/ipc.md, "master").  Served
 * by master; the skeleton (lib/daemon) is the other side, so a program meets only MA_SESSION, MA_LOGSOURCE (its
 * on_order) and MA_GRANT (auth).
 */
#ifndef MERPATI_API_MASTER_H
#define MERPATI_API_MASTER_H

#include "ipc/msg.h"

#define MA_VERSION 1
#define MA_CONTROL_FD 3	 /* where a process finds its control channel */
#define MA_GRANT_SIZE 32 /* bytes of a session grant */

enum ma_type {
	/* master to process */
	MA_HELLO = 1, /* struct ma_hello + sealed memfd with the parameters + log socket */
	MA_LISTENER,  /* struct ma_listener + listening socket */
	MA_PEER,      /* struct ma_peer + connection */
	MA_RELOAD,    /* sealed memfd with the new parameters */
	MA_DRAIN,     /* no new work; finish what is there: bool, the whole suite stops */
	MA_CONNECTED, /* answers MA_CONNECT: i64 status + connection when 0 */
	MA_SESSION,   /* to a session zygote: struct ma_session + stream to login + connection to anvil */
	MA_LOGSOURCE, /* to logd: struct ma_logsource + reading end of a process's log socket */
	/* process to master */
	MA_READY = 32, /* caged and ready to serve */
	MA_STATUS,     /* u64 sessions or jobs in progress, u64 total since start, bool full (takes no more) */
	MA_CONNECT,    /* s class, s target */
	MA_GRANT,      /* auth: struct ma_grant; answered by MA_GRANTED with i64 status */
	MA_GRANTED
};

struct ma_hello {
	struct sv program, service, role, target;
	uint64_t process;     /* master's number of this process */
	int64_t clock_offset; /* seconds */
	bool verbose;
	uint64_t log_sink; /* enum log_sink of the socket */
	struct sv log_ident;
};
struct ma_listener {
	struct sv name;
	bool is_inet;
};
struct ma_peer {
	struct sv program, service;
	uint64_t process, pid;
	struct sv extra;
};
struct ma_session {
	uint64_t session; /* master's number of the session */
	struct sv user;	  /* for logs */
	uint64_t uid, gid;
	struct sv folder; /* absolute path of the account's folder */
};
struct ma_logsource {
	struct sv ident;
	uint64_t pid;
};
struct ma_grant {
	struct sv grant;   /* MA_GRANT_SIZE random bytes */
	uint64_t login;	   /* process number of the login process that may use it */
	struct sv service; /* class of the session: "imapd" or "pop3d" */
	struct sv user;
	uint64_t uid, gid;
	struct sv folder;
	uint64_t lifetime_ms;
};

/* Encoders append to *m (descriptors are added by the caller with put_fd).  Decoders: true when the whole body was
 * right. */
void ma_put_hello(struct msg_out *m, const struct ma_hello *h);
bool ma_get_hello(struct msg *m, struct ma_hello *h);
void ma_put_listener(struct msg_out *m, const struct ma_listener *l);
bool ma_get_listener(struct msg *m, struct ma_listener *l);
void ma_put_peer(struct msg_out *m, const struct ma_peer *p);
bool ma_get_peer(struct msg *m, struct ma_peer *p);
void ma_put_session(struct msg_out *m, const struct ma_session *s);
bool ma_get_session(struct msg *m, struct ma_session *s);
void ma_put_logsource(struct msg_out *m, const struct ma_logsource *s);
bool ma_get_logsource(struct msg *m, struct ma_logsource *s);
void ma_put_grant(struct msg_out *m, const struct ma_grant *g);
bool ma_get_grant(struct msg *m, struct ma_grant *g);

#endif
