/* smtpd_conf.h - reads the service's parameters into struct smtpd_conf. */
#ifndef MERPATI_SMTPD_CONF_H
#define MERPATI_SMTPD_CONF_H

#include "smtpd/smtpd.h"

/* Texts in *out point into c, which must outlive it.  0 or negative: the service cannot run so. */
int smtpd_conf_load(struct smtpd_conf *out, const struct conf *c, struct err *err);

#endif
