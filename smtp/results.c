/* results.c - what became of each recipient: the log line, and the report to qmgr. */
#include "smtp/smtp.h"

const char *delay_text(int64_t us, int digits, char out[32])
{
	int decimals = 0;
	int64_t step = 1000000;
	size_t n;

	if (us < 0)
		us = 0;
	/* Two significant digits, but not more decimals than the limit. */
	for (int64_t v = 10000000; v > us && decimals < digits; v /= 10)
		decimals++;
	for (int i = 0; i < decimals; i++)
		step /= 10;
	us = (us + step / 2) / step * step;
	n = (size_t)snprintf(out, 32, "%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
	n -= (size_t)(6 - decimals);
	while (decimals > 0 && out[n - 1] == '0') {
		n--;
		decimals--;
	}
	if (out[n - 1] == '.')
		n--;
	out[n] = '\0';
	return out;
}

static const char *const status_words[] = {
    [DV_SENT] = "sent",
    [DV_DEFERRED] = "deferred",
    [DV_BOUNCED] = "bounced",
};

static void log_result(struct job *j, const struct rcpt *r, const struct dv_result_rcpt *q, unsigned conn_use)
{
	const struct mail_rcpt *m = &r->in->rcpt;
	int64_t now = clock_wall_us(), set_up = j->ready ? j->ready : now;
	char total[32], a[32], b[32], c[32], d[32], use[32] = "";
	int digits = j->smtp->cfg.delay_digits;
	bool orig = m->orig.n > 0 && !sv_ieq(m->orig, m->addr);

	if (conn_use > 1)
		snprintf(use, sizeof(use), ", conn_use=%u", conn_use);
	log_qid(j->qid,
	    "to=<" SV_FMT ">%s" SV_FMT "%s, relay=" SV_FMT "%s, delay=%s, delays=%s/%s/%s/%s, dsn=" SV_FMT
	    ", status=%s (" SV_FMT ")",
	    SV_ARG(m->addr), orig ? ", orig_to=<" : "", orig ? (int)m->orig.n : 0, m->orig.p ? m->orig.p : "",
	    orig ? ">" : "", q->relay.n ? (int)q->relay.n : 4, q->relay.n ? q->relay.p : "none", use,
	    delay_text(now - j->d.env.arrival, digits, total), delay_text(j->d.active - j->d.env.arrival, digits, a),
	    delay_text(j->started - j->d.active, digits, b), delay_text(set_up - j->started, digits, c),
	    delay_text(now - set_up, digits, d), SV_ARG(q->dsn), status_words[q->status], SV_ARG(q->text));
}

static struct sv keep(struct job *j, const char *text, size_t max)
{
	struct sv out = SV("too many results");

	(void)!arena_sv(&j->mem, sv_head(sv_str(text), max), &out);
	return out;
}

void result_record(struct job *j, size_t at, enum dv_status status, const char *dsn, const char *relay,
    const char *text, unsigned flags, unsigned conn_use)
{
	struct rcpt *r = &j->rcpt[at];
	struct dv_result_rcpt *q = &j->res[j->nres];

	if (r->done)
		return;
	*q = (struct dv_result_rcpt){.index = r->in->index, .status = status, .flags = flags};
	q->dsn = keep(j, dsn, MAIL_NAME_MAX);
	q->relay = relay && relay[0] ? keep(j, relay, MAIL_NAME_MAX) : SV("");
	q->text = keep(j, text, MAIL_TEXT_MAX);
	j->nres++;
	j->deferred |= status == DV_DEFERRED;
	r->done = true;
	j->nopen--;
	log_result(j, r, q, conn_use);
}

void result_failed(struct job *j, size_t at, const char *dsn, const char *relay, const char *text, unsigned conn_use)
{
	struct rcpt *r = &j->rcpt[at];

	if (r->done)
		return;
	if (dsn[0] == '5' && !j->smtp->cfg.soft_bounce) {
		result_record(j, at, DV_BOUNCED, dsn, relay, text, 0, conn_use);
		return;
	}
	snprintf(r->dsn, sizeof(r->dsn), "%s", dsn);
	r->dsn[0] = '4';
	r->why = keep(j, text, MAIL_TEXT_MAX).p;
	r->relay = relay && relay[0] ? keep(j, relay, MAIL_NAME_MAX).p : "";
}

void result_send(struct job *j, bool last, bool site_down)
{
	struct msg_out m = MSG_OUT_INIT;
	int64_t now = clock_wall_us(), set_up = j->ready ? j->ready : now;
	struct dv_result r = {
	    .job = j->d.job,
	    .last = last,
	    .site_down = site_down,
	    .times = {0, (uint64_t)(set_up > j->started ? set_up - j->started : 0),
		(uint64_t)(now > set_up ? now - set_up : 0)},
	    .nrcpt = j->nres - j->sent,
	    .rcpt = j->res + j->sent,
	};

	if (!last && r.nrcpt == 0)
		return;
	j->sent = j->nres;
	if (j->agent->serve) {
		dv_result_put(&m, &r);
		if (m.b.overflow || chan_send(j->agent->serve->chan, DV_RESULT, DV_VERSION, 0, &m) < 0)
			log_line(LOG_LVL_WARNING, j->qid, NULL, 0, "the queue manager does not take results");
	}
	msg_out_free(&m);
}
