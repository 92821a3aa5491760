//go:build linux

#include <sched.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shim.h"
#include "table.h"

enum { BATCH = 32, ACK_EVENTS = 128 };

struct wv_table wv;

/* Looks up a function of a library into the table t of wv_load. */
#define WV_LOOKUP(lib, name) \
	if ((*(void **)&t.name = dlsym(lib, #name)) == NULL) { \
		snprintf(why, size, "%s", #name); \
		return -2; \
	}

int wv_load(const char *verbs, const char *cm, char *why, int size)
{
	struct wv_table t;
	/* Never closed: providers keep threads and handlers of their own. */
	void *lib = dlopen(verbs, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(why, size, "%s", dlerror());
		return -1;
	}
#define F(type, name, args) WV_LOOKUP(lib, name)
	WV_VERBS(F)
#undef F
	lib = dlopen(cm, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(why, size, "%s", dlerror());
		return -1;
	}
#define F(type, name, args) WV_LOOKUP(lib, name)
	WV_CM(F)
#undef F
	wv = t;
	return 0;
}

static int nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -errno : fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int wv_list(void **list, int *n)
{
	return WV_NULL(*list, wv.ibv_get_device_list(n));
}

void wv_list_free(void *list) { wv.ibv_free_device_list(list); }

int wv_list_name(void *list, int i, char *name, int size)
{
	snprintf(name, size, "%s", wv.ibv_get_device_name(((struct wv_device **)list)[i]));
	return 0;
}

int wv_list_open(void *list, int i, void **ctx)
{
	return WV_NULL(*ctx, wv.ibv_open_device(((struct wv_device **)list)[i]));
}

int wv_ctx_close(void *ctx) { return WV_MINUS1(wv.ibv_close_device(ctx)); }

int wv_ctx_info(void *context, struct wv_device_info *d)
{
	struct wv_context *ctx = context;
	struct wv_device_attr a = {0};
	int rc = WV_ERRNO(wv.ibv_query_device(ctx, &a));
	if (rc != 0)
		return rc;
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", wv.ibv_get_device_name(ctx->device));
	memcpy(d->firmware, a.fw_ver, sizeof(d->firmware) - 1);
	d->node_guid = be64toh(a.node_guid);
	d->max_mr_size = a.max_mr_size;
	d->node_type = ctx->device->node_type;
	d->transport = ctx->device->transport_type;
	d->ports = a.phys_port_cnt;
	d->comp_vectors = ctx->num_comp_vectors;
	d->max_qp = a.max_qp;
	d->max_qp_wr = a.max_qp_wr;
	d->max_sge = a.max_sge;
	d->max_cqe = a.max_cqe;
	d->max_mr = a.max_mr;
	d->max_rd_atom = a.max_qp_rd_atom;
	d->max_init_rd_atom = a.max_qp_init_rd_atom;
	return 0;
}

int wv_ctx_port(void *ctx, int port, struct wv_port_info *p)
{
	struct wv_port_attr a = {0};
	/* The exported function fills the members of the first version, which these are. */
	int rc = WV_ERRNO(wv.ibv_query_port(ctx, (uint8_t)port, &a));
	if (rc != 0)
		return rc;
	p->state = a.state;
	p->mtu = a.active_mtu >= 1 && a.active_mtu <= 5 ? 128 << a.active_mtu : 0;
	p->lid = a.lid;
	p->link_layer = a.link_layer;
	return 0;
}

int wv_ctx_async_fd(void *context)
{
	struct wv_context *ctx = context;
	int rc = nonblocking(ctx->async_fd);
	return rc < 0 ? rc : ctx->async_fd;
}

int wv_async_next(void *ctx, struct wv_async *out)
{
	struct wv_async_event e;
	int rc = WV_MINUS1(wv.ibv_get_async_event(ctx, &e));
	if (rc != 0)
		return rc;
	*out = (struct wv_async){.type = e.event_type};
	switch (e.event_type) {
	case WV_EVENT_QP_FATAL:
	case WV_EVENT_QP_REQ_ERR:
	case WV_EVENT_QP_ACCESS_ERR:
	case WV_EVENT_COMM_EST:
	case WV_EVENT_SQ_DRAINED:
	case WV_EVENT_PATH_MIG:
	case WV_EVENT_PATH_MIG_ERR:
	case WV_EVENT_QP_LAST_WQE_REACHED:
		out->qpn = e.element.qp->qp_num;
		break;
	case WV_EVENT_PORT_ACTIVE:
	case WV_EVENT_PORT_ERR:
	case WV_EVENT_LID_CHANGE:
	case WV_EVENT_PKEY_CHANGE:
	case WV_EVENT_SM_CHANGE:
	case WV_EVENT_CLIENT_REREGISTER:
	case WV_EVENT_GID_CHANGE:
		out->port = (uint32_t)e.element.port_num;
	}
	wv.ibv_ack_async_event(&e); /* objects are destroyed only after this */
	return 0;
}

int wv_pd_alloc(void *ctx, void **pd) { return WV_NULL(*pd, (void *)wv.ibv_alloc_pd(ctx)); }
int wv_pd_free(void *pd) { return WV_ERRNO(wv.ibv_dealloc_pd(pd)); }

int wv_mr_reg(void *pd, void *addr, uint64_t len, int access, void **mr, uint32_t *lkey, uint32_t *rkey)
{
	struct wv_mr *m;
	int rc = WV_NULL(m, wv.ibv_reg_mr(pd, addr, len, access));
	if (rc != 0)
		return rc;
	*mr = m;
	*lkey = m->lkey;
	*rkey = m->rkey;
	return 0;
}

int wv_mr_dereg(void *mr) { return WV_ERRNO(wv.ibv_dereg_mr(mr)); }

int wv_cq_create(void *ctx, int depth, int vector, void **channel, void **cq, int *fd, int *got)
{
	struct wv_comp_channel *ch;
	struct wv_cq *q;
	int rc = WV_NULL(ch, wv.ibv_create_comp_channel(ctx));
	if (rc != 0)
		return rc;
	rc = nonblocking(ch->fd);
	if (rc == 0)
		rc = WV_NULL(q, wv.ibv_create_cq(ctx, depth, NULL, ch, vector));
	if (rc != 0) {
		wv.ibv_destroy_comp_channel(ch);
		return rc;
	}
	*channel = ch;
	*cq = q;
	*fd = ch->fd;
	*got = q->cqe;
	return 0;
}

/* Destroying waits until every event that was taken is acknowledged. */
int wv_cq_destroy(void *channel, void *cq, unsigned unacked)
{
	if (unacked > 0)
		wv.ibv_ack_cq_events(cq, unacked);
	int rc = WV_ERRNO(wv.ibv_destroy_cq(cq));
	return rc != 0 ? rc : WV_ERRNO(wv.ibv_destroy_comp_channel(channel));
}

static int drain(struct wv_cq *cq, struct wv_completion *out, int max)
{
	struct wv_wc wc[BATCH];
	int n = 0;
	while (n < max) {
		int want = max - n < BATCH ? max - n : BATCH;
		int got = WV_COUNT(cq->context->ops.poll_cq(cq, want, wc));
		if (got < 0)
			return n > 0 ? n : got;
		for (int i = 0; i < got; i++, n++) {
			out[n] = (struct wv_completion){
				.id = wc[i].wr_id,
				.status = wc[i].status,
				.op = wc[i].opcode,
				.bytes = wc[i].byte_len,
				.imm = ntohl(wc[i].imm_data),
				.qpn = wc[i].qp_num,
				.flags = wc[i].wc_flags,
				.vendor = wc[i].vendor_err,
			};
		}
		if (got < want)
			break;
	}
	return n;
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int wv_cq_poll(void *cq, struct wv_completion *out, int max, int64_t spin_ns)
{
	int n = drain(cq, out, max);
	if (n != 0 || spin_ns <= 0)
		return n;
	int64_t end = now_ns() + spin_ns;
	do {
		for (int i = 0; i < 8 && n == 0; i++)
			n = drain(cq, out, max);
		if (n != 0)
			break;
		sched_yield(); /* a device in software needs the processor, too */
	} while (now_ns() < end);
	return n;
}

int wv_cq_arm(void *channel, void *cq, struct wv_completion *out, int max, int woken, uint32_t *unacked)
{
	struct wv_cq *q = cq, *from;
	void *context;
	while (woken) {
		int rc = WV_MINUS1(wv.ibv_get_cq_event(channel, &from, &context));
		if (rc == -EAGAIN)
			break;
		if (rc == -EINTR)
			continue;
		if (rc != 0)
			return rc;
		if (++*unacked >= ACK_EVENTS) {
			wv.ibv_ack_cq_events(q, *unacked);
			*unacked = 0;
		}
	}
	int n = drain(q, out, max);
	if (n != 0)
		return n;
	int rc = WV_ERRNO(q->context->ops.req_notify_cq(q, 0));
	return rc != 0 ? rc : drain(q, out, max);
}

int wv_qp_create(void *id, void *pd, void *cq, struct wv_qp_caps *caps, void **qp)
{
	struct wv_cm_id *cm = id;
	struct wv_qp_init_attr a = {
		.send_cq = cq,
		.recv_cq = cq,
		.qp_type = WV_QPT_RC,
		.cap = {
			.max_send_wr = caps->send,
			.max_recv_wr = caps->recv,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = caps->inline_data,
		},
	};
	int rc = WV_MINUS1(wv.rdma_create_qp(cm, pd, &a));
	if (rc != 0)
		return rc;
	*qp = cm->qp;
	*caps = (struct wv_qp_caps){a.cap.max_send_wr, a.cap.max_recv_wr, a.cap.max_inline_data, cm->qp->qp_num};
	return 0;
}

int wv_qp_fail(void *qp)
{
	struct wv_qp_attr a = {.qp_state = WV_QPS_ERR};
	return WV_ERRNO(wv.ibv_modify_qp(qp, &a, WV_QP_STATE));
}

int wv_qp_rnr_timer(void *qp, int timer)
{
	struct wv_qp_attr a = {.min_rnr_timer = (uint8_t)timer};
	return WV_ERRNO(wv.ibv_modify_qp(qp, &a, WV_QP_MIN_RNR_TIMER));
}

int wv_qp_state(void *qp)
{
	struct wv_qp_attr a = {0};
	struct wv_qp_init_attr init = {0};
	int rc = WV_ERRNO(wv.ibv_query_qp(qp, &a, WV_QP_STATE, &init));
	return rc != 0 ? rc : a.qp_state;
}

int wv_post_send(void *queue, const struct wv_send *w, int n, uint32_t max_inline, int *posted)
{
	struct wv_qp *qp = queue;
	struct wv_send_wr wr[BATCH], *bad;
	struct wv_sge sge[BATCH];
	for (*posted = 0; *posted < n;) {
		int chain = n - *posted < BATCH ? n - *posted : BATCH;
		for (int i = 0; i < chain; i++, w++) {
			memset(&wr[i], 0, sizeof(wr[i]));
			sge[i] = (struct wv_sge){w->addr, w->len, w->lkey};
			wr[i].wr_id = w->id;
			wr[i].next = i + 1 < chain ? &wr[i + 1] : NULL;
			wr[i].sg_list = &sge[i];
			wr[i].num_sge = w->len > 0;
			wr[i].opcode = (int)w->op;
			wr[i].send_flags = w->flags;
			if (w->op != WV_WR_RDMA_READ && w->len > 0 && w->len <= max_inline)
				wr[i].send_flags |= WV_SEND_INLINE;
			wr[i].imm_data = htonl(w->imm);
			wr[i].wr.rdma.remote_addr = w->remote;
			wr[i].wr.rdma.rkey = w->rkey;
		}
		bad = wr;
		int rc = WV_ERRNO(qp->context->ops.post_send(qp, wr, &bad));
		if (rc != 0) {
			*posted += bad >= wr && bad < wr + chain ? (int)(bad - wr) : 0;
			return rc;
		}
		*posted += chain;
	}
	return 0;
}

int wv_post_recv(void *queue, const struct wv_recv *w, int n, int *posted)
{
	struct wv_qp *qp = queue;
	struct wv_recv_wr wr[BATCH], *bad;
	struct wv_sge sge[BATCH];
	for (*posted = 0; *posted < n;) {
		int chain = n - *posted < BATCH ? n - *posted : BATCH;
		for (int i = 0; i < chain; i++, w++) {
			sge[i] = (struct wv_sge){w->addr, w->len, w->lkey};
			wr[i] = (struct wv_recv_wr){
				.wr_id = w->id,
				.next = i + 1 < chain ? &wr[i + 1] : NULL,
				.sg_list = &sge[i],
				.num_sge = w->len > 0,
			};
		}
		bad = wr;
		int rc = WV_ERRNO(qp->context->ops.post_recv(qp, wr, &bad));
		if (rc != 0) {
			*posted += bad >= wr && bad < wr + chain ? (int)(bad - wr) : 0;
			return rc;
		}
		*posted += chain;
	}
	return 0;
}
