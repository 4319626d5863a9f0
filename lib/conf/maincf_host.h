/* maincf_host.h - the defaults that depend on the host: name, domain, networks of the interfaces. */
#ifndef MERPATI_MAINCF_HOST_H
#define MERPATI_MAINCF_HOST_H

#include "conf/maincf.h"

/* A maincf_default_fn.  ctx is not used. */
maincf_default_fn maincf_host_default;

#endif
