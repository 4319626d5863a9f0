/* postsuper.c - postsuper(1): delete, hold, release, requeue by asking qmgr, who does it while mail goes on, or in the
 * files when it is down. */
#include <getopt.h>
#include <sysexits.h>

#include "tools/queue_client.h"

static const struct {
	char option;
	uint16_t type;
	const char *done;
} orders[] = {
    {'d', QM_DELETE, "Deleted"},
    {'h', QM_HOLD, "Placed on hold"},
    {'H', QM_RELEASE, "Released from hold"},
    {'r', QM_REQUEUE, "Requeued"},
};

struct want {
	size_t order;
	const char *qid;
};

#define WANTS_MAX 4096

static int usage(void)
{
	fputs(
	    "usage: postsuper [-c config_dir] [-d queue_id] [-h queue_id] [-H queue_id] [-r queue_id] [directory ...]\n"
	    "       queue_id: ALL for every message, - for a list on standard input\n",
	    stderr);
	return EX_USAGE;
}

static int one(struct queue_client *c, size_t order, struct sv qid, struct sv where, uint64_t *total)
{
	struct err err = {0};
	uint64_t count = 0;
	if (!mail_qid_valid(qid)) {
		fprintf(stderr, "postsuper: warning: invalid mail queue id: " SV_FMT "\n", SV_ARG(qid));
		return 0;
	}
	int r = (c->fd >= 0 ? queue_client_order : queue_client_order_files)(
	    c, orders[order].type, qid, where, &count, &err);
	if (r < 0) {
		fprintf(stderr, "postsuper: fatal: %s\n", err.text);
		return EX_UNAVAILABLE;
	}
	*total += count;
	return 0;
}

/* One option: an id, ALL (in the named queues or everywhere), or - . */
static int run(struct queue_client *c, const struct want *w, char **queues, int nqueues, uint64_t *total)
{
	int r = 0;
	if (strcmp(w->qid, "-") == 0) {
		char *line = NULL;
		size_t cap = 0;
		ssize_t n;
		while (r == 0 && (n = getline(&line, &cap, stdin)) > 0) {
			struct sv id = sv_trim(sv_of(line, (size_t)n));
			if (id.n)
				r = one(c, w->order, id, SV(""), total);
		}
		free(line);
		return r;
	}
	if (strcmp(w->qid, "ALL") != 0 || nqueues == 0)
		return one(c, w->order, sv_str(w->qid), SV(""), total);
	for (int i = 0; r == 0 && i < nqueues; i++)
		r = one(c, w->order, sv_str(w->qid), sv_str(queues[i]), total);
	return r;
}

static int run_all(struct queue_client *c, const struct want *w, size_t n, char **queues, int nqueues)
{
	uint64_t total[ARRAY_LEN(orders)] = {0};
	struct err err;
	int r = 0;
	if (queue_client_connect(c, &err) == ERR_CLOSED) {
		fputs("postsuper: warning: Mail system is down -- accessing queue directly\n", stderr);
	} else if (c->fd < 0) {
		fprintf(stderr, "postsuper: fatal: %s\n", err.text);
		return EX_UNAVAILABLE;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = run(c, &w[i], queues, nqueues, &total[w[i].order]);
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		if (total[i])
			fprintf(stderr, "postsuper: %s: %ju message%s\n", orders[i].done, (uintmax_t)total[i],
			    total[i] == 1 ? "" : "s");
	return r;
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	struct want *w = xcalloc(WANTS_MAX, sizeof(*w));
	struct queue_client q;
	size_t n = 0;
	int c;
	while ((c = getopt(argc, argv, "c:d:h:H:r:psvS")) != -1) {
		size_t i = 0;
		while (i < ARRAY_LEN(orders) && orders[i].option != c)
			i++;
		if (i < ARRAY_LEN(orders) && n < WANTS_MAX)
			w[n++] = (struct want){i, optarg};
		else if (c == 'c')
			config = optarg;
		else if (!strchr("psvS", c)) /* structure checks and repairs are qmgr's own work */
			return usage();
	}
	if (geteuid() != 0) {
		fputs("postsuper: fatal: use of this command is reserved for the superuser\n", stderr);
		return EX_NOPERM;
	}
	int r = queue_client_init(&q, config);
	if (r == 0 && n > 0)
		r = run_all(&q, w, n, argv + optind, argc - optind);
	queue_client_close(&q);
	free(w);
	return r;
}
