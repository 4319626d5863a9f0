/* postqueue.c - postqueue(1), also behind mailq(1): list and flush the queue by asking qmgr; output as in Postfix. */
#include <getopt.h>
#include <sysexits.h>
#include <time.h>

#include "tools/queue_client.h"

#define FORMAT_HEAD "%-17s %8s %-19s %s\n"
#define FORMAT_SENDER "%-17s %8ju %19.19s "
#define REASON_COLUMN 76

struct listing {
	bool json;
	uint64_t files, bytes;
};

static void put_text(struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		putchar(c < ' ' || c == 127 ? '?' : c);
	}
}

static void row_text(struct listing *l, const struct qm_row *r)
{
	char id[MAIL_QID_MAX + 2], date[64];
	time_t at = (time_t)(r->arrival / 1000000);
	struct tm tm;
	char mark = r->state == QM_ACTIVE ? '*' : r->state == QM_ON_HOLD ? '!' : ' ';
	struct sv last = SV("");
	if (l->files == 0)
		printf(FORMAT_HEAD, "----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------");
	else
		putchar('\n');
	(void)snprintf(id, sizeof(id), SV_FMT "%c", SV_ARG(r->qid), mark);
	localtime_r(&at, &tm);
	(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	printf(FORMAT_SENDER, id, (uintmax_t)r->size, date);
	put_text(r->sender.n ? r->sender : SV("MAILER-DAEMON"));
	putchar('\n');
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct qm_row_rcpt *q = &r->rcpt[i];
		if (q->reason.n && !sv_eq(q->reason, last)) {
			int pad = q->reason.n < REASON_COLUMN ? REASON_COLUMN - (int)q->reason.n : 0;
			printf("%*s(", pad, "");
			put_text(q->reason);
			puts(")");
			last = q->reason;
		}
		printf("%-17s %8s %-19s ", "", "", "");
		put_text(q->addr);
		putchar('\n');
	}
	if (r->nleft > r->nrcpt)
		printf("%-17s %8s %-19s (%ju more)\n", "", "", "", (uintmax_t)(r->nleft - r->nrcpt));
}

static void put_json(struct sv s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 127)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void row_json(const struct qm_row *r)
{
	static const char *const queues[] = {
	    [QM_ACTIVE] = "active", [QM_INCOMING] = "incoming", [QM_DEFERRED] = "deferred", [QM_ON_HOLD] = "hold"};
	const char *queue = r->state < ARRAY_LEN(queues) && queues[r->state] ? queues[r->state] : "incoming";
	printf("{\"queue_name\": \"%s\", \"queue_id\": ", queue);
	put_json(r->qid);
	printf(", \"arrival_time\": %lld, \"message_size\": %ju, \"forced_expire\": false, \"sender\": ",
	    (long long)(r->arrival / 1000000), (uintmax_t)r->size);
	put_json(r->sender);
	fputs(", \"recipients\": [", stdout);
	for (size_t i = 0; i < r->nrcpt; i++) {
		fputs(i ? ", {\"address\": " : "{\"address\": ", stdout);
		put_json(r->rcpt[i].addr);
		if (r->rcpt[i].reason.n) {
			fputs(", \"delay_reason\": ", stdout);
			put_json(r->rcpt[i].reason);
		}
		putchar('}');
	}
	puts("]}");
}

static void on_row(void *arg, const struct qm_row *r)
{
	struct listing *l = arg;
	if (l->json)
		row_json(r);
	else
		row_text(l, r);
	l->files++;
	l->bytes += r->size;
}

static int list(struct queue_client *c, bool json)
{
	struct listing l = {.json = json};
	struct err err;
	int r = queue_client_connect(c, &err);
	if (r == 0) {
		r = queue_client_list(c, on_row, &l, &err);
	} else if (r == ERR_CLOSED && geteuid() == 0) {
		fprintf(stderr, "postqueue: warning: Mail system is down -- accessing queue directly\n");
		r = queue_client_list_files(c, on_row, &l, &err);
	} else {
		fprintf(stderr, "postqueue: fatal: Queue report unavailable - %s\n", err.text);
		return EX_UNAVAILABLE;
	}
	if (r < 0) {
		fprintf(stderr, "postqueue: fatal: %s\n", err.text);
		return EX_UNAVAILABLE;
	}
	if (!json && l.files == 0)
		puts("Mail queue is empty");
	else if (!json)
		printf("\n-- %ju Kbytes in %ju Request%s.\n", (uintmax_t)(l.bytes / 1024), (uintmax_t)l.files,
		    l.files == 1 ? "" : "s");
	return 0;
}

static int flush(struct queue_client *c, const char *qid, const char *site)
{
	struct err err;
	uint64_t count;
	struct sv where = sv_str(site ? site : "");
	if (qid && !mail_qid_valid(sv_str(qid))) {
		fprintf(stderr, "postqueue: fatal: Invalid queue ID: %s\n", qid);
		return EX_USAGE;
	}
	if (where.n > 0 && where.p[0] == '@')
		where = sv_skip(where, 1);
	int r = queue_client_connect(c, &err);
	if (r == 0)
		r = queue_client_order(c, QM_FLUSH, sv_str(qid ? qid : ""), where, &count, &err);
	if (r == 0)
		return 0;
	fprintf(stderr, "postqueue: fatal: Cannot flush mail queue - %s\n", err.text);
	return EX_UNAVAILABLE;
}

static int usage(void)
{
	fputs("usage: postqueue [-c config_dir] [-v] -p | -j | -f | -i queue_id | -s site\n", stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	const char *config = NULL, *qid = NULL, *site = NULL;
	char mode = 0;
	int c;
	while ((c = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		if (c == 'c') {
			config = optarg;
		} else if (strchr("fijps", c)) {
			if (mode && mode != c)
				return usage();
			mode = (char)c;
			qid = c == 'i' ? optarg : qid;
			site = c == 's' ? optarg : site;
		} else if (c != 'v') {
			return usage();
		}
	}
	if (!mode || argc > optind)
		return usage();
	struct queue_client q;
	int r = queue_client_init(&q, config);
	if (r == 0)
		r = mode == 'p' || mode == 'j' ? list(&q, mode == 'j') : flush(&q, qid, site);
	queue_client_close(&q);
	return r;
}
