/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_KUBERNETES_CACHE_H
#define WEFT_DAEMON_SOURCE_KUBERNETES_CACHE_H
/* clang-format off */
/*
 * What was last known of a cluster: STATE_DIR/kubernetes.cache. It begins with a line,
 * "weft-k3 FIELDS KEY\n". FIELDS are 16 hexadecimal digits that stand for what is kept of objects
 * (kube_kinds_hash()): one that was written by a weft that kept something else would never be
 * completed. KEY tells a cluster from others (kube_cluster_key()). After that come records:
 *
 *	offset 0   u32  bytes of the payload, little-endian
 *	       4   u32  crc32 of the payload, little-endian
 *	       8        the payload: a line of JSON, and behind it the object as JSON, or nothing
 *
 *	{"resource": "virtualservices", "namespace": NAMESPACE, "name": NAME, "version": TEXT}
 *
 * A later record of an object counts before an earlier one; one without an object says that it is
 * gone. "bad": true says that this is no version that could be put into force: what the last record
 * without it has is. Nothing is brought to the disk before it takes effect: it is a cache. What is
 * behind the last whole record is cut off. The file's time is when all of it was known to be so.
 */
/* clang-format on */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_cache;

struct kube_record {
	const char *resource, *namespace, *name, *version;
	const char *object; /* NULL: it is gone */
	size_t size;
	bool bad;
};

/* Opens or creates it; one with other fields or another key, or of no weft, is begun anew, which a
 * line in the log says. 0 or -errno after having logged. */
int kube_cache_open(const char *dir, uint64_t fields, const char *key, struct kube_cache **out);
/* Accepts NULL. */
void kube_cache_close(struct kube_cache *c);
/* Whether nothing is known. */
bool kube_cache_is_empty(const struct kube_cache *c);
/* Removes it from the directory, for a weftd that does not come again. */
void kube_cache_remove(const char *dir);

/* Calls `take` for every record in order, and cuts off a torn end. A non-zero answer ends it and is
 * returned. *since: when it was true, 0 if there is nothing in it. */
int kube_cache_load(struct kube_cache *c, int (*take)(void *arg, const struct kube_record *r),
		    void *arg, int64_t *since);

/* Appends a record. What can't be written is lost with all of the cache, which a line in the log
 * says. */
void kube_cache_put(struct kube_cache *c, const struct kube_record *r);
/* Hands over to the system what was put; the cache is true now. */
void kube_cache_flush(struct kube_cache *c);
/* Everything in it is still true. */
void kube_cache_touch(struct kube_cache *c);

/* Whether most of it is of no use any more. */
bool kube_cache_wants_compaction(const struct kube_cache *c);
/* What is put between both calls takes the place of what there was. */
void kube_cache_rewrite(struct kube_cache *c);
void kube_cache_rewritten(struct kube_cache *c);

#endif
