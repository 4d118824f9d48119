/* What is captured, as whoever runs weir chose. The programs decide by it before they copy anything.
 *
 * The settings, the lists of ports, names and addresses of two generations stand side by side in the maps; `generation`
 * tells which is in force. So a change is made whole, by one write, and what was decided for a socket holds until then.
 */
#ifndef WEIR_CHOICE_H
#define WEIR_CHOICE_H

#include "state.h"

/* Depth to which cgroups are followed up to the root. */
#define CGROUP_LEVELS 16

/* Bits of `capture_settings.checks`: lists that are not empty. */
#define CHECK_ONLY_PROCESSES 0x01
#define CHECK_EXCEPT_PROCESSES 0x02
#define CHECK_ONLY_PORTS 0x04
#define CHECK_EXCEPT_PORTS 0x08
#define CHECK_ADDRESSES 0x10

/* Values in `process_names`. */
#define LISTED_ONLY 0x1
#define LISTED_EXCEPT 0x2
/* Values in `addresses`. */
#define LISTED_EITHER_END 0x1
#define LISTED_PEER 0x2

#define ADDRESS_BITS 128
#define COMM_BITS (COMM_BYTES * 8)
#define GENERATION_BITS 32

/* Cgroups that are captured, with all below them. */
static __always_inline int is_target(struct capture_settings *settings, struct cgroup *cgroup)
{
	if (settings->capture_all)
		return 1;
	for (int level = 0; level < CGROUP_LEVELS && cgroup; level++) {
		u64 id = BPF_CORE_READ(cgroup, kn, id);
		struct cgroup_subsys_state *parent;

		if (bpf_map_lookup_elem(&targets, &id))
			return 1;
		parent = BPF_CORE_READ(cgroup, self.parent);
		if (!parent)
			return 0;
		cgroup = BPF_CORE_READ(parent, cgroup);
	}
	return 0;
}

static __always_inline u32 listed_address(u32 generation, const u8 *address)
{
	struct listed_key key = { .prefix_bits = GENERATION_BITS + ADDRESS_BITS, .generation = generation };
	u32 *flags;

	__builtin_memcpy(key.bytes, address, sizeof(key.bytes));
	flags = bpf_map_lookup_elem(&addresses, &key);
	return flags ? *flags : 0;
}

static __always_inline int is_listed_port(const u8 *ports, u16 port)
{
	return ports[(port >> 3) & (PORT_SET_BYTES - 1)] >> (port & 7) & 1;
}

static __always_inline u32 choose_by_port(struct capture_settings *settings, struct endpoints *ends, u8 role)
{
	u32 slot = settings->generation & 1;
	struct port_lists *lists = bpf_map_lookup_elem(&ports, &slot);
	/* The server's port; where it is not known which end that is, either. */
	u16 one = role == ROLE_SERVER ? ends->local_port : ends->remote_port;
	u16 other = role == ROLE_UNKNOWN ? ends->local_port : one;

	if (!lists)
		return CHOSEN;
	if ((settings->checks & CHECK_ONLY_PORTS) && !is_listed_port(lists->only, one) &&
	    !is_listed_port(lists->only, other))
		return LEFT_OUT_PORT;
	if ((settings->checks & CHECK_EXCEPT_PORTS) &&
	    (is_listed_port(lists->except, one) || is_listed_port(lists->except, other)))
		return LEFT_OUT_PORT;
	return CHOSEN;
}

/* Whether the traffic between these ends is captured, and why not. */
static __noinline u32 choose(struct capture_settings *settings, struct owner *owner, struct endpoints *ends, u8 role)
{
	if (settings->checks & (CHECK_ONLY_PROCESSES | CHECK_EXCEPT_PROCESSES)) {
		struct listed_key key = { .prefix_bits = GENERATION_BITS + COMM_BITS,
					  .generation = settings->generation };
		u32 *flags;
		u32 listed;

		__builtin_memcpy(key.bytes, owner->comm, sizeof(key.bytes));
		flags = bpf_map_lookup_elem(&process_names, &key);
		listed = flags ? *flags : 0;
		if ((settings->checks & CHECK_ONLY_PROCESSES) && !(listed & LISTED_ONLY))
			return LEFT_OUT_PROCESS;
		if (listed & LISTED_EXCEPT)
			return LEFT_OUT_PROCESS;
	}
	if (settings->checks & (CHECK_ONLY_PORTS | CHECK_EXCEPT_PORTS)) {
		u32 choice = choose_by_port(settings, ends, role);

		if (choice != CHOSEN)
			return choice;
	}
	if (settings->checks & CHECK_ADDRESSES) {
		if (listed_address(settings->generation, ends->remote) ||
		    (listed_address(settings->generation, ends->local) & LISTED_EITHER_END))
			return LEFT_OUT_ADDRESS;
	}
	return CHOSEN;
}

/* Decides for a TCP connection, once a generation. */
static __always_inline u32 choose_connection(struct capture_settings *settings, struct socket_state *state,
					     struct endpoints *ends)
{
	if (state->generation != settings->generation) {
		u32 choice = settings->checks ? choose(settings, &state->owner, ends, state->role) : CHOSEN;

		/* Where the settings are the same, its owner is another, and has had it from the beginning. */
		if (choice == CHOSEN && state->generation != 0 && state->choice != CHOSEN && !state->is_told)
			begin_anew(state);
		state->choice = choice;
		state->generation = settings->generation;
	}
	return state->choice;
}

/* The same, for programs that see the sockets of the whole machine. */
static __always_inline u32 choose_marked(struct capture_settings *settings, struct socket_state *state,
					 struct endpoints *ends, struct sock *sk)
{
	if (state->target_generation != settings->generation) {
		state->is_outside = !is_target(settings, BPF_CORE_READ(sk, sk_cgrp_data.cgroup));
		state->target_generation = settings->generation;
	}
	if (state->is_outside)
		return LEFT_OUT_CGROUP;
	if (!(settings->protocols & (PROTOCOL_FLOWS | PROTOCOL_HTTP)) &&
	    !((settings->protocols & PROTOCOL_DNS) && (ends->local_port == 53 || ends->remote_port == 53)))
		return LEFT_OUT_PROTOCOL;
	return choose_connection(settings, state, ends);
}

static __always_inline void count_left_out(u32 choice, u64 bytes)
{
	count(&left_out, choice, bytes);
}

#endif
