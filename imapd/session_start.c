/* session_start.c - a session begins: its parameters, its account, and what the zygote tells it; see imap.h. */
#include "imapd/imap.h"

static void on_wake(struct session *zs)
{
	if (zs->state != NULL)
		idle_wake(zs->state);
}

/* The suite stops or reloads with a time limit: the client learns why the connection goes. */
static void on_end(struct session *zs)
{
	struct imap *s = zs->state;
	if (s != NULL && s->state != IMAP_OVER)
		imap_bye(s, "Shutting down", "Server shutting down.");
}

int imap_session_start(struct session *zs, struct err *err)
{
	struct imap *s = xcalloc(1, sizeof(*s));
	s->zs = zs;
	s->append_max = conf_int(zs->conf, "imapd_append_size_limit");
	s->timeout_ms = conf_time(zs->conf, "imapd_timeout") * 1000;
	s->tag = SV("*");
	zs->state = s;
	zs->on_end = on_end;
	zs->on_wake = on_wake;
	int r = store_open(zs->folder, &s->store, err);
	if (r != 0) {
		free(s);
		zs->state = NULL;
		return r;
	}
	imap_start(s);
	return 0;
}
