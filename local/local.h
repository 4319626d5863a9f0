/*
 * local.h - the three roles of `local`: the coordinator (no files: addresses, results), the "file" child (the user;
 * copies messages into mailboxes) and the "user" child (the user; reads and runs what the user wrote).
 */
#ifndef MERPATI_LOCAL_H
#define MERPATI_LOCAL_H

#include "daemon/daemon.h"

/* Each role's start function and its answer to a connection through the switchboard. */
int coord_start(struct daemon *d, struct err *err);
void coord_peer(struct daemon *d, int fd, const struct caller *who);
int file_start(struct daemon *d, struct err *err);
void file_peer(struct daemon *d, int fd, const struct caller *who);
int user_start(struct daemon *d, struct err *err);
void user_peer(struct daemon *d, int fd, const struct caller *who);

#endif
