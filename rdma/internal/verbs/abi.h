/*
 * The part of the ABI of libibverbs.so.1 and librdmacm.so.1 that this package uses, declared here so that it builds on
 * machines without their headers. The ABI is fixed by the libraries' sonames and symbol versions.
 *
 * Structures that the caller allocates are whole. Of those that the library allocates only the first members are
 * declared: never take their size. abi_check.c compares everything with the system's headers where it finds them.
 */
#ifndef WV_ABI_H
#define WV_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>

enum {
	WV_WR_RDMA_WRITE = 0,
	WV_WR_RDMA_WRITE_WITH_IMM = 1,
	WV_WR_SEND = 2,
	WV_WR_SEND_WITH_IMM = 3,
	WV_WR_RDMA_READ = 4,

	WV_SEND_FENCE = 1,
	WV_SEND_SIGNALED = 2,
	WV_SEND_SOLICITED = 4,
	WV_SEND_INLINE = 8,

	WV_WC_WITH_IMM = 2,

	WV_QPT_RC = 2,
	WV_QPS_ERR = 6,
	WV_QP_STATE = 1 << 0,
	WV_QP_MIN_RNR_TIMER = 1 << 15,

	WV_PS_TCP = 0x0106,
	WV_OPTION_ID = 0,
	WV_OPTION_ID_TOS = 0,
	WV_OPTION_ID_REUSEADDR = 1,
	WV_OPTION_ID_AFONLY = 2,
	WV_OPTION_ID_ACK_TIMEOUT = 3,
	WV_CM_CONNECT_REQUEST = 4,

	WV_EVENT_CQ_ERR = 0,
	WV_EVENT_QP_FATAL = 1,
	WV_EVENT_QP_REQ_ERR = 2,
	WV_EVENT_QP_ACCESS_ERR = 3,
	WV_EVENT_COMM_EST = 4,
	WV_EVENT_SQ_DRAINED = 5,
	WV_EVENT_PATH_MIG = 6,
	WV_EVENT_PATH_MIG_ERR = 7,
	WV_EVENT_PORT_ACTIVE = 9,
	WV_EVENT_PORT_ERR = 10,
	WV_EVENT_LID_CHANGE = 11,
	WV_EVENT_PKEY_CHANGE = 12,
	WV_EVENT_SM_CHANGE = 13,
	WV_EVENT_QP_LAST_WQE_REACHED = 16,
	WV_EVENT_CLIENT_REREGISTER = 17,
	WV_EVENT_GID_CHANGE = 18,
};

/* ---- caller-allocated ---- */

struct wv_device_attr {
	char fw_ver[64];
	uint64_t node_guid; /* big endian */
	uint64_t sys_image_guid;
	uint64_t max_mr_size;
	uint64_t page_size_cap;
	uint32_t vendor_id;
	uint32_t vendor_part_id;
	uint32_t hw_ver;
	int max_qp, max_qp_wr;
	unsigned device_cap_flags;
	int max_sge, max_sge_rd;
	int max_cq, max_cqe;
	int max_mr, max_pd;
	int max_qp_rd_atom, max_ee_rd_atom, max_res_rd_atom, max_qp_init_rd_atom, max_ee_init_rd_atom;
	int atomic_cap;
	int max_ee, max_rdd, max_mw, max_raw_ipv6_qp, max_raw_ethy_qp;
	int max_mcast_grp, max_mcast_qp_attach, max_total_mcast_qp_attach;
	int max_ah, max_fmr, max_map_per_fmr;
	int max_srq, max_srq_wr, max_srq_sge;
	uint16_t max_pkeys;
	uint8_t local_ca_ack_delay;
	uint8_t phys_port_cnt;
};

struct wv_port_attr {
	int state, max_mtu, active_mtu, gid_tbl_len;
	uint32_t port_cap_flags, max_msg_sz, bad_pkey_cntr, qkey_viol_cntr;
	uint16_t pkey_tbl_len, lid, sm_lid;
	uint8_t lmc, max_vl_num, sm_sl, subnet_timeout, init_type_reply;
	uint8_t active_width, active_speed, phys_state, link_layer, flags;
	uint16_t port_cap_flags2;
};

struct wv_sge {
	uint64_t addr;
	uint32_t length, lkey;
};

struct wv_send_wr {
	uint64_t wr_id;
	struct wv_send_wr *next;
	struct wv_sge *sg_list;
	int num_sge;
	int opcode;
	unsigned send_flags;
	uint32_t imm_data; /* big endian */
	union {
		struct {
			uint64_t remote_addr;
			uint32_t rkey;
		} rdma;
		struct { /* the longest member */
			uint64_t remote_addr, compare_add, swap;
			uint32_t rkey;
		} atomic;
	} wr;
	uint32_t xrc_remote_srqn;
	struct { /* as long as a memory window to bind */
		void *mw;
		uint32_t rkey;
		void *mr;
		uint64_t addr, length;
		unsigned access;
	} bind_mw;
};

struct wv_recv_wr {
	uint64_t wr_id;
	struct wv_recv_wr *next;
	struct wv_sge *sg_list;
	int num_sge;
};

struct wv_wc {
	uint64_t wr_id;
	int status, opcode;
	uint32_t vendor_err, byte_len;
	uint32_t imm_data; /* big endian */
	uint32_t qp_num, src_qp;
	unsigned wc_flags;
	uint16_t pkey_index, slid;
	uint8_t sl, dlid_path_bits;
};

struct wv_qp_cap {
	uint32_t max_send_wr, max_recv_wr, max_send_sge, max_recv_sge, max_inline_data;
};

struct wv_qp_init_attr {
	void *qp_context;
	struct wv_cq *send_cq, *recv_cq;
	void *srq;
	struct wv_qp_cap cap;
	int qp_type;
	int sq_sig_all;
};

struct wv_ah_attr {
	struct {
		union {
			uint8_t raw[16];
			uint64_t half[2];
		} dgid;
		uint32_t flow_label;
		uint8_t sgid_index, hop_limit, traffic_class;
	} grh;
	uint16_t dlid;
	uint8_t sl, src_path_bits, static_rate, is_global, port_num;
};

struct wv_qp_attr {
	int qp_state, cur_qp_state, path_mtu, path_mig_state;
	uint32_t qkey, rq_psn, sq_psn, dest_qp_num;
	unsigned qp_access_flags;
	struct wv_qp_cap cap;
	struct wv_ah_attr ah_attr, alt_ah_attr;
	uint16_t pkey_index, alt_pkey_index;
	uint8_t en_sqd_async_notify, sq_draining, max_rd_atomic, max_dest_rd_atomic, min_rnr_timer;
	uint8_t port_num, timeout, retry_cnt, rnr_retry, alt_port_num, alt_timeout;
	uint32_t rate_limit;
};

struct wv_async_event {
	union {
		struct wv_cq *cq;
		struct wv_qp *qp;
		int port_num;
	} element;
	int event_type;
};

struct wv_conn_param {
	const void *private_data;
	uint8_t private_data_len, responder_resources, initiator_depth, flow_control, retry_count, rnr_retry_count, srq;
	uint32_t qp_num;
};

/* ---- allocated by the libraries: only the first members ---- */

struct wv_device {
	void *ops[2];
	int node_type, transport_type;
};

struct wv_context_ops {
	void *query_to_dealloc_mw[10], *create_cq;
	int (*poll_cq)(struct wv_cq *, int, struct wv_wc *);
	int (*req_notify_cq)(struct wv_cq *, int);
	void *cq_event_to_destroy_qp[12];
	int (*post_send)(struct wv_qp *, struct wv_send_wr *, struct wv_send_wr **);
	int (*post_recv)(struct wv_qp *, struct wv_recv_wr *, struct wv_recv_wr **);
	void *create_ah_to_async_event[5];
};

struct wv_context {
	struct wv_device *device;
	struct wv_context_ops ops;
	int cmd_fd, async_fd, num_comp_vectors;
};

struct wv_pd {
	struct wv_context *context;
};

struct wv_mr {
	struct wv_context *context;
	struct wv_pd *pd;
	void *addr;
	size_t length;
	uint32_t handle, lkey, rkey;
};

struct wv_comp_channel {
	struct wv_context *context;
	int fd;
};

struct wv_cq {
	struct wv_context *context;
	struct wv_comp_channel *channel;
	void *cq_context;
	uint32_t handle;
	int cqe;
};

struct wv_qp {
	struct wv_context *context;
	void *qp_context;
	struct wv_pd *pd;
	struct wv_cq *send_cq, *recv_cq;
	void *srq;
	uint32_t handle, qp_num;
	int state, qp_type;
};

struct wv_event_channel {
	int fd;
};

struct wv_cm_id {
	struct wv_context *verbs;
	struct wv_event_channel *channel;
	void *context;
	struct wv_qp *qp;
	struct { /* the route */
		struct sockaddr_storage src, dst;
		uint64_t ibaddr[5];
		void *path_rec;
		int num_paths;
	} route;
	int ps;
	uint8_t port_num;
};

struct wv_cm_raw_event {
	struct wv_cm_id *id, *listen_id;
	int event, status;
	struct wv_conn_param conn; /* a union, whose first member this is */
};

#endif
