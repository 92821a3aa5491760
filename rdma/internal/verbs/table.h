/* The functions of the two libraries that are looked up, and the macros that translate how they fail. */
#ifndef WV_TABLE_H
#define WV_TABLE_H

#include <errno.h>

#include "abi.h"

#define WV_VERBS(F) \
	F(struct wv_device **, ibv_get_device_list, (int *)) \
	F(void, ibv_free_device_list, (struct wv_device **)) \
	F(const char *, ibv_get_device_name, (struct wv_device *)) \
	F(struct wv_context *, ibv_open_device, (struct wv_device *)) \
	F(int, ibv_close_device, (struct wv_context *)) \
	F(int, ibv_query_device, (struct wv_context *, struct wv_device_attr *)) \
	F(int, ibv_query_port, (struct wv_context *, uint8_t, struct wv_port_attr *)) \
	F(int, ibv_get_async_event, (struct wv_context *, struct wv_async_event *)) \
	F(void, ibv_ack_async_event, (struct wv_async_event *)) \
	F(struct wv_pd *, ibv_alloc_pd, (struct wv_context *)) \
	F(int, ibv_dealloc_pd, (struct wv_pd *)) \
	F(struct wv_mr *, ibv_reg_mr, (struct wv_pd *, void *, size_t, int)) \
	F(int, ibv_dereg_mr, (struct wv_mr *)) \
	F(struct wv_comp_channel *, ibv_create_comp_channel, (struct wv_context *)) \
	F(int, ibv_destroy_comp_channel, (struct wv_comp_channel *)) \
	F(struct wv_cq *, ibv_create_cq, (struct wv_context *, int, void *, struct wv_comp_channel *, int)) \
	F(int, ibv_destroy_cq, (struct wv_cq *)) \
	F(int, ibv_get_cq_event, (struct wv_comp_channel *, struct wv_cq **, void **)) \
	F(void, ibv_ack_cq_events, (struct wv_cq *, unsigned)) \
	F(int, ibv_modify_qp, (struct wv_qp *, struct wv_qp_attr *, int)) \
	F(int, ibv_query_qp, (struct wv_qp *, struct wv_qp_attr *, int, struct wv_qp_init_attr *))

#define WV_CM(F) \
	F(struct wv_context **, rdma_get_devices, (int *)) \
	F(void, rdma_free_devices, (struct wv_context **)) \
	F(struct wv_event_channel *, rdma_create_event_channel, (void)) \
	F(void, rdma_destroy_event_channel, (struct wv_event_channel *)) \
	F(int, rdma_create_id, (struct wv_event_channel *, struct wv_cm_id **, void *, int)) \
	F(int, rdma_destroy_id, (struct wv_cm_id *)) \
	F(int, rdma_bind_addr, (struct wv_cm_id *, struct sockaddr *)) \
	F(int, rdma_listen, (struct wv_cm_id *, int)) \
	F(int, rdma_resolve_addr, (struct wv_cm_id *, struct sockaddr *, struct sockaddr *, int)) \
	F(int, rdma_resolve_route, (struct wv_cm_id *, int)) \
	F(int, rdma_create_qp, (struct wv_cm_id *, struct wv_pd *, struct wv_qp_init_attr *)) \
	F(void, rdma_destroy_qp, (struct wv_cm_id *)) \
	F(int, rdma_connect, (struct wv_cm_id *, struct wv_conn_param *)) \
	F(int, rdma_accept, (struct wv_cm_id *, struct wv_conn_param *)) \
	F(int, rdma_reject, (struct wv_cm_id *, const void *, uint8_t)) \
	F(int, rdma_disconnect, (struct wv_cm_id *)) \
	F(int, rdma_migrate_id, (struct wv_cm_id *, struct wv_event_channel *)) \
	F(int, rdma_set_option, (struct wv_cm_id *, int, int, void *, size_t)) \
	F(int, rdma_get_cm_event, (struct wv_event_channel *, struct wv_cm_raw_event **)) \
	F(int, rdma_ack_cm_event, (struct wv_cm_raw_event *)) \
	F(uint16_t, rdma_get_src_port, (struct wv_cm_id *)) \
	F(uint16_t, rdma_get_dst_port, (struct wv_cm_id *))

struct wv_table {
#define WV_MEMBER(type, name, args) type(*name) args;
	WV_VERBS(WV_MEMBER) WV_CM(WV_MEMBER)
#undef WV_MEMBER
};

extern struct wv_table wv;

/* What errno says, when something has failed and may have forgotten to say why. */
static inline int wv_errno(void) { return errno > 0 ? -errno : -EIO; }

/* Returns the errno. Some providers return -1 and set errno instead. */
#define WV_ERRNO(call) ({ errno = 0; int rc_ = (call); rc_ == 0 ? 0 : rc_ > 0 ? -rc_ : wv_errno(); })
/* Returns -1 and sets errno. */
#define WV_MINUS1(call) ({ errno = 0; (call) == 0 ? 0 : wv_errno(); })
/* Returns NULL and sets errno. */
#define WV_NULL(to, call) ({ errno = 0; ((to) = (call)) != NULL ? 0 : wv_errno(); })
/* Returns a count, or a negative number that says nothing. */
#define WV_COUNT(call) ({ int rc_ = (call); rc_ < 0 ? -EIO : rc_; })

#endif
