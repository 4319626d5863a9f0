/* queue_client.c - see queue_client.h. */
#include "tools/queue_client.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "conf/maincf_host.h"
#include "spool/qfile.h"
#include "spool/spool.h"

#define READ_STEP 65536
#define ROWS_ARENA (64u << 20)

int queue_client_init(struct queue_client *c, const char *config_directory)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = NULL;
	struct err err;
	struct buf b = BUF_INIT(CONF_VALUE_MAX);
	if (!config_directory)
		config_directory = getenv("MAIL_CONFIG");
	if (!config_directory)
		config_directory = "/etc/merpati";
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", config_directory);
	struct maincf_args args = {.path = path, .config_directory = config_directory, .host = maincf_host_default};
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	buf_init(&c->in, MSG_MAX_BODY + MSG_HEADER + READ_STEP);
	int r = maincf_load(&args, &mc, &problems, &err);
	if (r == 0)
		r = maincf_value(mc, "queue_directory", NULL, 0, &b, &err);
	maincf_free(&mc);
	conf_problems_clear(&problems);
	if (r < 0) {
		fprintf(stderr, "fatal: %s\n", err.text);
		buf_free(&b);
		return EX_CONFIG;
	}
	c->queue_directory = buf_steal(&b);
	return 0;
}

int queue_client_connect(struct queue_client *c, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/public/qmgr", c->queue_directory);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return err_set(err, ERR_LIMIT, "queue_directory is too long for a socket");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int r = errno == ECONNREFUSED || errno == ENOENT ? err_set(err, ERR_CLOSED, "mail system is down")
								 : err_sys(err, "connect to %s", sun.sun_path);
		close(fd);
		return r;
	}
	c->fd = fd;
	return 0;
}

int queue_client_send(struct queue_client *c, uint16_t type, const struct msg_out *m, struct err *err)
{
	char head[MSG_HEADER];
	msg_frame(head, (uint32_t)m->b.n, type, 0, QM_VERSION, 1);
	int r = fs_write_all(c->fd, head, sizeof(head), err);
	return r < 0 ? r : fs_write_all(c->fd, m->b.p, m->b.n, err);
}

int queue_client_recv(struct queue_client *c, struct msg *m, struct err *err)
{
	unsigned nfds;
	size_t used;
	buf_consume(&c->in, c->used);
	c->used = 0;
	for (;;) {
		int r = msg_parse(buf_sv(&c->in), MSG_MAX_BODY, m, &used, &nfds);
		if (r < 0)
			return err_set(err, ERR_PROTOCOL, "qmgr talks nonsense");
		if (r > 0) {
			c->used = used;
			return 0;
		}
		char *p = buf_reserve(&c->in, READ_STEP);
		ssize_t n = p ? read(c->fd, p, READ_STEP) : -1;
		if (n < 0)
			return err_sys(err, "read from qmgr");
		if (n == 0)
			return err_set(err, ERR_CLOSED, "qmgr closed the connection");
		c->in.n += (size_t)n;
	}
}

void queue_client_close(struct queue_client *c)
{
	fd_close(&c->fd);
	buf_free(&c->in);
	free(c->queue_directory);
	c->queue_directory = NULL;
}

int queue_client_list(struct queue_client *c, queue_row_fn *fn, void *arg, struct err *err)
{
	struct msg_out o = MSG_OUT_INIT;
	struct qm_rows rows = {.more = true};
	struct arena a;
	struct msg m;
	arena_init(&a, ROWS_ARENA);
	qm_list_put(&o, SV(""), SV(""));
	int r = queue_client_send(c, QM_LIST, &o, err);
	msg_out_free(&o);
	while (r == 0 && rows.more) {
		r = queue_client_recv(c, &m, err);
		if (r == 0 && (m.type != QM_ROWS || !qm_rows_get(&m, &a, &rows)))
			r = err_set(err, ERR_PROTOCOL, "qmgr talks nonsense");
		for (size_t i = 0; r == 0 && i < rows.n; i++)
			fn(arg, &rows.row[i]);
		arena_clear(&a);
	}
	return r;
}

static void row_of_file(const struct qfile *q, queue_row_fn *fn, void *arg)
{
	struct qm_row row = {.qid = q->qid,
	    .state = q->hold	   ? QM_ON_HOLD
		     : q->attempts ? QM_DEFERRED
				   : QM_INCOMING,
	    .arrival = q->env.arrival,
	    .next = q->next,
	    .size = q->env.size,
	    .sender = q->env.sender,
	    .rcpt = xcalloc(q->n + 1, sizeof(*row.rcpt))};
	for (size_t i = 0; i < q->n; i++)
		if (q->rcpt[i].status == QS_WAITING)
			row.rcpt[row.nrcpt++] = (struct qm_row_rcpt){q->rcpt[i].rcpt.addr, q->rcpt[i].text};
	row.nleft = row.nrcpt;
	fn(arg, &row);
	free(row.rcpt);
}

int queue_client_list_files(struct queue_client *c, queue_row_fn *fn, void *arg, struct err *err)
{
	struct spool s;
	struct spool_scan sc;
	struct sv name;
	int r = spool_open(&s, c->queue_directory, err);
	if (r < 0)
		return r;
	r = spool_scan_open(&s, &sc, err);
	while (r >= 0 && (r = spool_scan_next(&sc, &name, err)) > 0) {
		CLEANUP(freep) char *qid = sv_dup(name);
		struct qfile q;
		int fd = spool_open_file(&s, qid, O_RDONLY, err);
		if (fd >= 0 && qfile_load(&q, fd, 0, err) == 0) {
			row_of_file(&q, fn, arg);
			qfile_clear(&q);
		}
		fd_close(&fd);
	}
	spool_scan_close(&sc);
	spool_close(&s);
	return r;
}

int queue_client_order(
    struct queue_client *c, uint16_t type, struct sv qid, struct sv where, uint64_t *count, struct err *err)
{
	struct msg_out o = MSG_OUT_INIT;
	struct qm_order order = {qid, where};
	struct msg m = {0};
	int status;
	qm_order_put(&o, &order);
	int r = queue_client_send(c, type, &o, err);
	msg_out_free(&o);
	if (r == 0)
		r = queue_client_recv(c, &m, err);
	if (r < 0)
		return r;
	if (m.type != type || !qm_ordered_get(&m, &status, count))
		return err_set(err, ERR_PROTOCOL, "qmgr talks nonsense");
	return status < 0 ? err_set(err, status, "qmgr: %s", err_name(status)) : 0;
}

/* ---- without qmgr ---- */

static const char *state_of(const struct qfile *q)
{
	return q->hold ? "hold" : q->attempts ? "deferred" : "incoming";
}

/* One file; true when the order applied to it. */
static bool order_file(const struct spool *s, uint16_t type, const char *qid, struct sv where)
{
	struct err err;
	struct qfile q;
	struct buf rec = BUF_INIT(4096);
	CLEANUP(fd_closep) int fd = spool_open_file(s, qid, O_RDWR, &err);
	if (fd < 0 || qfile_load(&q, fd, 0, &err) < 0)
		return false;
	bool ok = where.n == 0 || sv_eqs(where, state_of(&q));
	if (ok && type == QM_DELETE) {
		ok = spool_unlink(s, qid, &err) == 0;
	} else if (ok) {
		bool hold = type == QM_HOLD || (type == QM_REQUEUE && q.hold);
		ok = type == QM_REQUEUE || q.hold != hold;
		(void)qrec_hold_put(&rec, hold);
		if (type != QM_HOLD)
			(void)qrec_schedule_put(&rec, q.attempts, 0);
		ok = ok && spool_append(fd, q.end, q.size > q.end, buf_sv(&rec), &err) == 0 && fdatasync(fd) == 0;
	}
	buf_free(&rec);
	qfile_clear(&q);
	return ok;
}

static int lock_index(const struct queue_client *c, struct err *err)
{
	CLEANUP(freep) char *path = xasprintf("%s/index/lock", c->queue_directory);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return err_set(err, ERR_TEMP, "the queue manager is starting or ending; try again");
}

/* Its rows do not know what was done: qmgr makes it anew. */
static void drop_index(const struct queue_client *c)
{
	CLEANUP(freep) char *path = xasprintf("%s/index/data.mdb", c->queue_directory);
	(void)unlink(path);
}

int queue_client_order_files(
    struct queue_client *c, uint16_t type, struct sv qid, struct sv where, uint64_t *count, struct err *err)
{
	struct spool s;
	struct spool_scan sc;
	struct sv name;
	CLEANUP(fd_closep) int lock = lock_index(c, err);
	int r = lock < 0 ? lock : spool_open(&s, c->queue_directory, err);
	if (r < 0)
		return r;
	*count = 0;
	r = spool_scan_open(&s, &sc, err);
	while (r >= 0 && (r = spool_scan_next(&sc, &name, err)) > 0) {
		CLEANUP(freep) char *id = sv_dup(name);
		if (sv_eqs(qid, "ALL") || sv_eq(qid, name))
			*count += order_file(&s, type, id, where);
	}
	spool_scan_close(&sc);
	spool_close(&s);
	if (*count)
		drop_index(c);
	return r;
}
