/* master.h - what the files of master share: configuration, services, processes. */
#ifndef MERPATI_MASTER_H
#define MERPATI_MASTER_H

#include <netinet/in.h>

#include "conf/maincf.h"
#include "conf/mastercf.h"
#include "ev/ev.h"
#include "ipc/api_master.h"
#include "ipc/chan.h"
#include "log/log.h"
#include "master/switchboard.h"

#define SERVICES_MAX 256      /* services of one configuration */
#define SERVICE_SOCKETS 64    /* addresses of one service */
#define SERVICE_WAITING 4096  /* connections that wait for a process of a service */
#define CALLER_WAITING 256    /* of these, for one caller */
#define CONNECT_BURST 1000    /* connections that one process may ask for at once */
#define CONNECT_EVERY_MS 5    /* and how far apart in the long run */
#define CONTROL_BACKLOG 65536 /* bytes that may wait for a process that does not read its control channel */
#define GRANTS_MAX 10000      /* session grants that were not used yet */
#define BACKOFF_FIRST_MS 1000 /* pause after a process died young; doubles up to service_throttle_time */
#define YOUNG_MS 5000	      /* a process that lives shorter than this died young */

struct master;
struct service;

enum proc_state { PROC_STARTING, PROC_READY, PROC_DRAINING };

struct process {
	struct process *next;
	struct service *service;
	struct master *m;
	uint64_t number, started_ms, sessions;
	pid_t pid;
	enum proc_state state;
	bool reloads_in_place, full, ending, killed;
	uint64_t connect_due; /* ms, when the next connection would be due at the long-run rate */
	char target[64];      /* "UID:GID" for processes of one user */
	struct chan *control;
	struct ev_child child;
	struct ev_timer kill_timer;
	int log_reader; /* logd's end of its log socket, kept for a new logd; -1 without logd */
	char ident[64];
};

/* A connection that waits for a process (its service backs off). */
struct waiting {
	struct waiting *next;
	struct ma_peer who;
	char program[24], service[64], extra[512];
	char target[64];
	int fd;
};

struct service {
	struct service *next;
	struct master *m;
	const struct swb_class *class;
	char name[64];
	char key[96];			 /* "name/type", equal over a reload */
	const struct mcf_service *entry; /* NULL for implicit services */
	unsigned maxproc;		 /* 0: no limit */
	int sockets[SERVICE_SOCKETS];
	char socket_name[SERVICE_SOCKETS][96];
	size_t nsockets;
	bool inet;
	struct process *procs;
	struct waiting *waiting, **waiting_tail;
	size_t nwaiting;
	uint64_t backoff_ms;
	struct ev_timer restart;
	bool obsolete; /* gone from master.cf, its last processes drain */
	unsigned spawned, died;
	bool restart_pending; /* the restart timer was started for a crash */
};

/* What master needs for a class of processes. */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t extra; /* supplementary group; 0: none */
	bool known;
};

struct grant {
	struct grant *next;
	char key[MA_GRANT_SIZE];
	uint64_t login, uid, gid, expires_ms;
	char service[16], user[512], folder[4096];
};

struct master {
	struct ev *ev;
	const char *config_directory;
	int64_t clock_offset;
	bool verbose;
	struct maincf *maincf;
	struct mastercf *mastercf;
	struct service *services;
	struct identity ids[32]; /* by index into swb_classes */
	uint64_t last_process, last_session;
	struct grant *grants;
	size_t ngrants;
	enum log_sink log_sink;
	int log_fd; /* journal or syslog datagram socket, shared; -1 with logd */
	struct process *logd;
	int self_log; /* logd's end of master's own log socket; -1 */
	bool stopping;
	unsigned stop_phase;
	struct ev_timer watchdog;
	struct ev_timer log_timer; /* with log_fd */
	struct ev_signal signals;
	struct ev_io control; /* public/control: merpati status and reload */
	uid_t owner;	      /* mail_owner, who may use it beside root; 0: nobody */
	int ready_fd;	      /* a byte is written there when everything runs; -1 */
	bool announced;
	uint64_t started_ms;
	unsigned generation;
	int exit_status;
};

/* master.c */
void master_ready(struct master *m);
/* layout.c: folders of queue, data and mail with their owners. */
int layout_make(struct master *m, struct err *err);
int identities_load(struct master *m, struct err *err);
const struct identity *identity_of(struct master *m, const struct swb_class *c);
/* config.c */
int config_load(struct master *m, struct maincf **mc, struct mastercf **services, struct err *err);
char *config_value(struct master *m, const char *name); /* expanded; the caller frees it */
uint64_t config_num(struct master *m, const char *name);
/* services.c */
int services_build(struct master *m, const struct mastercf *mcf, struct service **out, struct err *err);
void service_free(struct service *s);
struct service *service_find(struct master *m, const struct swb_class *c, struct sv name);
void services_start(struct master *m);
/* ports.c */
/* Binds what s listens on; sockets of the services in old (NULL: none) for the same addresses are taken from them. */
int ports_bind(struct service *s, struct service *old, struct err *err);
/* Undoes one such taking; false when the socket was not one of theirs. */
bool ports_give_back(struct service *old, const char *name, int fd);
int ports_unix(const char *path, mode_t mode, struct err *err);
/* spawn.c */
struct process *spawn_process(struct service *s, const char *target, struct err *err);
void process_stop(struct process *p);			     /* asks to drain, kills after drain_time */
void process_kill(struct process *p);			     /* SIGKILL: it does what it may not do, or does not end */
int process_params(struct service *s, struct err *err);	     /* sealed memfd with the service's parameters */
void log_sources_to(struct master *m, struct process *logd); /* hands a new logd what it shall read */
/* reap.c */
void process_watch(struct process *p);
void service_ensure(struct service *s); /* starts what should run, or waits for the back-off */
/* requests.c */
void process_msg(struct chan *c, struct msg *m, void *arg);
int deliver_peer(struct process *p, const struct ma_peer *who, int fd); /* 0 or ERR_TEMP: it does not read */
void service_flush_waiting(struct service *s, struct process *p);
/* grants.c */
int grant_add(struct master *m, const struct ma_grant *g);
struct grant *grant_take(struct master *m, struct sv key, uint64_t login); /* the caller frees it */
/* reload.c */
void master_reload(struct master *m);
void service_retired(struct master *m, struct service *s); /* an obsolete service has no process left: frees it */
void master_stop(struct master *m);
void stop_progress(struct master *m);
/* control.c */
int control_open(struct master *m, struct err *err);
void control_owner(struct master *m); /* after a change of mail_owner */

#endif
