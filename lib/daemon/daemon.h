/*
 * daemon.h - the skeleton of every program that master starts.  `main` is one call of daemon_main with a const table.
 * Start order: options, log, hello from master (parameters, clock), start(), sandbox, READY, and only then the first
 * connection.  A process serves one master.cf service for its whole life.
 */
#ifndef MERPATI_DAEMON_H
#define MERPATI_DAEMON_H

#include <sys/socket.h>

#include "conf/conf.h"
#include "ev/ev.h"
#include "ipc/chan.h"
#include "log/log.h"
#include "sandbox/sandbox.h"

struct daemon;

/* A socket that master bound and this service accepts from. */
struct listener {
	const char *name; /* "smtp", "587", "pickup": the first column of master.cf, or the address:port of it */
	bool is_inet;
	int fd;
};

/* Who is at the other end of a connection: stamped by master, so it can be believed. */
struct caller {
	char program[24]; /* class of the switchboard: "smtpd", "qmgr", "local" ... */
	char service[64]; /* its master.cf service: "smtp", "submission" ... */
	uint64_t process; /* master's number of that process, never used twice */
	pid_t pid;
	char extra[512]; /* what master vouches for beside: for a session its account, else "" */
};

struct daemon_def {
	const char *program; /* "smtpd" */
	const struct sandbox_profile *profile;
	/* Reads parameters and opens what the cage will not allow later.  <0 ends the process with err->text in the
	 * log. */
	int (*start)(struct daemon *d, struct err *err);
	/* One accepted client, non-blocking, close-on-exec; the program owns fd. NULL when it has no listeners. */
	void (*on_accept)(struct daemon *d, const struct listener *l, int fd, const struct sockaddr_storage *from);
	/* Another program connected through the switchboard; the program owns fd (a chan of messages). */
	void (*on_peer)(struct daemon *d, int fd, const struct caller *who);
	/* A message from master that the skeleton does not know (the session zygote's orders).  NULL: none expected. */
	void (*on_order)(struct daemon *d, struct msg *m);
	/* New parameters are in daemon_conf(d).  NULL: the process is replaced at reload instead (new generation). */
	int (*on_reload)(struct daemon *d, struct err *err);
	/* No new work will come; finish what is there.  The process ends when daemon_busy() is balanced (NULL: at once
	 * then). */
	void (*on_drain)(struct daemon *d);
};

int daemon_main(int argc, char **argv, const struct daemon_def *def);

struct ev *daemon_ev(struct daemon *d);
const struct conf *daemon_conf(struct daemon *d); /* this program's parameters with the service's -o overrides */
const char *daemon_service(struct daemon *d);	  /* master.cf service name */
const char *daemon_role(struct daemon *d);	  /* "" or the --role that master started it with ("file", "user") */
const char *daemon_target(struct daemon *d);	  /* for processes started for one target (uid:gid), else "" */
uint64_t daemon_process(struct daemon *d);	  /* master's number of this process */
void *daemon_state(struct daemon *d);		  /* the program's own struct, set in start() */
void daemon_set_state(struct daemon *d, void *state);

/* Sessions or jobs in progress: they hold a drain back and are reported to master (load, *_session_limit, *_max_use).
 */
void daemon_busy(struct daemon *d, int delta);
bool daemon_draining(const struct daemon *d);
bool daemon_stopping(const struct daemon *d);	/* draining because the whole suite stops: end idle clients now */
void daemon_stop(struct daemon *d, int status); /* ends the loop; the process exits with status */

/*
 * Asks master for a connection to a class of the switchboard ("session" with a grant as target, ...): done is called
 * once with status 0 and a descriptor that is the caller's, or a negative enum err_code and -1.
 */
typedef void daemon_connected(void *arg, int status, int fd);
void daemon_connect(struct daemon *d, const char *program, struct sv target, daemon_connected *done, void *arg);
/* Another request of lib/ipc/api_master.h to master; the reply's body is one i64 status (MA_GRANT). */
void daemon_request(struct daemon *d, uint16_t type, const struct msg_out *m, daemon_connected *done, void *arg);

/*
 * A client of another program: connects through the switchboard when first used and again after the other end died.
 * Calls made while there is no connection wait for it until their deadline.
 */
struct peer;
typedef void peer_done(
    void *arg, int status, struct msg *reply); /* status 0, ERR_TIMEOUT, ERR_CLOSED, ERR_DENIED, ERR_LIMIT */
struct peer *peer_new(struct daemon *d, const char *program, const char *target /* or NULL */);
void peer_free(struct peer **p); /* open calls are dropped without their callback */
/* Sends a request; done is called exactly once, never from inside peer_call.  Returns a number for peer_cancel. */
uint32_t peer_call(
    struct peer *p, uint16_t type, const struct msg_out *m, uint64_t timeout_ms, peer_done *done, void *arg);
void peer_cancel(struct peer *p, uint32_t call);		       /* done will not be called */
int peer_send(struct peer *p, uint16_t type, const struct msg_out *m); /* no reply expected; kept while reconnecting */
void peer_on_msg(
    struct peer *p, void (*fn)(void *arg, struct msg *m), void *arg);	       /* messages that answer no call (id 0) */
void peer_on_state(struct peer *p, void (*fn)(void *arg, bool up), void *arg); /* connection made or lost */

/*
 * The serving side: one table per program of what may be asked, and by whom.  Anything unlisted, from a caller that is
 * not listed, or that its handler calls nonsense, closes that connection and nothing else.
 */
struct serve_conn {
	struct daemon *d;
	struct chan *chan;
	struct caller who;
	void *state;				/* the program's, per connection */
	void (*on_close)(struct serve_conn *c); /* may be NULL; the skeleton frees c afterwards */
	const struct serve_entry *table;
	size_t n;
	uint64_t number, allowed; /* private: ticket number; which entries this caller may ask */
	struct serve_conn *next;  /* private */
	bool deaf;		  /* private: does not read its answers, is being closed */
};
#define SERVE_MAX 64 /* entries of one table */
struct serve_entry {
	uint16_t type;
	const char *name;    /* for the log */
	const char *callers; /* "smtpd local": programs that may ask */
	/* <0: the message was not well formed or out of order: the connection is closed and logged. */
	int (*handle)(struct serve_conn *c, struct msg *m);
};
struct serve_conn *serve_attach(struct daemon *d, int fd, const struct caller *who, const struct serve_entry *table,
    size_t n, void (*on_close)(struct serve_conn *));
void serve_close(struct serve_conn *c); /* from outside a handler */
/*
 * A reply that comes later: note id and version with serve_ticket in the handler, answer with serve_answer.  A ticket
 * of a connection that has closed meanwhile is harmless: the answer is dropped.
 */
struct serve_ticket {
	uint64_t conn;
	uint32_t id;
	uint8_t version;
};
struct serve_ticket serve_ticket(struct serve_conn *c, const struct msg *m);
void serve_answer(struct daemon *d, struct serve_ticket t, uint16_t type, const struct msg_out *m);

#endif
