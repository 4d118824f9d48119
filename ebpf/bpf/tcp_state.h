/* The life of TCP connections: opened, closed, and the kernel's own counters, with no cost per packet. */
#ifndef WEIR_TCP_STATE_H
#define WEIR_TCP_STATE_H

#include "state.h"
#include "choice.h"
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

static __always_inline void endpoints_of_tcp(struct endpoints *ends, struct tcp_sock *tcp)
{
	endpoints_of_sock(ends, (struct sock *)tcp, BPF_CORE_READ(tcp, inet_conn.icsk_inet.inet_sport));
}

static __always_inline u64 since(u64 now, u64 base)
{
	return now > base ? now - base : 0;
}

/* Payload received. A FIN takes a sequence number and counts as a received byte. Its flag is set right after the byte
 * is counted, on another CPU perhaps: read some time after the count, it is there. */
static __always_inline u64 without_fin(u64 bytes_received, struct sock *sk)
{
	if (bytes_received && (BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DONE_BIT))
		bytes_received--;
	return bytes_received;
}

/* Payload sent, each byte once. What is sent again is counted first as that and then as sent: in this order of reading
 * it never counts as new. */
static __always_inline u64 payload_sent(struct tcp_sock *tcp)
{
	u64 bytes_sent = BPF_CORE_READ(tcp, bytes_sent);

	barrier_var(bytes_sent);
	return since(bytes_sent, BPF_CORE_READ(tcp, bytes_retrans));
}

static __always_inline void fill_tcp_event(struct tcp_event *event, struct socket_state *state, struct tcp_sock *tcp)
{
	struct sock *sk = (struct sock *)tcp;
	u64 bytes_received = BPF_CORE_READ(tcp, bytes_received);

	barrier_var(bytes_received);
	event->time_ns = bpf_ktime_get_ns();
	event->cookie = state->cookie;
	event->owner = state->owner;
	event->endpoints.netns = state->netns;
	endpoints_of_tcp(&event->endpoints, tcp);
	event->role = state->role;
	event->tcp_flags = state->tcp_flags;
	event->start_ns = state->start_ns;
	event->connect_ns = state->connect_ns;
	event->bytes_sent = since(payload_sent(tcp), state->base_bytes_sent);
	/* 32 bits, which wrap: user space follows them. */
	event->packets_sent = BPF_CORE_READ(tcp, segs_out) - state->base_segs_out;
	event->packets_received = BPF_CORE_READ(tcp, segs_in) - state->base_segs_in;
	event->retransmits = BPF_CORE_READ(tcp, total_retrans) - state->base_retransmits;
	event->rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	event->rtt_min_us = BPF_CORE_READ(tcp, rtt_min.s[0].v);
	event->error = BPF_CORE_READ(sk, sk_err);
	event->was_opened = state->opened;
	event->was_told = state->is_told;
	event->snd_nxt = BPF_CORE_READ(tcp, snd_nxt);
	event->rcv_nxt = BPF_CORE_READ(tcp, rcv_nxt);
	event->bytes_received = since(without_fin(bytes_received, sk), state->base_bytes_received);
}

/* A connection that is found in the middle of its life: what passed before is not counted. */
static __always_inline void begin_in_mid_life(struct socket_state *state, struct tcp_sock *tcp)
{
	u64 bytes_received = BPF_CORE_READ(tcp, bytes_received);

	barrier_var(bytes_received);
	state->start_ns = bpf_ktime_get_ns();
	state->base_bytes_sent = payload_sent(tcp);
	state->base_segs_out = BPF_CORE_READ(tcp, segs_out);
	state->base_segs_in = BPF_CORE_READ(tcp, segs_in);
	state->base_retransmits = BPF_CORE_READ(tcp, total_retrans);
	state->base_bytes_received = without_fin(bytes_received, (struct sock *)tcp);
}

/* A connection of which nothing was known is found by one of its packets. */
static __always_inline void begin_at_packet(struct socket_state *state, struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp)
		return;
	state->netns = (u32)BPF_CORE_READ(tcp, inet_conn.icsk_inet.sk.__sk_common.skc_net.net, net_cookie);
	begin_in_mid_life(state, tcp);
}

/* A connection begins: nothing of what the socket was before counts. */
static __always_inline void begin_connection(struct socket_state *state, u8 role)
{
	state->start_ns = bpf_ktime_get_ns();
	state->connect_ns = 0;
	state->base_bytes_sent = 0;
	state->base_bytes_received = 0;
	state->base_segs_out = 0;
	state->base_segs_in = 0;
	state->base_retransmits = 0;
	state->role = role;
	state->tcp_flags = 0;
	state->opened = 0;
	state->missed = 0;
	state->is_told = 0;
	choose_again(state);
}

/* Whether it is this end that gave up a connection which is closed now without an error: the process let go of it with
 * data unread, or with SO_LINGER 0, or the kernel had no room for it. */
static __always_inline int was_given_up(struct sock *sk, struct tcp_sock *tcp, int old_state)
{
	switch (old_state) {
	case TCP_SYN_RECV:
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT1:
		return 1;
	case TCP_FIN_WAIT2:
		/* Else the peer's FIN came, or the kernel waits for it without a process. */
		return !(BPF_CORE_READ(sk, __sk_common.skc_flags) & (SOCK_DEAD_BIT | SOCK_DONE_BIT));
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		/* Else the FIN of this end was acknowledged. */
		return BPF_CORE_READ(tcp, snd_una) != BPF_CORE_READ(tcp, write_seq);
	default:
		return 0;
	}
}

static __always_inline void on_established(struct socket_state *state, struct capture_settings *settings, int old_state)
{
	if (state->start_ns == 0) {
		/* It was made before the capture began, and was connecting then. */
		begin_connection(state, old_state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_UNKNOWN);
	} else if (state->role == ROLE_CLIENT) {
		state->connect_ns = bpf_ktime_get_ns() - state->start_ns;
	}
	state->l7 = L7_UNKNOWN;
	state->opened = 1;
	state->missed = 0;
	begin_messages(state, settings);
}

/* match-proto:v5.8:include/trace/events/sock.h:TP_PROTO(const struct sock *sk, const int oldstate, const int newstate) */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct capture_settings *settings = current_settings();
	struct socket_state *state;
	struct tcp_sock *tcp;
	struct tcp_event event = {};

	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || !settings)
		return 0;
	switch (new_state) {
	case TCP_SYN_SENT:
		/* Runs in the process that connects, which need not be the one that made the socket. */
		owner_of_current(&state->owner);
		begin_connection(state, ROLE_CLIENT);
		return 0;
	case TCP_LISTEN:
		owner_of_current(&state->owner);
		begin_connection(state, ROLE_SERVER);
		event.kind = EVENT_TCP_LISTEN;
		break;
	case TCP_SYN_RECV:
		/* Two ends that connect to each other at once pass through here too, and are clients both. */
		if (old_state != TCP_SYN_SENT) {
			/* The state was the listener's until here. */
			state->cookie = bpf_get_socket_cookie(sk);
			begin_connection(state, ROLE_SERVER);
			state->tcp_flags = 0x12; /* SYN and ACK, seen at the listener */
			state->has_sent = 0;
		}
		return 0;
	case TCP_ESTABLISHED:
		on_established(state, settings, old_state);
		event.kind = EVENT_TCP_OPEN;
		break;
	case TCP_CLOSE:
		if (old_state == TCP_LISTEN || old_state == TCP_CLOSE)
			return 0;
		event.kind = EVENT_TCP_CLOSE;
		break;
	default:
		return 0;
	}
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	/* It was left out, and is taken in at its end. */
	if (event.kind == EVENT_TCP_CLOSE && state->start_ns == 0 && old_state != TCP_SYN_SENT)
		begin_in_mid_life(state, tcp);
	fill_tcp_event(&event, state, tcp);
	event.old_state = old_state;
	event.state = new_state;
	if (event.kind == EVENT_TCP_CLOSE) {
		/* Where two segments end a handshake at once, each on its CPU, a second socket is made and thrown away. */
		if (old_state == TCP_SYN_RECV && state->role == ROLE_SERVER && event.bytes_received == 0)
			return 0;
		if (event.error == 0 && was_given_up(sk, tcp, old_state))
			event.error = ECONNABORTED;
	}
	/* Whose a listening socket is, is asked for by those it accepts; the end of a connection that user space knows is
	 * told whatever was chosen since. */
	if (event.kind != EVENT_TCP_LISTEN && !(event.kind == EVENT_TCP_CLOSE && state->is_told) &&
	    choose_marked(settings, state, &event.endpoints, sk) != CHOSEN)
		return 0;
	if (send_control(HOOK_TCP_STATE, &event, sizeof(event)) && event.kind == EVENT_TCP_OPEN)
		state->is_told = 1;
	return 0;
}

#endif
