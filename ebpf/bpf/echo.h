/* ICMP echo (RFC 792, RFC 4443): what ping(8) sends and gets back, counted as datagrams are. */
#ifndef WEIR_ECHO_H
#define WEIR_ECHO_H

#include "state.h"

#define ICMP_ECHO 8
#define ICMP_ECHO_REPLY 0
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

struct echo_header {
	u8 type;
	u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

/* The round trip of the latest request; those that overlap count, and measure nothing. */
static __always_inline void measure_echo(struct udp_counters *counters, u16 sequence, u64 now)
{
	u64 rtt_ns = now - counters->echo_sent_ns;

	if (counters->echo_sent_ns == 0 || counters->echo_sequence != sequence)
		return;
	counters->echo_sent_ns = 0;
	/* As RFC 6298 smooths. */
	counters->rtt_ns = counters->rtt_ns ? counters->rtt_ns - counters->rtt_ns / 8 + rtt_ns / 8 : rtt_ns;
	if (counters->rtt_min_ns == 0 || rtt_ns < counters->rtt_min_ns)
		counters->rtt_min_ns = rtt_ns;
}

/* Takes an ICMP message at a socket; its header stands at `offset`. The requests that the socket sends count, and the
 * replies to them: a raw socket is shown those of others too. */
static __always_inline void on_echo(struct __sk_buff *skb, struct socket_state *state, struct endpoints *endpoints,
				    u32 offset, u8 protocol, u8 direction)
{
	u8 request = protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMPV6_ECHO;
	u8 reply = protocol == IPPROTO_ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY;
	struct udp_key key = { .cookie = state->cookie, .endpoints = *endpoints };
	struct udp_counters *counters;
	struct echo_header echo;
	u64 now, bytes;

	if (skb->len < offset + sizeof(echo) || bpf_skb_load_bytes(skb, offset, &echo, sizeof(echo)) != 0)
		return;
	if (echo.type != (direction == DIRECTION_SENT ? request : reply))
		return;
	bytes = skb->len - offset - sizeof(echo);
	now = bpf_ktime_get_ns();
	key.endpoints.netns = state->netns;
	key.endpoints.local_port = bpf_ntohs(echo.id);
	counters = bpf_map_lookup_elem(&udp_flows, &key);
	if (!counters && direction == DIRECTION_SENT) {
		struct udp_counters fresh = {
			.start_ns = now,
			.owner = state->owner,
			.first_direction = DIRECTION_SENT,
			.protocol = protocol,
		};

		bpf_map_update_elem(&udp_flows, &key, &fresh, BPF_NOEXIST);
		counters = bpf_map_lookup_elem(&udp_flows, &key);
		if (!counters)
			count_loss(direction & 1, LOSS_UDP_TABLE_FULL, bytes);
	}
	if (!counters)
		return;
	counters->last_ns = now;
	if (direction == DIRECTION_SENT) {
		__sync_fetch_and_add(&counters->bytes_sent, bytes);
		__sync_fetch_and_add(&counters->packets_sent, 1);
		counters->echo_sequence = echo.sequence;
		counters->echo_sent_ns = now;
	} else {
		__sync_fetch_and_add(&counters->bytes_received, bytes);
		__sync_fetch_and_add(&counters->packets_received, 1);
		measure_echo(counters, echo.sequence, now);
	}
	announce_datagrams(direction & 1, counters, &key, now);
}

#endif
