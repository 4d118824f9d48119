/* Who owns a socket: learnt when it is made, and again when it connects or listens. */
#ifndef WEIR_OWNER_H
#define WEIR_OWNER_H

#include "state.h"

static __always_inline void owner_of_task(struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	owner->pid = BPF_CORE_READ(task, tgid);
	owner->start_ns = BPF_CORE_READ(leader, start_boottime);
	owner->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	owner->reserved = 0;
	/* The name of the program, not of one of its threads. */
	bpf_core_read(&owner->comm, sizeof(owner->comm), &leader->comm);
}

static __always_inline void owner_of_current(struct owner *owner)
{
	owner_of_task(owner, (struct task_struct *)bpf_get_current_task());
}

/* Runs in the process that calls socket(2). */
SEC("cgroup/sock_create")
int socket_create(struct bpf_sock *sk)
{
	struct socket_state *state;

	if (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_UDP)
		return 1;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		count_loss(LOSS_SOCKET_STATE_FULL, 0);
		return 1;
	}
	owner_of_current(&state->owner);
	state->cookie = bpf_get_socket_cookie(sk);
	state->netns = (u32)bpf_get_netns_cookie(sk);
	return 1;
}

/* Runs when the last owner of a socket lets go of it: the end of its UDP flows. */
SEC("cgroup/sock_release")
int socket_release(struct bpf_sock *sk)
{
	struct release_event event = { .kind = EVENT_SOCKET_RELEASE };

	if (sk->protocol != IPPROTO_UDP)
		return 1;
	event.time_ns = bpf_ktime_get_ns();
	event.cookie = bpf_get_socket_cookie(sk);
	send_control(&event, sizeof(event));
	return 1;
}

#endif
