/*
 * api_mail.h - encoding of what the messages of cleanup, qmgr and the delivery agents have in common: envelope,
 * recipient, route (message/envelope.h).  Views point into the decoded message; arrays live in the arena that the
 * decoder was given.
 */
#ifndef MERPATI_API_MAIL_H
#define MERPATI_API_MAIL_H

#include "base/arena.h"
#include "ipc/msg.h"
#include "message/envelope.h"

void mail_content_put(struct msg_out *m, const struct mail_content *c);
bool mail_content_get(struct msg *m, struct mail_content *c);
void mail_rcpt_put(struct msg_out *m, const struct mail_rcpt *r);
bool mail_rcpt_get(struct msg *m, struct mail_rcpt *r);
void mail_route_put(struct msg_out *m, const struct mail_route *r);
bool mail_route_get(struct msg *m, struct mail_route *r);
void mail_envelope_put(struct msg_out *m, const struct mail_envelope *e);
bool mail_envelope_get(struct msg *m, struct mail_envelope *e);

#endif
