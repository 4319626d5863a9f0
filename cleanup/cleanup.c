/* cleanup.c - the only creator of queue files: hands out spool descriptors, commits them, composes notices. */
#include "cleanup/cleanup.h"

#include <sys/stat.h>

#include "ipc/api_cleanup.h"
#include "ipc/api_qmgr.h"

const struct serve_entry cleanup_requests[] = {
    {CL_STOCK, "stock", "smtpd local", stock_on_request},
    {CL_COMMIT, "commit", "smtpd local", intake_on_commit},
    {CL_DISCARD, "discard", "smtpd local", stock_on_discard},
    {CL_NOTICE, "notice", "qmgr", bounce_on_notice},
};
const size_t cleanup_nrequests = ARRAY_LEN(cleanup_requests);

static const struct sandbox_path paths[] = {{"$queue_directory", SANDBOX_WRITE}, {NULL, 0}};
static const struct sandbox_profile profile = {
    .paths = paths,
    .net = SANDBOX_NET_NONE,
    .threads = 1,
    .nofile = 16384,
    .fsize = ~0ul,
};

static struct cleanup state;

static void read_conf(struct cleanup *cl)
{
	const struct conf *cf = daemon_conf(cl->d);
	cl->minfree = conf_int(cf, "queue_minfree");
	cl->max_size = conf_int(cf, "message_size_limit");
	cl->bounce_size = conf_int(cf, "bounce_size_limit");
	cl->flow_delay = conf_time(cf, "in_flow_delay") * 1000;
	free(cl->hostname);
	free(cl->double_bounce);
	cl->hostname = xstrdup(conf_str(cf, "myhostname"));
	const char *who = conf_str(cf, "double_bounce_sender");
	cl->double_bounce = strchr(who, '@') ? xstrdup(who) : xasprintf("%s@%s", who, conf_str(cf, "myorigin"));
}

static void on_flow(void *arg, struct msg *m)
{
	struct cleanup *cl = arg;
	bool slow;
	if (m->type == QM_FLOW && qm_flow_get(m, &slow))
		cl->slow = slow;
}

static void on_qmgr(void *arg, bool up)
{
	struct cleanup *cl = arg;
	if (!up)
		cl->slow = false; /* a new one will say */
}

static int start(struct daemon *d, struct err *err)
{
	struct cleanup *cl = &state;
	cl->d = d;
	daemon_set_state(d, cl);
	umask(007); /* qmgr reads and marks the files through the folder's group */
	int r = spool_open(&cl->spool, conf_str(daemon_conf(d), "queue_directory"), err);
	if (r < 0)
		return r;
	read_conf(cl);
	cl->sync.tail = &cl->sync.head;
	cl->pool = ev_pool_new(daemon_ev(d), CLEANUP_THREADS);
	cl->rewrite = peer_new(d, "rewrite", NULL);
	cl->qmgr = peer_new(d, "qmgr", NULL);
	peer_on_msg(cl->qmgr, on_flow, cl);
	peer_on_state(cl->qmgr, on_qmgr, cl);
	return 0;
}

static int reload(struct daemon *d, struct err *err ATTR_UNUSED)
{
	read_conf(daemon_state(d));
	return 0;
}

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	serve_attach(d, fd, who, cleanup_requests, cleanup_nrequests, stock_on_close);
}

int main(int argc, char **argv)
{
	static const struct daemon_def def = {
	    .program = "cleanup",
	    .profile = &profile,
	    .start = start,
	    .on_peer = on_peer,
	    .on_reload = reload,
	};
	return daemon_main(argc, argv, &def);
}
