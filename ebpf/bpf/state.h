/* Maps, settings and the two ways to hand over a record. */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "events.h"

/* Set by the loader before the programs are verified. */
volatile const u8 sender_is_known = 0; /* programs at packets may ask for the current task */

/* What the application protocol of a TCP socket looks like. */
enum l7_state {
	L7_UNKNOWN = 0,
	L7_HTTP_REQUEST = 1, /* looks like a request; the answer will tell */
	L7_HTTP = 2,
	L7_DNS = 3,
	L7_OTHER = 4, /* nothing of this socket is copied */
};

/* What is known of a socket. Accepted sockets inherit it from their listener. */
struct socket_state {
	struct owner owner;
	u64 cookie;
	u64 start_ns;
	u64 connect_ns;
	/* Counters of the connection when it was found; 0 where it was seen to open. */
	u64 base_bytes_sent;
	u64 base_bytes_received;
	u32 base_segs_out;
	u32 base_segs_in;
	u32 base_retransmits;
	u32 netns;
	u32 budget[2]; /* bytes of the current message, each way, that may still be copied */
	u8 role;
	u8 tcp_flags;
	u8 l7;
	u8 request_direction;
	u8 last_direction;
	u8 opened; /* seen to open: its first bytes are the protocol's first bytes */
	u8 has_sent; /* the owner was seen to send; until then it is whoever made, connected or listened */
	u8 is_told;  /* user space was told of the connection */
	u32 generation;	       /* of the settings, in which `choice` was decided */
	u32 target_generation; /* of the settings, in which `is_outside` was */
	u8 choice;	       /* `enum choice` */
	u8 is_outside;	       /* of the cgroups to capture */
	u8 missed;	       /* packets were left out by choice: the next bytes that are looked at may not be the first */
	u8 reserved[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* The generation of the settings that is in force. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} generation SEC(".maps");

/* The settings, and the ports they list, by the lowest bit of their generation. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct capture_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct port_lists);
} ports SEC(".maps");

/* Names of processes, whole or their beginning, and addresses that the settings list. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2048);
	__type(key, struct listed_key);
	__type(value, u32);
} process_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct listed_key);
	__type(value, u32);
} addresses SEC(".maps");

/* Ids of the cgroups to capture, for the programs that are not attached to a cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u8);
} targets SEC(".maps");

/* Processes that ended lately: pid to start time. A socket outlives its owner where another process holds it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} ended SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024);
} payload SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct udp_key);
	__type(value, struct udp_counters);
} udp_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS * LOSS_REASONS * MESSAGE_KINDS);
	__type(key, u32);
	__type(value, struct tally);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS * TOTAL_KINDS);
	__type(key, u32);
	__type(value, struct tally);
} totals SEC(".maps");

/* What was left out by choice. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CHOICES);
	__type(key, u32);
	__type(value, struct tally);
} left_out SEC(".maps");

/* The settings in force; NULL before the loader has set them. */
static __always_inline struct capture_settings *current_settings(void)
{
	u32 slot = 0;
	u32 *current = bpf_map_lookup_elem(&generation, &slot);

	if (!current)
		return NULL;
	slot = *current & 1;
	return bpf_map_lookup_elem(&settings, &slot);
}

/* The first message of each side may be copied up to the limit. */
static __always_inline void begin_messages(struct socket_state *state, struct capture_settings *settings)
{
	state->budget[0] = settings->message_prefix;
	state->budget[1] = settings->message_prefix;
}

/* A connection that is left out begins in the middle of its life once it is taken in. */
static __always_inline void begin_anew(struct socket_state *state)
{
	state->start_ns = 0;
	state->connect_ns = 0;
	state->opened = 0;
}

/* What was decided for a socket holds no more: its owner or its ends are others. */
static __always_inline void choose_again(struct socket_state *state)
{
	state->generation = 0;
}

static __always_inline void count(void *map, u32 index, u64 bytes)
{
	struct tally *tally = bpf_map_lookup_elem(map, &index);

	if (tally) {
		tally->events++;
		tally->bytes += bytes;
	}
}

/* Counts what is lost at a hook, by what the lost bytes began. */
static __always_inline void count_lost_message(u32 hook, u32 reason, u32 message, u64 bytes)
{
	count(&losses, (hook * LOSS_REASONS + reason) * MESSAGE_KINDS + message, bytes);
}

static __always_inline void count_loss(u32 hook, u32 reason, u64 bytes)
{
	count_lost_message(hook, reason, MESSAGE_NONE, bytes);
}

static __always_inline void count_total(u32 hook, u32 kind, u64 bytes)
{
	count(&totals, hook * TOTAL_KINDS + kind, bytes);
}

/* Copies a record into the control ring; returns whether there was room. The reader drains on a timer, so it is
 * never woken: a wake-up for each record costs ten times the throughput. */
static __always_inline int send_control(u32 hook, void *record, u32 size)
{
	if (bpf_ringbuf_output(&control, record, size, BPF_RB_NO_WAKEUP) != 0) {
		count_loss(hook, LOSS_CONTROL_RING_FULL, size);
		return 0;
	}
	count_total(hook, TOTAL_RECORDS, size);
	return 1;
}

/* Tells user space of the counters between a socket and a peer, once. */
static __always_inline void announce_datagrams(u32 hook, struct udp_counters *counters, struct udp_key *key, u64 time_ns)
{
	struct udp_event event = { .kind = EVENT_UDP_OPEN, .time_ns = time_ns, .key = *key };

	if (!counters->announced)
		counters->announced = send_control(hook, &event, sizeof(event));
}

#endif
