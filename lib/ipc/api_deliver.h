/*
 * api_deliver.h - what qmgr gives a delivery agent (smtp, local), and what comes back.
 *
 * qmgr sends DV_DELIVER without waiting for a call's reply (peer_send); results are messages with id 0 that the agent
 * sends on the same connection (chan_send(conn->chan, DV_RESULT, DV_VERSION, 0, ...)), matched by `job`.  One or more
 * per job; the one with `last` ends the job, and must be sent after the agent has closed the descriptor: its shared
 * lock is what tells a new qmgr that the message is still being carried.  A recipient that no result names is deferred.
 * When the connection is lost, everything that was in progress on it is deferred.  Results may be sent one by one as
 * they come: qmgr writes each down at once, so a host that took some recipients never gets them twice.
 *
 * Read the content with pread(2): the descriptor's offset is nobody's.  The agent logs the "to=<>, relay=, delay=, ..."
 * line.
 */
#ifndef MERPATI_API_DELIVER_H
#define MERPATI_API_DELIVER_H

#include "ipc/api_mail.h"

enum dv_type { DV_DELIVER = 0x0401, DV_RESULT };
#define DV_VERSION 1
#define DV_RCPTS_MAX 1000   /* recipients of one job */
#define DV_MEMBERS_MAX 5000 /* members of one expansion */

struct dv_rcpt {
	uint32_t index; /* number of the recipient in its message: stable for the life of the message */
	struct mail_rcpt rcpt;
};
struct dv_deliver {
	uint64_t job;
	struct sv qid;
	struct sv transport, nexthop;
	int64_t active; /* wall clock in microseconds when the message became active (first of the delays= figures) */
	struct mail_envelope env;
	size_t nrcpt;
	struct dv_rcpt *rcpt;
	int fd; /* encode: borrowed; decode: the caller's */
};
void dv_deliver_put(struct msg_out *m, const struct dv_deliver *d);
bool dv_deliver_get(struct msg *m, struct arena *a, struct dv_deliver *d); /* on false no descriptor was taken */

enum dv_status { DV_SENT = 1, DV_DEFERRED, DV_BOUNCED, DV_EXPANDED };
enum dv_result_flag {
	DV_RELAYED_NO_DSN = 1, /* sent to a host that does not do DSN: qmgr sends "relayed" where SUCCESS was asked */
	DV_NO_DSN = 2 /* sent, and nobody is to be told: the other host took over NOTIFY, or there is nothing to say */
};
struct dv_result_rcpt {
	uint32_t index;
	uint32_t status; /* enum dv_status */
	uint32_t flags;	 /* enum dv_result_flag */
	struct sv dsn;	 /* "2.0.0" */
	struct sv relay; /* "mx.example.com[192.0.2.1]:25", "local", "" */
	struct sv text;	 /* one line: the other host's reply or the reason */
	size_t nmember;	 /* DV_EXPANDED: what the recipient stands for; may be empty (then it is just done) */
	struct mail_rcpt
	    *member; /* addr as it is to be delivered; orig, orcpt, notify, flags as the agent wants them inherited */
};
struct dv_result {
	uint64_t job;
	bool last;
	bool site_down;	   /* no host of the next hop could be reached or talked to: feedback for its concurrency */
	uint64_t times[3]; /* microseconds: waiting in the agent, connection set-up, transmission */
	size_t nrcpt;
	struct dv_result_rcpt *rcpt;
};
void dv_result_put(struct msg_out *m, const struct dv_result *r);
bool dv_result_get(struct msg *m, struct arena *a, struct dv_result *r);

#endif
