/* report.c - the log line of a delivery. */
#include "local/coord.h"

static const char *const status_names[] = {"", "sent", "deferred", "bounced", "expanded"};

/* Two significant digits, at most `digits` behind the point, no zeros at the end: the form of Postfix's logs. */
void report_delay(char out[24], int64_t us, unsigned digits)
{
	static const int64_t scale[] = {1, 10, 100};
	unsigned most = us >= 10000000 ? 0 : us >= 1000000 ? 1 : 2;
	char text[24], *end = text + sizeof(text), *p = end;
	int64_t v;

	if (digits > most)
		digits = most;
	v = us > 0 ? (us + 500000 / scale[digits]) / (1000000 / scale[digits]) : 0;
	for (; digits > 0; digits--, v /= 10) {
		if (p != end || v % 10 != 0)
			*--p = (char)('0' + v % 10);
	}
	if (p != end)
		*--p = '.';
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	memcpy(out, p, (size_t)(end - p));
	out[end - p] = '\0';
}

void report_log(const struct rcpt *r)
{
	const struct job *j = r->job;
	const struct mail_rcpt *to = &r->in->rcpt;
	int64_t now = j->start_wall + (int64_t)(clock_mono_us() - j->start_us);
	unsigned digits = j->c->conf.digits;
	bool orig = to->orig.n > 0 && !sv_ieq(to->orig, to->addr);
	char qid[MAIL_QID_MAX + 1], total[24], a[24], b[24], d[24];

	snprintf(qid, sizeof(qid), SV_FMT, SV_ARG(j->d.qid));
	report_delay(total, now - j->d.env.arrival, digits);
	report_delay(a, j->d.active - j->d.env.arrival, digits);
	report_delay(b, j->start_wall - j->d.active, digits);
	report_delay(d, now - j->start_wall, digits);
	if (r->result.status == DV_EXPANDED) {
		/* Not a delivery: each member gets a line of its own when it is delivered. */
		log_qid(qid, "alias=<" SV_FMT ">, expanded to %zu recipients", SV_ARG(to->addr), r->result.nmember);
		return;
	}
	log_qid(qid,
	    "to=<" SV_FMT ">, %s" SV_FMT "%srelay=" SV_FMT ", delay=%s, delays=%s/%s/0/%s, dsn=" SV_FMT
	    ", status=%s (" SV_FMT ")",
	    SV_ARG(to->addr), orig ? "orig_to=<" : "", orig ? (int)to->orig.n : 0, to->orig.p ? to->orig.p : "",
	    orig ? ">, " : "", SV_ARG(j->d.transport), total, a, b, d, SV_ARG(r->result.dsn),
	    status_names[r->result.status], SV_ARG(r->result.text));
}
