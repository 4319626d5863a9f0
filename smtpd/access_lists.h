/* access_lists.h - the restrictions that ask DNS lists: reject_rbl_client and its like.  The argument is the list's
 * zone. */
#ifndef MERPATI_SMTPD_ACCESS_LISTS_H
#define MERPATI_SMTPD_ACCESS_LISTS_H

#include "smtpd/access.h"

enum verdict access_rbl_client(struct access_ctx *c);	/* the client's address is listed: refused */
enum verdict access_dnswl_client(struct access_ctx *c); /* it is listed: permitted */
enum verdict access_rhsbl_sender(struct access_ctx *c);
enum verdict access_rhsbl_helo(struct access_ctx *c);
enum verdict access_rhsbl_client(struct access_ctx *c);

#endif
