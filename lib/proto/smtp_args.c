/* smtp_args.c - ESMTP parameters of MAIL and RCPT; see smtp_args.h. */
#include "proto/smtp_args.h"

#include "base/num.h"

struct param {
	const char *name;
	enum smtp_args_fault fault; /* when the value is wrong */
	bool has_value;
	int (*set)(void *out, struct sv value);
};

static bool is_xtext(struct sv v, size_t max)
{
	if (v.n == 0 || v.n > max)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c < 33 || c == 127 || c == '=')
			return false;
		if (c == '+') {
			for (int k = 1; k <= 2; k++) {
				char h = i + k < v.n ? v.p[i + k] : 0;
				if (!(ascii_isdigit(h) || (h >= 'A' && h <= 'F')))
					return false;
			}
			i += 2;
		}
	}
	return true;
}

static int set_size(void *out, struct sv v)
{
	struct smtp_mail_args *a = out;
	return v.n > 20 ? ERR_SYNTAX : num_u64(v, &a->size);
}

static int set_body(void *out, struct sv v)
{
	static const char *const names[] = {[SMTP_BODY_7BIT] = "7BIT", [SMTP_BODY_8BITMIME] = "8BITMIME"};
	struct smtp_mail_args *a = out;

	for (int i = SMTP_BODY_7BIT; i <= SMTP_BODY_8BITMIME; i++) {
		if (sv_ieqs(v, names[i])) {
			a->body = (enum smtp_body)i;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static int set_smtputf8(void *out, struct sv v ATTR_UNUSED)
{
	((struct smtp_mail_args *)out)->smtputf8 = true;
	return 0;
}

static int set_ret(void *out, struct sv v)
{
	struct smtp_mail_args *a = out;

	a->ret = sv_ieqs(v, "FULL") ? SMTP_RET_FULL : sv_ieqs(v, "HDRS") ? SMTP_RET_HDRS : 0;
	return a->ret ? 0 : ERR_SYNTAX;
}

static int set_envid(void *out, struct sv v)
{
	if (!is_xtext(v, SMTP_ENVID_MAX))
		return ERR_SYNTAX;
	((struct smtp_mail_args *)out)->envid = v;
	return 0;
}

static int set_auth(void *out, struct sv v)
{
	((struct smtp_mail_args *)out)->auth = v;
	return 0;
}

static int set_notify(void *out, struct sv v)
{
	static const struct {
		const char *name;
		unsigned bit;
	} words[] = {{"NEVER", SMTP_NOTIFY_NEVER}, {"SUCCESS", SMTP_NOTIFY_SUCCESS}, {"FAILURE", SMTP_NOTIFY_FAILURE},
	    {"DELAY", SMTP_NOTIFY_DELAY}};
	struct smtp_rcpt_args *a = out;
	unsigned bits = 0;

	do {
		struct sv word = sv_cut(&v, ",");
		unsigned bit = 0;
		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			if (sv_ieqs(word, words[i].name))
				bit = words[i].bit;
		}
		if (bit == 0 || (bits & bit))
			return ERR_SYNTAX;
		bits |= bit;
	} while (v.p != NULL);
	if ((bits & SMTP_NOTIFY_NEVER) && bits != SMTP_NOTIFY_NEVER)
		return ERR_SYNTAX; /* RFC 3461 section 4.1: NEVER stands alone */
	a->notify = bits;
	return 0;
}

static int set_orcpt(void *out, struct sv v)
{
	struct smtp_rcpt_args *a = out;
	ssize_t semi = sv_chr(v, ';');

	if (semi < 1 || v.n > SMTP_ORCPT_MAX)
		return ERR_SYNTAX;
	for (ssize_t i = 0; i < semi; i++) {
		if (!ascii_isalnum((unsigned char)v.p[i]) && v.p[i] != '-')
			return ERR_SYNTAX;
	}
	if (!is_xtext(sv_skip(v, (size_t)semi + 1), SMTP_ORCPT_MAX))
		return ERR_SYNTAX;
	a->orcpt_type = sv_head(v, (size_t)semi);
	a->orcpt = sv_skip(v, (size_t)semi + 1);
	return 0;
}

static const struct param mail_params[] = {
    {"SIZE", SMTP_ARGS_SIZE, true, set_size},
    {"BODY", SMTP_ARGS_BODY, true, set_body},
    {"SMTPUTF8", SMTP_ARGS_UNKNOWN, false, set_smtputf8},
    {"AUTH", SMTP_ARGS_UNKNOWN, true, set_auth},
    {"RET", SMTP_ARGS_RET, true, set_ret},
    {"ENVID", SMTP_ARGS_ENVID, true, set_envid},
};
static const struct param rcpt_params[] = {
    {"NOTIFY", SMTP_ARGS_NOTIFY, true, set_notify},
    {"ORCPT", SMTP_ARGS_ORCPT, true, set_orcpt},
};

static int one(
    const struct param *table, size_t n, struct sv word, void *out, unsigned *seen, enum smtp_args_fault *fault)
{
	ssize_t eq = sv_chr(word, '=');
	struct sv name = eq < 0 ? word : sv_head(word, (size_t)eq);
	struct sv value = eq < 0 ? SV_NONE : sv_skip(word, (size_t)eq + 1);

	for (size_t i = 0; i < n; i++) {
		if (!sv_ieqs(name, table[i].name))
			continue;
		if (*seen & (1u << i)) {
			*fault = SMTP_ARGS_TWICE;
			return ERR_SYNTAX;
		}
		*seen |= 1u << i;
		*fault = table[i].fault;
		if (table[i].has_value != (eq >= 0))
			return ERR_SYNTAX;
		return table[i].set(out, value) < 0 ? ERR_SYNTAX : 0;
	}
	*fault = SMTP_ARGS_UNKNOWN;
	return ERR_SYNTAX;
}

static int all(
    const struct param *table, size_t n, struct sv in, void *out, enum smtp_args_fault *fault, struct sv *what)
{
	struct sv word;
	unsigned seen = 0, count = 0;

	while (sv_token(&in, " \t", &word)) {
		*what = word;
		if (++count > SMTP_PARAMS_MAX) {
			*fault = SMTP_ARGS_MANY;
			return ERR_SYNTAX;
		}
		if (one(table, n, word, out, &seen, fault) < 0)
			return ERR_SYNTAX;
	}
	return 0;
}

int smtp_mail_args(struct sv in, struct smtp_mail_args *out, enum smtp_args_fault *fault, struct sv *what)
{
	*out = (struct smtp_mail_args){0};
	return all(mail_params, ARRAY_LEN(mail_params), in, out, fault, what);
}

int smtp_rcpt_args(struct sv in, struct smtp_rcpt_args *out, enum smtp_args_fault *fault, struct sv *what)
{
	*out = (struct smtp_rcpt_args){0};
	return all(rcpt_params, ARRAY_LEN(rcpt_params), in, out, fault, what);
}
