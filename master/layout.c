/* layout.c - system users, and the folders of queue, data and mail with their owners and modes. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "master/master.h"

int identities_load(struct master *m, struct err *err)
{
	BUG_ON(swb_nclasses > ARRAY_LEN(m->ids));
	for (size_t i = 0; i < swb_nclasses; i++) {
		const struct swb_class *c = &swb_classes[i];
		if (c->user == NULL)
			continue;
		struct passwd *pw = getpwnam(c->user);
		if (pw == NULL || pw->pw_uid == 0)
			return err_set(err, ERR_NOT_FOUND,
			    "no system user %s: run systemd-sysusers, or see sysusers.d/merpati.conf", c->user);
		m->ids[i] = (struct identity){.uid = pw->pw_uid, .gid = pw->pw_gid, .known = true};
		if (c->group != NULL) {
			struct group *gr = getgrnam(c->group);
			if (gr == NULL)
				return err_set(err, ERR_NOT_FOUND, "no system group %s", c->group);
			m->ids[i].gid = gr->gr_gid;
		}
		struct group *extra = c->extra != NULL ? getgrnam(c->extra) : NULL;
		m->ids[i].extra = extra != NULL ? extra->gr_gid : 0;
	}
	return 0;
}

const struct identity *identity_of(struct master *m, const struct swb_class *c)
{
	return &m->ids[c - swb_classes];
}

/* Makes the folder and gives it this owner and mode; what is there already must be a folder, not a link. */
static int make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode, struct err *err)
{
	int r = fs_mkdirs(path, 0755, err);
	if (r < 0)
		return r;
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		return err_sys(err, "set the owner of %s", path);
	return 0;
}

struct folder {
	const char *parameter, *below, *class; /* class: whose folder; NULL: root's */
	mode_t mode;
};

static const struct folder folders[] = {
    {"queue_directory", "", NULL, 0755},
    {"queue_directory", "/public", NULL, 0755},
    {"queue_directory", "/incoming", "qmgr", 02770},
    {"queue_directory", "/active", "qmgr", 02770},
    {"queue_directory", "/deferred", "qmgr", 02770},
    {"queue_directory", "/hold", "qmgr", 02770},
    {"queue_directory", "/corrupt", "qmgr", 02770},
    {"queue_directory", "/index", "qmgr", 0700},
    {"data_directory", "", NULL, 0755},
    {"data_directory", "/auth", "auth", 0700},
    {"data_directory", "/tables", NULL, 0755},
    {"data_directory", "/rewrite", "rewrite", 0700},
    {"data_directory", "/resolver", "resolver", 0700},
};

int layout_make(struct master *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		const struct folder *f = &folders[i];
		CLEANUP(freep) char *top = config_value(m, f->parameter);
		CLEANUP(freep) char *path = xasprintf("%s%s", top, f->below);
		const struct swb_class *c = f->class != NULL ? swb_find(sv_str(f->class)) : NULL;
		const struct identity *id = c != NULL ? identity_of(m, c) : NULL;
		int r = make_folder(path, id ? id->uid : 0, id ? id->gid : 0, f->mode, err);
		if (r < 0)
			return r;
	}
	/* Mail of virtual mailboxes: the folder of the user that owns them all, when there is one. */
	CLEANUP(freep) char *base = config_value(m, "virtual_mailbox_base");
	struct passwd *vmail = getpwnam("vmail");
	return vmail != NULL ? make_folder(base, vmail->pw_uid, vmail->pw_gid, 0770, err) : fs_mkdirs(base, 0755, err);
}
