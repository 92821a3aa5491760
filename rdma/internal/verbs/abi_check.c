//go:build linux

/* Compares abi.h with the system's headers at compile time. Where they are not installed there is nothing to compare. */
#include "abi.h"

#define WV_SAME(what, ours, theirs) _Static_assert((long long)(ours) == (long long)(theirs), "abi.h: " what)
#define WV_SIZE(ours, theirs) WV_SAME("size of " #theirs, sizeof(struct ours), sizeof(struct theirs))
#define WV_AT2(ours, om, theirs, tm) \
	WV_SAME(#theirs "." #tm, offsetof(struct ours, om), offsetof(struct theirs, tm)); \
	WV_SAME("size of " #theirs "." #tm, sizeof(((struct ours *)0)->om), sizeof(((struct theirs *)0)->tm))
#define WV_AT(ours, theirs, m) WV_AT2(ours, m, theirs, m)

#if defined(__has_include)
#if __has_include(<infiniband/verbs.h>)
#include <infiniband/verbs.h>

WV_SAME("opcode", WV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE);
WV_SAME("opcode", WV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM);
WV_SAME("opcode", WV_WR_SEND, IBV_WR_SEND);
WV_SAME("opcode", WV_WR_SEND_WITH_IMM, IBV_WR_SEND_WITH_IMM);
WV_SAME("opcode", WV_WR_RDMA_READ, IBV_WR_RDMA_READ);
WV_SAME("flag", WV_SEND_FENCE, IBV_SEND_FENCE);
WV_SAME("flag", WV_SEND_SIGNALED, IBV_SEND_SIGNALED);
WV_SAME("flag", WV_SEND_SOLICITED, IBV_SEND_SOLICITED);
WV_SAME("flag", WV_SEND_INLINE, IBV_SEND_INLINE);
WV_SAME("flag", WV_WC_WITH_IMM, IBV_WC_WITH_IMM);
WV_SAME("qp", WV_QPT_RC, IBV_QPT_RC);
WV_SAME("qp", WV_QPS_ERR, IBV_QPS_ERR);
WV_SAME("qp", WV_QP_STATE, IBV_QP_STATE);
WV_SAME("qp", WV_QP_MIN_RNR_TIMER, IBV_QP_MIN_RNR_TIMER);
WV_SAME("event", WV_EVENT_QP_FATAL, IBV_EVENT_QP_FATAL);
WV_SAME("event", WV_EVENT_PATH_MIG_ERR, IBV_EVENT_PATH_MIG_ERR);
WV_SAME("event", WV_EVENT_PORT_ACTIVE, IBV_EVENT_PORT_ACTIVE);
WV_SAME("event", WV_EVENT_SM_CHANGE, IBV_EVENT_SM_CHANGE);
WV_SAME("event", WV_EVENT_QP_LAST_WQE_REACHED, IBV_EVENT_QP_LAST_WQE_REACHED);
WV_SAME("event", WV_EVENT_GID_CHANGE, IBV_EVENT_GID_CHANGE);

WV_SIZE(wv_device_attr, ibv_device_attr);
WV_AT(wv_device_attr, ibv_device_attr, node_guid);
WV_AT(wv_device_attr, ibv_device_attr, max_mr_size);
WV_AT(wv_device_attr, ibv_device_attr, max_qp);
WV_AT(wv_device_attr, ibv_device_attr, max_qp_wr);
WV_AT(wv_device_attr, ibv_device_attr, max_sge);
WV_AT(wv_device_attr, ibv_device_attr, max_cqe);
WV_AT(wv_device_attr, ibv_device_attr, max_mr);
WV_AT(wv_device_attr, ibv_device_attr, max_qp_rd_atom);
WV_AT(wv_device_attr, ibv_device_attr, max_qp_init_rd_atom);
WV_AT(wv_device_attr, ibv_device_attr, phys_port_cnt);

WV_SIZE(wv_port_attr, ibv_port_attr);
WV_AT(wv_port_attr, ibv_port_attr, state);
WV_AT(wv_port_attr, ibv_port_attr, active_mtu);
WV_AT(wv_port_attr, ibv_port_attr, gid_tbl_len);
WV_AT(wv_port_attr, ibv_port_attr, lid);
WV_AT(wv_port_attr, ibv_port_attr, link_layer);

WV_SIZE(wv_sge, ibv_sge);
WV_AT(wv_sge, ibv_sge, addr);
WV_AT(wv_sge, ibv_sge, length);
WV_AT(wv_sge, ibv_sge, lkey);

WV_SIZE(wv_send_wr, ibv_send_wr);
WV_AT(wv_send_wr, ibv_send_wr, wr_id);
WV_AT(wv_send_wr, ibv_send_wr, next);
WV_AT(wv_send_wr, ibv_send_wr, sg_list);
WV_AT(wv_send_wr, ibv_send_wr, num_sge);
WV_AT(wv_send_wr, ibv_send_wr, opcode);
WV_AT(wv_send_wr, ibv_send_wr, send_flags);
WV_AT(wv_send_wr, ibv_send_wr, imm_data);
WV_AT(wv_send_wr, ibv_send_wr, wr.rdma.remote_addr);
WV_AT(wv_send_wr, ibv_send_wr, wr.rdma.rkey);
WV_AT2(wv_send_wr, xrc_remote_srqn, ibv_send_wr, qp_type.xrc.remote_srqn);
WV_AT(wv_send_wr, ibv_send_wr, bind_mw);

WV_SIZE(wv_recv_wr, ibv_recv_wr);
WV_AT(wv_recv_wr, ibv_recv_wr, wr_id);
WV_AT(wv_recv_wr, ibv_recv_wr, next);
WV_AT(wv_recv_wr, ibv_recv_wr, sg_list);
WV_AT(wv_recv_wr, ibv_recv_wr, num_sge);

WV_SIZE(wv_wc, ibv_wc);
WV_AT(wv_wc, ibv_wc, wr_id);
WV_AT(wv_wc, ibv_wc, status);
WV_AT(wv_wc, ibv_wc, opcode);
WV_AT(wv_wc, ibv_wc, vendor_err);
WV_AT(wv_wc, ibv_wc, byte_len);
WV_AT(wv_wc, ibv_wc, imm_data);
WV_AT(wv_wc, ibv_wc, qp_num);
WV_AT(wv_wc, ibv_wc, wc_flags);

WV_SIZE(wv_qp_init_attr, ibv_qp_init_attr);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, send_cq);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, recv_cq);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, cap.max_send_wr);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, cap.max_recv_wr);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, cap.max_send_sge);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, cap.max_recv_sge);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, cap.max_inline_data);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, qp_type);
WV_AT(wv_qp_init_attr, ibv_qp_init_attr, sq_sig_all);

WV_SIZE(wv_qp_attr, ibv_qp_attr);
WV_AT(wv_qp_attr, ibv_qp_attr, qp_state);
WV_AT(wv_qp_attr, ibv_qp_attr, path_mtu);
WV_AT(wv_qp_attr, ibv_qp_attr, ah_attr);
WV_AT(wv_qp_attr, ibv_qp_attr, max_rd_atomic);
WV_AT(wv_qp_attr, ibv_qp_attr, max_dest_rd_atomic);
WV_AT(wv_qp_attr, ibv_qp_attr, min_rnr_timer);
WV_AT(wv_qp_attr, ibv_qp_attr, timeout);
WV_AT(wv_qp_attr, ibv_qp_attr, retry_cnt);
WV_AT(wv_qp_attr, ibv_qp_attr, rnr_retry);

WV_SIZE(wv_async_event, ibv_async_event);
WV_AT(wv_async_event, ibv_async_event, element.qp);
WV_AT(wv_async_event, ibv_async_event, element.port_num);
WV_AT(wv_async_event, ibv_async_event, event_type);

WV_AT(wv_device, ibv_device, transport_type);
WV_AT(wv_context, ibv_context, device);
WV_AT(wv_context, ibv_context, ops);
WV_AT(wv_context, ibv_context, ops.poll_cq);
WV_AT(wv_context, ibv_context, ops.req_notify_cq);
WV_AT(wv_context, ibv_context, ops.post_send);
WV_AT(wv_context, ibv_context, ops.post_recv);
WV_AT(wv_context, ibv_context, async_fd);
WV_AT(wv_context, ibv_context, num_comp_vectors);
WV_AT(wv_mr, ibv_mr, lkey);
WV_AT(wv_mr, ibv_mr, rkey);
WV_AT(wv_comp_channel, ibv_comp_channel, fd);
WV_AT(wv_cq, ibv_cq, context);
WV_AT(wv_cq, ibv_cq, cqe);
WV_AT(wv_qp, ibv_qp, context);
WV_AT(wv_qp, ibv_qp, qp_num);
#endif

#if __has_include(<rdma/rdma_cma.h>)
#include <rdma/rdma_cma.h>

WV_SAME("port space", WV_PS_TCP, RDMA_PS_TCP);
WV_SAME("option", WV_OPTION_ID, RDMA_OPTION_ID);
WV_SAME("option", WV_OPTION_ID_TOS, RDMA_OPTION_ID_TOS);
WV_SAME("option", WV_OPTION_ID_REUSEADDR, RDMA_OPTION_ID_REUSEADDR);
WV_SAME("option", WV_OPTION_ID_AFONLY, RDMA_OPTION_ID_AFONLY);
WV_SAME("cm event", WV_CM_CONNECT_REQUEST, RDMA_CM_EVENT_CONNECT_REQUEST);

WV_SIZE(wv_conn_param, rdma_conn_param);
WV_AT(wv_conn_param, rdma_conn_param, private_data);
WV_AT(wv_conn_param, rdma_conn_param, private_data_len);
WV_AT(wv_conn_param, rdma_conn_param, responder_resources);
WV_AT(wv_conn_param, rdma_conn_param, initiator_depth);
WV_AT(wv_conn_param, rdma_conn_param, retry_count);
WV_AT(wv_conn_param, rdma_conn_param, rnr_retry_count);
WV_AT(wv_conn_param, rdma_conn_param, qp_num);

WV_AT(wv_event_channel, rdma_event_channel, fd);
WV_AT(wv_cm_id, rdma_cm_id, verbs);
WV_AT(wv_cm_id, rdma_cm_id, qp);
WV_AT2(wv_cm_id, route.src, rdma_cm_id, route.addr.src_storage);
WV_AT2(wv_cm_id, route.dst, rdma_cm_id, route.addr.dst_storage);
WV_AT(wv_cm_id, rdma_cm_id, port_num);
WV_AT2(wv_cm_raw_event, id, rdma_cm_event, id);
WV_AT2(wv_cm_raw_event, event, rdma_cm_event, event);
WV_AT2(wv_cm_raw_event, status, rdma_cm_event, status);
WV_AT2(wv_cm_raw_event, conn, rdma_cm_event, param.conn);
#endif
#endif
