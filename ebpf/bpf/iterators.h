/* What is read on demand: the sockets that were open before the capture began, and the counters of those that are
 * open now. Both yield a sequence of `struct tcp_event`.
 */
#ifndef WEIR_ITERATORS_H
#define WEIR_ITERATORS_H

#include "state.h"
#include "choice.h"
#include "owner.h"
#include "processes.h"
#include "tcp_state.h"

static __always_inline int is_connected(u8 tcp_state)
{
	return tcp_state != TCP_CLOSE && tcp_state != TCP_LISTEN && tcp_state != TCP_SYN_SENT &&
	       tcp_state != TCP_SYN_RECV && tcp_state != TCP_NEW_SYN_RECV;
}

static __always_inline int has_living_owner(struct socket_state *state)
{
	u32 pid = state->owner.pid;
	u64 *ended_start_ns;

	if (pid == 0)
		return 0;
	ended_start_ns = bpf_map_lookup_elem(&ended, &pid);
	return !ended_start_ns || *ended_start_ns != state->owner.start_ns;
}

/* The socket behind an open file, if it is one. */
static __always_inline struct sock *socket_of(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;

	note_walker();
	if (!ctx->task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	return socket ? socket->sk : 0;
}

/* Marks the sockets of every process in the targets, with their owner; tells of the TCP ones. Also corrects the owner
 * of sockets whose owner has ended while another process still holds them. */
SEC("iter/task_file")
int find_sockets(struct bpf_iter__task_file *ctx)
{
	struct capture_settings *settings = current_settings();
	struct task_struct *task = ctx->task;
	struct sock *sk = socket_of(ctx);
	struct tcp_event event = {};
	struct socket_state *state;
	struct tcp_sock *tcp;
	u16 family;
	u8 tcp_state;
	int is_new;

	if (!task || !sk || !settings)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (!is_target(settings, BPF_CORE_READ(sk, sk_cgrp_data.cgroup)))
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		count_loss(HOOK_FIND_SOCKETS, LOSS_SOCKET_STATE_FULL, 0);
		return 0;
	}
	is_new = state->cookie == 0;
	/* Processes come in the order of their ids: a server's main process before its workers. */
	if (!has_living_owner(state)) {
		owner_of_task(&state->owner, task);
		choose_again(state);
	}
	state->cookie = bpf_get_socket_cookie(sk);
	state->netns = (u32)BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	tcp_state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (tcp_state != TCP_LISTEN && !is_connected(tcp_state))
		return 0;
	if (is_new) {
		state->role = tcp_state == TCP_LISTEN ? ROLE_SERVER : ROLE_UNKNOWN;
		begin_messages(state, settings);
	}
	event.kind = EVENT_TCP_FOUND;
	event.state = tcp_state;
	endpoints_of_tcp(&event.endpoints, tcp);
	if (tcp_state != TCP_LISTEN && choose_marked(settings, state, &event.endpoints, sk) != CHOSEN)
		return 0;
	if (state->start_ns == 0)
		begin_in_mid_life(state, tcp);
	fill_tcp_event(&event, state, tcp);
	/* Where there is no room, the kernel comes back with the same socket. */
	if (bpf_seq_write(ctx->meta->seq, &event, sizeof(event)) == 0)
		state->is_told = 1;
	return 0;
}

/* Tells the counters of a marked connection that is open; of one that is left out since it was told, that. */
static __always_inline int tell_counters(struct seq_file *seq, struct sock *sk, struct socket_state *state)
{
	struct capture_settings *settings = current_settings();
	struct tcp_event event = {};
	struct tcp_sock *tcp;

	if (!settings)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	event.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (!is_connected(event.state))
		return 0;
	event.kind = EVENT_TCP_COUNTERS;
	endpoints_of_tcp(&event.endpoints, tcp);
	if (choose_marked(settings, state, &event.endpoints, sk) != CHOSEN) {
		if (!state->is_told) {
			begin_anew(state);
			return 0;
		}
		event.kind = EVENT_TCP_LEFT_OUT;
	} else if (state->start_ns == 0) {
		begin_in_mid_life(state, tcp);
	}
	fill_tcp_event(&event, state, tcp);
	/* Where there is no room, the kernel comes back with the same socket. */
	if (bpf_seq_write(seq, &event, sizeof(event)) == 0) {
		state->tcp_flags = 0; /* told now: the next reading tells what came since */
		state->is_told = event.kind == EVENT_TCP_COUNTERS;
		if (event.kind == EVENT_TCP_LEFT_OUT)
			begin_anew(state);
	}
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int read_counters(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct socket_state *state = ctx->value;
	struct sock *sk = ctx->sk;

	if (!sk || !state)
		return 0;
	return tell_counters(ctx->meta->seq, sk, state);
}

/* The same through the open files of every process, where the kernel refuses to walk over a map. A connection that
 * several processes hold comes once for each. */
SEC("iter/task_file")
int read_counters_by_file(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = socket_of(ctx);
	struct socket_state *state;

	if (!sk)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state)
		return 0;
	return tell_counters(ctx->meta->seq, sk, state);
}

#endif
