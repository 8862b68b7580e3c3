/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_OPTIONS_H
#define WEFT_DAEMON_START_OPTIONS_H
/*
 * weftd's command line. Strings are borrowed from it.
 */
#include <limits.h>
#include <stdbool.h>

#include "daemon/datapath/datapath.h"
#include "lib/base/collector.h"
#include "lib/base/log.h"

struct options {
	const char *state_dir, *run_dir;
	struct kernel_options kernel;
	enum log_level log_level;
	unsigned workers;
	const char *access_log;	       /* file, "-" for stdout, or NULL */
	const char *access_log_format; /* text or json */
	uint32_t drain_s;
	bool files, kubernetes; /* the sources; at least one */
	const char *kubeconfig; /* NULL: as it is found */
	const char *daemonset;	/* NAMESPACE/NAME; NULL: it is of none */
	bool detach;
	const char *node_name; /* NULL: not said */
	char host[HOST_NAME_MAX + 1];
	const char *health;    /* ADDRESS:PORT or "off" */
	bool health_given;     /* or it is the default */
	bool enrol_given;      /* or kernel.enrol is the default of the source */
	bool bpffs_given;      /* or kernel.bpffs is the default */
	const char *dashboard; /* ADDRESS:PORT; NULL: off */
	const char *metrics;   /* [ADDRESS]:PORT or "off" */
	unsigned metrics_series_max;
	unsigned health_wait_s; /* until a healthCheckNodePort that nobody has is taken */
	struct collector tracing_endpoint; /* of spans; without an URL they are not told */
	unsigned tracing_sampling;	   /* in 10,000ths: of traces that begin in the mesh */
	const char *dns;		   /* the server to ask; NULL: those of /etc/resolv.conf */
	const char *client_tls_dir; /* of DestinationRules' files; NULL: they may name none */
	/* The CA of mutual TLS, files of PEM; NULL: there is none. */
	const char *ca_cert, *ca_key;
	const char *ca_root;	    /* what is believed; NULL: the last one of ca_cert */
	unsigned workload_cert_ttl; /* seconds that a certificate is good for */
};

/* 0: go on. Otherwise the caller exits with *status, after --help, --version or a message about
 * what was wrong. */
int options_parse(int argc, char **argv, struct options *out, int *status);

/* What Pods and endpoints call this node, as a kubelet has it unless told otherwise. */
static inline const char *options_node(const struct options *o)
{
	return o->node_name ? o->node_name : o->host;
}

#endif
