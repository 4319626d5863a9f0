/* stock.c - spool descriptors that smtpd and local hold in advance, by connection. */
#include "cleanup/cleanup.h"

#define ROOM_EVERY_MS 500

bool stock_room(struct cleanup *cl)
{
	uint64_t now = ev_now(daemon_ev(cl->d));
	if (cl->room_checked == 0 || now - cl->room_checked >= ROOM_EVERY_MS) {
		uint64_t need = cl->minfree > CLEANUP_ROOM_MIN ? cl->minfree : CLEANUP_ROOM_MIN;
		bool room = spool_room(&cl->spool) >= need;
		if (!room && (cl->room || cl->room_checked == 0))
			log_warn("not enough free space in mail queue: less than %ju bytes (queue_minfree)",
			    (uintmax_t)need);
		cl->room = room;
		cl->room_checked = now ? now : 1;
	}
	return cl->room;
}

/* One file into the stock and the answer; false when none can be had. */
static bool add_file(struct cleanup *cl, struct stock_file **held, struct cl_stock *out)
{
	struct err err;
	struct stock_file *f = xcalloc(1, sizeof(*f));
	if (spool_create(&cl->spool, clock_wall_us(), f->qid, &f->fd, &out->fd[out->n], &err) < 0) {
		log_warn("%s", err.text);
		free(f);
		return false;
	}
	HASH_ADD_STR(*held, qid, f);
	cl->files++;
	out->qid[out->n++] = sv_str(f->qid);
	return true;
}

int stock_on_request(struct serve_conn *c, struct msg *m)
{
	struct cleanup *cl = cleanup_of(c);
	struct stock_file *held = c->state;
	struct cl_stock out = {0};
	unsigned count;
	if (!cl_stock_req_get(m, &count))
		return ERR_PROTOCOL;
	if (HASH_COUNT(held) + count > CL_HELD_MAX || cl->files + count > CLEANUP_FILES_MAX || !stock_room(cl))
		out.status = ERR_LIMIT;
	while (out.status == 0 && out.n < count && add_file(cl, &held, &out))
		;
	if (out.status == 0 && out.n == 0 && count > 0)
		out.status = ERR_TEMP;
	c->state = held;
	struct msg_out o = MSG_OUT_INIT;
	cl_stock_put(&o, &out);
	(void)chan_reply(c->chan, m, CL_STOCK, &o);
	/* Only the receiver may hold a writer: a copy that waits here would keep the lease from us. */
	chan_flush(c->chan);
	msg_out_free(&o);
	for (size_t i = 0; i < out.n; i++)
		fd_close(&out.fd[i]);
	return 0;
}

static void drop(struct cleanup *cl, struct stock_file **held, struct stock_file *f, bool close_it)
{
	HASH_DEL(*held, f);
	if (close_it)
		fd_close(&f->fd);
	free(f);
	cl->files--;
}

int stock_take(struct serve_conn *c, struct sv qid)
{
	struct stock_file *held = c->state, *f = NULL;
	if (qid.n)
		HASH_FIND(hh, held, qid.p, qid.n, f);
	if (!f)
		return -1;
	int fd = f->fd;
	drop(cleanup_of(c), &held, f, false);
	c->state = held;
	return fd;
}

int stock_on_discard(struct serve_conn *c, struct msg *m)
{
	struct sv qid;
	if (!cl_discard_get(m, &qid))
		return ERR_PROTOCOL;
	int fd = stock_take(c, qid);
	fd_close(&fd);
	return 0;
}

void stock_on_close(struct serve_conn *c)
{
	struct stock_file *held = c->state, *f, *tmp;
	HASH_ITER (hh, held, f, tmp) {
		drop(cleanup_of(c), &held, f, true);
	}
	c->state = NULL;
}
