//go:build linux

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "shim.h"
#include "table.h"

_Static_assert(sizeof(((struct wv_conn *)0)->private_data) > UINT8_MAX, "private data of any length fits");

int wv_cm_devices(void **list, int *n) { return WV_NULL(*list, (void *)wv.rdma_get_devices(n)); }
void wv_cm_devices_free(void *list) { wv.rdma_free_devices(list); }
void *wv_cm_device(void *list, int i) { return ((struct wv_context **)list)[i]; }

int wv_cm_channel(void **channel, int *fd)
{
	struct wv_event_channel *ch;
	int rc = WV_NULL(ch, wv.rdma_create_event_channel());
	if (rc != 0)
		return rc;
	int flags = fcntl(ch->fd, F_GETFL);
	if (flags < 0 || fcntl(ch->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		rc = -errno;
		wv.rdma_destroy_event_channel(ch);
		return rc;
	}
	*channel = ch;
	*fd = ch->fd;
	return 0;
}

void wv_cm_channel_free(void *channel) { wv.rdma_destroy_event_channel(channel); }

int wv_cm_create(void *channel, void **id)
{
	return WV_MINUS1(wv.rdma_create_id(channel, (struct wv_cm_id **)id, NULL, WV_PS_TCP));
}

int wv_cm_destroy(void *id) { return WV_MINUS1(wv.rdma_destroy_id(id)); }

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static struct sockaddr *to_sockaddr(const struct wv_addr *a, union address *s)
{
	memset(s, 0, sizeof(*s));
	if (a->family == 4) {
		s->in.sin_family = AF_INET;
		s->in.sin_port = htons(a->port);
		memcpy(&s->in.sin_addr, a->ip, 4);
	} else if (a->family == 6) {
		s->in6.sin6_family = AF_INET6;
		s->in6.sin6_port = htons(a->port);
		s->in6.sin6_scope_id = a->scope;
		memcpy(&s->in6.sin6_addr, a->ip, 16);
	} else {
		return NULL;
	}
	return &s->any;
}

static void from_sockaddr(const struct sockaddr_storage *s, uint16_t port, struct wv_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->port = ntohs(port);
	if (s->ss_family == AF_INET) {
		a->family = 4;
		memcpy(a->ip, &((const struct sockaddr_in *)s)->sin_addr, 4);
	} else if (s->ss_family == AF_INET6) {
		a->family = 6;
		a->scope = ((const struct sockaddr_in6 *)s)->sin6_scope_id;
		memcpy(a->ip, &((const struct sockaddr_in6 *)s)->sin6_addr, 16);
	}
}

int wv_cm_bind(void *id, const struct wv_addr *addr)
{
	union address s;
	return WV_MINUS1(wv.rdma_bind_addr(id, to_sockaddr(addr, &s)));
}

int wv_cm_listen(void *id, int backlog) { return WV_MINUS1(wv.rdma_listen(id, backlog)); }

int wv_cm_resolve_addr(void *id, const struct wv_addr *src, const struct wv_addr *dst, int ms)
{
	union address s, d;
	return WV_MINUS1(wv.rdma_resolve_addr(id, to_sockaddr(src, &s), to_sockaddr(dst, &d), ms));
}

int wv_cm_resolve_route(void *id, int ms) { return WV_MINUS1(wv.rdma_resolve_route(id, ms)); }

static struct wv_conn_param to_param(const struct wv_conn *c)
{
	return (struct wv_conn_param){
		.private_data = c->private_len > 0 ? c->private_data : NULL,
		.private_data_len = (uint8_t)c->private_len,
		.responder_resources = c->responder,
		.initiator_depth = c->initiator,
		.retry_count = c->retry,
		.rnr_retry_count = c->rnr_retry,
	};
}

int wv_cm_connect(void *id, const struct wv_conn *conn)
{
	struct wv_conn_param p = to_param(conn);
	return WV_MINUS1(wv.rdma_connect(id, &p));
}

int wv_cm_accept(void *id, const struct wv_conn *conn)
{
	struct wv_conn_param p = to_param(conn);
	return WV_MINUS1(wv.rdma_accept(id, &p));
}

int wv_cm_reject(void *id, const void *data, int len)
{
	return WV_MINUS1(wv.rdma_reject(id, len > 0 ? data : NULL, (uint8_t)len));
}

int wv_cm_disconnect(void *id) { return WV_MINUS1(wv.rdma_disconnect(id)); }
int wv_cm_migrate(void *id, void *channel) { return WV_MINUS1(wv.rdma_migrate_id(id, channel)); }

int wv_cm_option(void *id, int option, int value)
{
	uint8_t byte = (uint8_t)value; /* these options are one byte, the others an int */
	if (option == WV_OPTION_ID_TOS || option == WV_OPTION_ID_ACK_TIMEOUT)
		return WV_MINUS1(wv.rdma_set_option(id, WV_OPTION_ID, option, &byte, sizeof(byte)));
	return WV_MINUS1(wv.rdma_set_option(id, WV_OPTION_ID, option, &value, sizeof(value)));
}

int wv_cm_next(void *channel, struct wv_cm_event *out)
{
	struct wv_cm_raw_event *e;
	int rc = WV_MINUS1(wv.rdma_get_cm_event(channel, &e));
	if (rc != 0)
		return rc;
	memset(out, 0, sizeof(*out));
	out->type = e->event;
	out->status = e->status;
	if (e->event == WV_CM_CONNECT_REQUEST)
		out->id = e->id;
	out->conn.responder = e->conn.responder_resources;
	out->conn.initiator = e->conn.initiator_depth;
	if (e->conn.private_data != NULL) {
		out->conn.private_len = e->conn.private_data_len;
		memcpy(out->conn.private_data, e->conn.private_data, e->conn.private_data_len);
	}
	return WV_MINUS1(wv.rdma_ack_cm_event(e)); /* frees e */
}

void wv_cm_addrs(void *cm, struct wv_addr *local, struct wv_addr *remote)
{
	struct wv_cm_id *id = cm;
	from_sockaddr(&id->route.src, wv.rdma_get_src_port(id), local);
	from_sockaddr(&id->route.dst, wv.rdma_get_dst_port(id), remote);
}

int wv_cm_device_name(void *cm, char *name, int size)
{
	struct wv_cm_id *id = cm;
	if (id->verbs == NULL)
		return -ENODEV;
	snprintf(name, size, "%s", wv.ibv_get_device_name(id->verbs->device));
	return 0;
}

void wv_cm_qp_destroy(void *id) { wv.rdma_destroy_qp(id); }
