/* daemon_priv.h - what the files of lib/daemon share. */
#ifndef MERPATI_DAEMON_PRIV_H
#define MERPATI_DAEMON_PRIV_H

#include "daemon/daemon.h"

#define DAEMON_LISTENERS 64   /* sockets that one service may have */
#define DAEMON_ACCEPT_TURN 64 /* connections accepted from one socket per turn of the loop */

struct daemon_listener {
	struct ev_io io;
	struct listener pub;
	struct daemon *d;
	char name[64];
};

/* A request to master that waits for its answer. */
struct master_call {
	struct master_call *next;
	uint32_t id;
	daemon_connected *done;
	void *arg;
};

struct daemon {
	const struct daemon_def *def;
	struct ev *ev;
	struct conf *conf;
	struct chan *master;
	char program[64], service[64], role[64], target[64];
	uint64_t process;
	void *state;
	struct daemon_listener listeners[DAEMON_LISTENERS];
	size_t nlisteners;
	bool ready, draining, stopping, accepting;
	int status; /* exit status */
	int64_t busy;
	uint64_t total, session_limit, max_use;
	bool status_sent_full;
	struct ev_timer status_timer, idle_timer, accept_pause;
	struct ev_signal signals;
	struct master_call *calls;
	uint32_t last_id;
	struct serve_conn **serve_slots; /* by number modulo, for tickets */
	uint64_t serve_last;
	size_t serve_count;
	struct serve_caller *serve_callers; /* by process */
};

#define SERVE_PER_CALLER 64 /* connections of one process to this one */

/* serve.c */
/* One process may not use up what the others need here: true when it has SERVE_PER_CALLER connections (logged once). */
bool serve_too_many(struct daemon *d, const struct caller *who);
void serve_all_closed(struct daemon *d);

/* daemon.c: starts or stops accepting, as drain, readiness and the session limit say. */
void daemon_update_accepting(struct daemon *d);
void daemon_idle_check(struct daemon *d);

#endif
