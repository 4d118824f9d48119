/* Who owns a socket: learnt when it is made, when it connects or listens, and when somebody sends by it. */
#ifndef WEIR_OWNER_H
#define WEIR_OWNER_H

#include "state.h"

/* The process that walks over open files. The walk holds each file for a moment: one that its process closes meanwhile is
 * closed for good by the walker, which then sends the last packet of a socket that was never its own. */
u32 walker_tgid;

static __always_inline void note_walker(void)
{
	walker_tgid = bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void owner_of_task(struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	/* A packet that is copied on another CPU meanwhile has no owner rather than half of each. */
	owner->pid = 0;
	barrier();
	owner->start_ns = BPF_CORE_READ(leader, start_boottime);
	owner->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	owner->exec_id = (u32)BPF_CORE_READ(task, self_exec_id);
	/* The name of the program, not of one of its threads. */
	bpf_core_read(&owner->comm, sizeof(owner->comm), &leader->comm);
	barrier();
	owner->pid = BPF_CORE_READ(task, tgid);
}

static __always_inline void owner_of_current(struct owner *owner)
{
	owner_of_task(owner, (struct task_struct *)bpf_get_current_task());
}

static __always_inline int is_owner(struct owner *owner, struct task_struct *task)
{
	return owner->pid == (u32)task->tgid && owner->exec_id == (u32)task->self_exec_id;
}

/* The process that sends this packet becomes the owner: a worker that accepted what its parent listens for, a child
 * that got the connection by fork(2), a process that got it over a Unix socket.
 *
 * Packets leave in the context of any process, so the current one counts only while the socket is locked by a process:
 * whatever the kernel does by itself with a socket (answers to packets, timers) waits for that lock, and so what is sent
 * under it is sent by its holder.
 */
static __always_inline void learn_tcp_sender(struct socket_state *state, struct bpf_sock *sk)
{
	struct task_struct *task;
	struct tcp_sock *tcp;

	if (!sender_is_known || !sk)
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp || !tcp->inet_conn.icsk_inet.sk.sk_lock.owned)
		return;
	/* The answer to a SYN that came while a process was accepting: the socket is the listener. */
	if (tcp->inet_conn.icsk_inet.sk.__sk_common.skc_state == TCP_LISTEN)
		return;
	task = bpf_get_current_task_btf();
	if ((task->flags & PF_KTHREAD) || (u32)task->tgid == walker_tgid)
		return;
	state->has_sent = 1;
	if (!is_owner(&state->owner, task)) {
		owner_of_task(&state->owner, task);
		choose_again(state);
	}
}

/* UDP sends without the lock, so nothing proves that the current process is the sender: it counts if the process that
 * made the socket is its parent, as with workers and with sockets that systemd hands to a service. */
static __always_inline void learn_udp_sender(struct socket_state *state)
{
	struct task_struct *task;

	if (!sender_is_known)
		return;
	task = bpf_get_current_task_btf();
	if (task->flags & PF_KTHREAD)
		return;
	if (is_owner(&state->owner, task)) {
		state->has_sent = 1;
		return;
	}
	if (state->owner.pid && state->owner.pid == (u32)BPF_CORE_READ(task, real_parent, tgid)) {
		state->has_sent = 1;
		owner_of_task(&state->owner, task);
	}
}

/* Runs in the process that calls socket(2). */
SEC("cgroup/sock_create")
int socket_create(struct bpf_sock *sk)
{
	struct socket_state *state;

	if (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_UDP && sk->protocol != IPPROTO_ICMP &&
	    sk->protocol != IPPROTO_ICMPV6)
		return 1;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		count_loss(HOOK_SOCKET_CREATE, LOSS_SOCKET_STATE_FULL, 0);
		return 1;
	}
	owner_of_current(&state->owner);
	state->cookie = bpf_get_socket_cookie(sk);
	state->netns = (u32)bpf_get_netns_cookie(sk);
	return 1;
}

/* Runs when the last owner of a socket lets go of it: the end of its flows of datagrams. */
SEC("cgroup/sock_release")
int socket_release(struct bpf_sock *sk)
{
	struct release_event event = { .kind = EVENT_SOCKET_RELEASE };

	if (sk->protocol == IPPROTO_TCP)
		return 1;
	event.time_ns = bpf_ktime_get_ns();
	event.cookie = bpf_get_socket_cookie(sk);
	send_control(HOOK_SOCKET_RELEASE, &event, sizeof(event));
	return 1;
}

#endif
