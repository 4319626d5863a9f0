/*
 * zygote.h - the warm parent of imapd and pop3d.  `main` of such a program is one call of zygote_main.  The parent
 * waits for master's orders (MA_SESSION), forks, and never reads a byte from a client.  The child becomes the account's
 * uid and gid, is shut into the account's folder, reads the preface that login sends, and only then calls the program:
 *
 *   warm(d)          in the parent, once, after the sandbox is planned and before the first fork: read parameters into
 *                    tables that every child shares (no OpenSSL, no open index: a child copies what it touches);
 *   start(s)         in the child: make a stream or the like on s->fd, set s->on_end and s->on_wake, return 0.  The
 * child then runs s->ev until session_end(s).
 *
 * A child logs with the same identity as the parent, and its own pid.
 */
#ifndef MERPATI_DAEMON_ZYGOTE_H
#define MERPATI_DAEMON_ZYGOTE_H

#include "daemon/daemon.h"

#define SESSION_EARLY_MAX 65536 /* bytes that the client had sent before it was logged in */
#define SESSION_WATCH_MAX 64	/* folders that one session may watch */
#define SESSION_WAKE_MS 20	/* wake-ups closer together than this are one */
#define SESSION_FINISH_MS 1000	/* a stopping suite waits so long for a client that takes an answer */

struct session {
	struct ev *ev; /* the child's own loop */
	struct daemon
	    *daemon; /* for daemon_service() and the like; its loop and master's channel are not the child's */
	const struct conf *conf;
	int fd;		    /* stream socket to login: raw bytes of the protocol both ways; the program takes it */
	uint64_t number;    /* of the session, for the log */
	const char *user;   /* login name as it stands in the log: "bob@b.org" */
	const char *folder; /* absolute path of the account's Maildir */
	const char *tag;    /* IMAP: tag of the command that logged in, which the session answers; POP3: "" */
	const char *client; /* address of the client, "192.0.2.1" */
	const char *local;  /* our address */
	bool secure;	    /* TLS, or on this host */
	struct sv early;    /* bytes that the client had already sent; lives as long as the session */
	void *state;	    /* the program's own */
	void (*on_end)(struct session *s);  /* the suite stops: say BYE (IMAP) or close, then session_end */
	void (*on_wake)(struct session *s); /* something happened in a watched folder; may come for nothing */
	struct session_priv *priv;
};

struct zygote_def {
	const char *program;				/* "imapd" */
	int (*warm)(struct daemon *d, struct err *err); /* may be NULL */
	int (*start)(struct session *s, struct err *err);
	/* Asked in the parent before it is caged: a folder that sessions may read beside their own (data that is the
	 * same for everybody), or NULL.  The pointer itself may be NULL too. */
	const char *(*readable)(void);
};
int zygote_main(int argc, char **argv, const struct zygote_def *def);

/* The session is over: the loop ends after this turn and the child exits.  Output that must still go out is the
 * program's care (stream_close_after_flush first, session_end when s->fd is closed; or flush synchronously). */
void session_end(struct session *s);
void session_end_later(struct session *s, uint64_t ms); /* the same after ms: time for stream_close_after_flush */

/*
 * For programs that write synchronously, so that the loop does not run meanwhile: waits until s->fd takes bytes.  0
 * then; ERR_TIMEOUT after ms; ERR_CLOSED when the suite stops or the parent is gone and the client did not take what is
 * left within SESSION_FINISH_MS from when that was seen.  on_end comes with the next turn of the loop as always.
 */
int session_wait_writable(struct session *s, uint64_t ms);

/*
 * Watches these directories (absolute paths, n <= SESSION_WATCH_MAX) instead of those watched before; n 0: none.  Uses
 * an inotify descriptor that anvil lends and that is closed again before this returns to the loop.  Where watches are
 * not to be had, on_wake comes every session_poll_interval seconds instead: a caller need not know.
 */
void session_watch(struct session *s, char *const *paths, size_t n);

/* For tests: runs start() on a session made by hand (no fork, no sandbox, no anvil). */
struct session *session_new_for_test(
    struct ev *ev, int fd, const struct conf *conf, const char *user, const char *folder);
void session_free_for_test(struct session **s);

#endif
