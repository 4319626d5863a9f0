/* steps.c - asks the children to do one step of a recipient's delivery. */
#include "local/coord.h"

#define USER_MS 60000	       /* time for an answer of rewrite */
#define COMMAND_GRACE_MS 30000 /* beyond command_time_limit: the child ends the command itself and answers */

static void step_done(void *arg, int status, struct msg *reply)
{
	struct rcpt *r = arg;
	struct lc_done d;

	if (status < 0)
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.0"), SV("the delivery process did not answer"));
	else if (!lc_dones_get(reply, &d, 1))
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.0"), SV("the delivery process answered nonsense"));
	else
		rcpt_outcome(r, d.status, d.dsn, d.text);
	rcpt_next(r);
}

static void append(struct rcpt *r, const struct step *s)
{
	CLEANUP(buf_freep) struct buf head = BUF_INIT(LC_HEAD_MAX), from = BUF_INIT(LC_HEAD_MAX), what = BUF_INIT(2000);
	const struct coord_conf *conf = &r->job->c->conf;
	struct lc_mbox req = {.path = s->text,
	    .limit = r->who.kind == RW_LOCAL_VIRTUAL ? conf->virtual_limit : conf->mailbox_limit,
	    .content = r->job->d.env.content,
	    .fd = r->job->d.fd};
	struct msg_out m = MSG_OUT_INIT;

	head_lines(r, s->kind == STEP_MAILBOX || conf->delivered_file ? r->in->rcpt.addr : SV(""), &head);
	from_line(r, &from);
	if (s->kind == STEP_MAILBOX)
		buf_adds(&what, "mailbox");
	else
		buf_printf(&what, "file: " SV_FMT, SV_ARG(s->text));
	req.head = buf_sv(&head);
	req.from = buf_sv(&from);
	req.what = buf_sv(&what);
	lc_mbox_put(&m, &req);
	kid_call(r->job->c, "local_file", s->uid, s->gid, LC_MBOX, &m, CHILD_MS, step_done, r);
	msg_out_free(&m);
}

static void run(struct rcpt *r, const struct step *s)
{
	CLEANUP(buf_freep) struct buf head = BUF_INIT(LC_HEAD_MAX), from = BUF_INIT(LC_HEAD_MAX);
	const struct coord_conf *conf = &r->job->c->conf;
	struct lc_command req = {.command = s->text,
	    .home = r->who.kind == RW_LOCAL_USER ? s->home : SV(""),
	    .time_limit = (uint32_t)conf->command_time,
	    .content = r->job->d.env.content,
	    .fd = r->job->d.fd};
	struct msg_out m = MSG_OUT_INIT;

	head_lines(r, conf->delivered_command ? r->in->rcpt.addr : SV(""), &head);
	from_line(r, &from);
	req.head = buf_sv(&head);
	req.from = buf_sv(&from);
	req.nenv = command_env(r, req.env);
	lc_command_put(&m, &req);
	kid_call(r->job->c, "local_user", s->uid, s->gid, LC_COMMAND, &m, conf->command_time * 1000 + COMMAND_GRACE_MS,
	    step_done, r);
	msg_out_free(&m);
}

static void list_done(void *arg, int status, struct msg *reply)
{
	struct rcpt *r = arg;
	const struct step *s = r->now;
	bool forward = s->from_forward && !s->from_include;
	struct lc_items items = {.status = status};
	struct err err = {.text = ""};
	int rc = 0;

	if (status == 0 && !lc_items_get(reply, &r->job->arena, &items))
		items = (struct lc_items){.status = ERR_TEMP, .text = SV("the delivery process answered nonsense")};
	if (items.status == 0)
		rc = plan_items(r, &items, s, &err);
	else if (forward && (items.status == ERR_NOT_FOUND || items.status == ERR_DENIED))
		rc = plan_mailbox(r, &err);
	else
		rc = err_set(&err, ERR_TEMP, "cannot read " SV_FMT ": " SV_FMT, SV_ARG(sv_head(s->text, 100)),
		    SV_ARG(items.text));
	if (items.status == ERR_DENIED)
		log_warn("forward file of " SV_FMT " is ignored: " SV_FMT, SV_ARG(r->who.user), SV_ARG(items.text));
	if (rc < 0)
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.5"), sv_str(err.text));
	rcpt_next(r);
}

/* forward_path: files separated by commas or blanks. */
static void forward_paths(struct rcpt *r, const struct step *s, struct buf *text, struct lc_list *req)
{
	struct sv rest = s->text, word;
	size_t at[LC_PATHS_MAX + 1];
	size_t n = 0;

	/* Each word by itself: what a name stands for may hold blanks. */
	while (n < LC_PATHS_MAX && sv_token(&rest, " ,\t\n", &word)) {
		struct err err;

		at[n] = text->n;
		if (expand_names(r, word, text, &err) < 0 || text->n - at[n] > LC_PATH_MAX || text->n == at[n] ||
		    text->p[at[n]] != '/')
			text->n = at[n];
		else
			n++;
	}
	at[n] = text->n;
	for (size_t i = 0; i < n; i++)
		req->path[i] = sv_of(text->p + at[i], at[i + 1] - at[i]);
	req->n = n;
}

static void read_list(struct rcpt *r, const struct step *s)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(LC_PATHS_MAX * (LC_PATH_MAX + 1) + MAIL_ADDR_MAX * 4);
	struct lc_list req = {.forward = s->from_forward && !s->from_include, .n = 1, .path = {s->text}};
	struct msg_out m = MSG_OUT_INIT;

	if (req.forward)
		forward_paths(r, s, &text, &req);
	lc_list_put(&m, &req);
	kid_call(r->job->c, "local_user", s->uid, s->gid, LC_LIST, &m, CHILD_MS, list_done, r);
	msg_out_free(&m);
}

static void user_done(void *arg, int status, struct msg *reply)
{
	struct rcpt *r = arg;
	struct rw_local who = {.status = 0};
	struct err err = {.text = ""};

	if (status < 0 || rw_local_get(reply, &who) < 0)
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.0"), SV("address resolver failure"));
	else if (who.status == ERR_NOT_FOUND || (who.status == 0 && who.kind != RW_LOCAL_USER))
		rcpt_outcome(
		    r, DV_BOUNCED, SV("5.1.1"), SV("unknown user behind a \\name or an alias that names itself"));
	else if (who.status < 0)
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.0"), SV("cannot tell who the user is"));
	else if (!rcpt_keep_who(r, &who) || rcpt_plan(r, r->now->direct, &err) < 0)
		rcpt_outcome(
		    r, DV_DEFERRED, SV("4.3.5"), err.text[0] ? sv_str(err.text) : SV("too much for one delivery"));
	rcpt_next(r);
}

static void ask_user(struct rcpt *r, const struct step *s)
{
	struct msg_out m = MSG_OUT_INIT;

	rw_address_put(&m, s->text);
	peer_call(r->job->c->rewrite, RW_LOCAL, &m, USER_MS, user_done, r);
	msg_out_free(&m);
}

void step_start(struct rcpt *r, const struct step *s)
{
	r->now = s;
	if (s->kind == STEP_USER) {
		ask_user(r, s);
	} else if (s->text.n > LC_TEXT_MAX || (s->kind != STEP_COMMAND && s->text.n > LC_PATH_MAX)) {
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.5"), SV("a path or command is too long"));
		rcpt_next(r);
	} else if (s->uid < r->job->c->conf.first_uid || s->gid < r->job->c->conf.first_gid) {
		CLEANUP(buf_freep) struct buf b = BUF_INIT(400);

		buf_printf(&b, "%u:%u is below first_valid_uid or first_valid_gid: \"" SV_FMT "\" needs an alias",
		    s->uid, s->gid, SV_ARG(sv_head(r->who.user, 100)));
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.5"), buf_sv(&b));
		rcpt_next(r);
	} else if (s->kind == STEP_LIST) {
		read_list(r, s);
	} else if (s->kind == STEP_COMMAND) {
		run(r, s);
	} else if (save_is_maildir(s)) {
		save_start(r, s);
	} else if (s->kind == STEP_FILE && sv_eqs(s->text, "/dev/null")) {
		rcpt_outcome(r, DV_SENT, SV("2.0.0"), SV("delivered to file: /dev/null"));
		rcpt_next(r);
	} else {
		append(r, s);
	}
}
