/* The life of TCP connections: opened, closed, and the kernel's own counters, with no cost per packet. */
#ifndef WEIR_TCP_STATE_H
#define WEIR_TCP_STATE_H

#include "state.h"
#include "owner.h"

static __always_inline void address_of_v4(u8 *address, u32 v4)
{
	__builtin_memset(address, 0, 10);
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(address + 12, &v4, 4);
}

static __always_inline void endpoints_of_sock(struct endpoints *ends, struct sock *sk, u16 local_port_be)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		address_of_v4(ends->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		address_of_v4(ends->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&ends->local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&ends->remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
	ends->local_port = bpf_ntohs(local_port_be);
	ends->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* The counters of a connection, as they stand. A FIN takes a sequence number and counts as a received byte. */
static __always_inline u64 payload_received(struct tcp_sock *tcp, struct sock *sk)
{
	u64 received = BPF_CORE_READ(tcp, bytes_received);

	if (received && (BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DONE_BIT))
		received--;
	return received;
}

static __always_inline u64 payload_sent(struct tcp_sock *tcp)
{
	return BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
}

static __always_inline void fill_tcp_event(struct tcp_event *event, struct socket_state *state, struct tcp_sock *tcp)
{
	struct sock *sk = (struct sock *)tcp;

	event->time_ns = bpf_ktime_get_ns();
	event->cookie = state->cookie;
	event->owner = state->owner;
	event->endpoints.netns = state->netns;
	endpoints_of_sock(&event->endpoints, sk, BPF_CORE_READ(tcp, inet_conn.icsk_inet.inet_sport));
	event->role = state->role;
	event->tcp_flags = state->tcp_flags;
	event->start_ns = state->start_ns;
	event->connect_ns = state->connect_ns;
	event->bytes_sent = payload_sent(tcp) - state->base_bytes_sent;
	event->bytes_received = payload_received(tcp, sk) - state->base_bytes_received;
	event->packets_sent = BPF_CORE_READ(tcp, segs_out) - state->base_segs_out;
	event->packets_received = BPF_CORE_READ(tcp, segs_in) - state->base_segs_in;
	event->retransmits = BPF_CORE_READ(tcp, total_retrans) - state->base_retransmits;
	event->rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	event->rtt_min_us = BPF_CORE_READ(tcp, rtt_min.s[0].v);
	event->error = BPF_CORE_READ(sk, sk_err);
	event->snd_nxt = BPF_CORE_READ(tcp, snd_nxt);
	event->rcv_nxt = BPF_CORE_READ(tcp, rcv_nxt);
}

/* match-proto:v5.8:include/trace/events/sock.h:TP_PROTO(const struct sock *sk, const int oldstate, const int newstate) */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct socket_state *state;
	struct tcp_sock *tcp;
	struct tcp_event event = {};

	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state)
		return 0;
	if (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN) {
		/* Runs in the process that connects or listens, which need not be the one that made the socket. */
		owner_of_current(&state->owner);
		state->start_ns = bpf_ktime_get_ns();
		state->connect_ns = 0;
		state->role = new_state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER;
		if (new_state == TCP_SYN_SENT)
			return 0;
		event.kind = EVENT_TCP_LISTEN;
	} else if (new_state == TCP_ESTABLISHED) {
		u64 now = bpf_ktime_get_ns();

		if (old_state == TCP_SYN_SENT) {
			state->connect_ns = now - state->start_ns;
		} else {
			/* The state was the listener's until here. */
			state->cookie = bpf_get_socket_cookie(sk);
			state->role = ROLE_SERVER;
			state->start_ns = now;
			state->connect_ns = 0;
			state->tcp_flags = 0x12; /* SYN and ACK, seen at the listener */
			state->has_sent = 0;
		}
		state->l7 = L7_UNKNOWN;
		state->opened = 1;
		begin_messages(state);
		event.kind = EVENT_TCP_OPEN;
	} else if (new_state == TCP_CLOSE && old_state != TCP_LISTEN && old_state != TCP_CLOSE) {
		event.kind = EVENT_TCP_CLOSE;
	} else {
		return 0;
	}
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	fill_tcp_event(&event, state, tcp);
	event.old_state = old_state;
	event.state = new_state;
	send_control(HOOK_TCP_STATE, &event, sizeof(event));
	return 0;
}

#endif
