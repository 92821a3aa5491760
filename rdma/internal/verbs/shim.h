/*
 * What Go calls. Every function that can fail returns a negative errno; 0 or a count otherwise. The macros of shim.c
 * translate the conventions of the libraries, one macro each. Objects of the libraries are void pointers here.
 *
 * The structures below are mirrored in Go (wire.go), field by field.
 */
#ifndef WV_SHIM_H
#define WV_SHIM_H

#include <stdint.h>

struct wv_device_info {
	char name[64];
	char firmware[64];
	uint64_t node_guid; /* host order */
	uint64_t max_mr_size;
	int32_t node_type, transport, ports, comp_vectors;
	int32_t max_qp, max_qp_wr, max_sge, max_cqe, max_mr, max_rd_atom, max_init_rd_atom, reserved;
};

struct wv_port_info {
	int32_t state, mtu, lid, link_layer;
};

struct wv_send { /* one work request of a send queue */
	uint64_t id, addr, remote;
	uint32_t len, lkey, rkey, imm;
	uint32_t op, flags;
};

struct wv_recv { /* one of a receive queue */
	uint64_t id, addr;
	uint32_t len, lkey;
};

struct wv_completion {
	uint64_t id;
	int32_t status, op;
	uint32_t bytes, imm, qpn, flags, vendor, reserved;
};

struct wv_qp_caps {
	uint32_t send, recv, inline_data, qpn;
};

struct wv_addr {
	uint8_t ip[16];
	uint32_t scope;
	uint16_t family; /* 4, 6, or 0 for none */
	uint16_t port;   /* host order */
};

struct wv_conn {
	uint8_t private_data[256];
	uint32_t private_len;
	uint8_t responder, initiator, retry, rnr_retry;
};

struct wv_cm_event {
	void *id; /* of a connection request: the new id */
	int32_t type, status;
	struct wv_conn conn;
};

struct wv_async {
	int32_t type;
	uint32_t port, qpn;
};

/* Fills the table of functions, once. On failure it writes one line to why and returns -1: -2 when a symbol lacks. */
int wv_load(const char *verbs, const char *cm, char *why, int size);

int wv_list(void **list, int *n);
void wv_list_free(void *list);
int wv_list_name(void *list, int i, char *name, int size);
int wv_list_open(void *list, int i, void **ctx);
int wv_ctx_close(void *ctx);
int wv_ctx_info(void *ctx, struct wv_device_info *info);
int wv_ctx_port(void *ctx, int port, struct wv_port_info *info);
int wv_ctx_async_fd(void *ctx);
int wv_async_next(void *ctx, struct wv_async *event);

/* The contexts that librdmacm opened: queue pairs of its ids exist on these only. */
int wv_cm_devices(void **list, int *n);
void wv_cm_devices_free(void *list);
void *wv_cm_device(void *list, int i);

int wv_pd_alloc(void *ctx, void **pd);
int wv_pd_free(void *pd);
int wv_mr_reg(void *pd, void *addr, uint64_t len, int access, void **mr, uint32_t *lkey, uint32_t *rkey);
int wv_mr_dereg(void *mr);

int wv_cq_create(void *ctx, int depth, int vector, void **channel, void **cq, int *fd, int *got);
int wv_cq_destroy(void *channel, void *cq, unsigned unacked);
int wv_cq_poll(void *cq, struct wv_completion *out, int max, int64_t spin_ns);
/* Takes the events of the channel when woken, polls, and when there is nothing asks for an event and polls again. */
int wv_cq_arm(void *channel, void *cq, struct wv_completion *out, int max, int woken, uint32_t *unacked);

int wv_qp_create(void *id, void *pd, void *cq, struct wv_qp_caps *caps, void **qp);
int wv_qp_fail(void *qp);
int wv_qp_rnr_timer(void *qp, int timer);
int wv_qp_state(void *qp);
/* Post n requests in order. *posted is how many were taken, also on failure. */
int wv_post_send(void *qp, const struct wv_send *w, int n, uint32_t max_inline, int *posted);
int wv_post_recv(void *qp, const struct wv_recv *w, int n, int *posted);

int wv_cm_channel(void **channel, int *fd);
void wv_cm_channel_free(void *channel);
int wv_cm_create(void *channel, void **id);
int wv_cm_destroy(void *id);
int wv_cm_bind(void *id, const struct wv_addr *addr);
int wv_cm_listen(void *id, int backlog);
int wv_cm_resolve_addr(void *id, const struct wv_addr *src, const struct wv_addr *dst, int ms);
int wv_cm_resolve_route(void *id, int ms);
int wv_cm_connect(void *id, const struct wv_conn *conn);
int wv_cm_accept(void *id, const struct wv_conn *conn);
int wv_cm_reject(void *id, const void *data, int len);
int wv_cm_disconnect(void *id);
int wv_cm_migrate(void *id, void *channel);
int wv_cm_option(void *id, int option, int value);
int wv_cm_next(void *channel, struct wv_cm_event *event);
void wv_cm_addrs(void *id, struct wv_addr *local, struct wv_addr *remote);
int wv_cm_device_name(void *id, char *name, int size);
void wv_cm_qp_destroy(void *id);

#endif
