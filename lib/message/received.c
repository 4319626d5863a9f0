/* received.c - the trace field; see received.h. */
#include "message/received.h"

/* Text from outside: no control bytes, and no parenthesis that would end the comment it stands in. */
static void add_safe(struct buf *out, struct sv s, bool comment)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool bad = c < 32 || c == 127 || (comment && (c == '(' || c == ')' || c == '\\'));
		buf_addc(out, bad ? '?' : (char)c);
	}
}

/* "TLSv1.3 with cipher X (256/256 bits) key-exchange ...": the second half on a line of its own, as Postfix folds it.
 */
static void add_tls(struct buf *out, struct sv tls)
{
	ssize_t kex = sv_find(tls, SV(" key-exchange "));

	buf_adds(out, "\t(using ");
	if (kex < 0) {
		buf_addsv(out, tls);
	} else {
		buf_addsv(out, sv_head(tls, (size_t)kex));
		buf_adds(out, "\n\t ");
		buf_addsv(out, sv_skip(tls, (size_t)kex + 1));
	}
	buf_adds(out, ")\n\t(No client certificate requested)\n");
}

int received_format(struct buf *out, const struct received *r)
{
	if (r->local) {
		buf_printf(out, "Received: by " SV_FMT " (" SV_FMT ", from userid %u)\n\tid " SV_FMT "; " SV_FMT "\n",
		    SV_ARG(r->by), SV_ARG(r->software), r->uid, SV_ARG(r->qid), SV_ARG(r->date));
		return out->overflow ? ERR_LIMIT : 0;
	}
	buf_adds(out, "Received: from ");
	add_safe(out, r->helo, false);
	buf_adds(out, " (");
	add_safe(out, r->name, true);
	buf_printf(out, " [" SV_FMT "])\n", SV_ARG(r->addr));
	if (r->tls.n > 0)
		add_tls(out, r->tls);
	if (r->user.n > 0) {
		buf_adds(out, "\t(Authenticated sender: ");
		add_safe(out, r->user, true);
		buf_adds(out, ")\n");
	}
	buf_printf(out, "\tby " SV_FMT " (" SV_FMT ") with " SV_FMT " id " SV_FMT, SV_ARG(r->by), SV_ARG(r->software),
	    SV_ARG(r->with), SV_ARG(r->qid));
	if (r->rcpt.n > 0) {
		buf_adds(out, "\n\tfor <");
		add_safe(out, r->rcpt, false);
		buf_addc(out, '>');
	}
	buf_printf(out, "; " SV_FMT "\n", SV_ARG(r->date));
	return out->overflow ? ERR_LIMIT : 0;
}

bool received_is(struct sv line)
{
	if (!sv_istarts(line, SV("Received")))
		return false;
	line = sv_skip(line, 8);
	while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		line = sv_skip(line, 1);
	return line.n > 0 && line.p[0] == ':';
}
