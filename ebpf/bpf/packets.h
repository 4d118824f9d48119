/* Packets at the sockets of the captured cgroups: payload of HTTP and DNS into the payload ring, UDP counters into
 * their table. Everything else leaves early.
 */
#ifndef WEIR_PACKETS_H
#define WEIR_PACKETS_H

#include "state.h"
#include "choice.h"
#include "classify.h"
#include "owner.h"
#include "echo.h"
#include "headers.h"
#include "payload.h"
#include "tcp_state.h"

#define FLAG_FIN 0x01
#define FLAG_RST 0x04

static __always_inline void miss_packet(struct socket_state *state)
{
	if (!state->missed)
		state->missed = 1;
}

/* What a TCP packet with payload says about the protocol of its socket; returns whether the packet is to be copied. */
static __always_inline int follow_protocol(struct socket_state *state, struct packet *packet, enum message_start start)
{
	packet->message = message_of(state, packet, start);
	if (start == START_HTTP_REQUEST || start == START_HTTP_RESPONSE || start == START_HTTP_UPGRADE)
		state->budget[packet->direction & 1] = packet->message_prefix;
	if (start == START_HTTP_UPGRADE) {
		state->l7 = L7_OTHER; /* this response is HTTP, what follows is not */
		return 1;
	}
	switch (state->l7) {
	case L7_UNKNOWN:
		if (start == START_HTTP_RESPONSE) {
			state->l7 = L7_HTTP;
			state->request_direction = !packet->direction;
			return 1;
		}
		if (start == START_HTTP_REQUEST || start == START_TOO_SHORT) {
			state->l7 = L7_HTTP_REQUEST;
			state->request_direction = packet->direction;
			return 1;
		}
		if (start == START_TLS) {
			state->l7 = L7_OTHER;
			return 1; /* the one record tells that it is TLS */
		}
		/* The first bytes of a connection that was seen to open decide; else wait for a message to begin. */
		if (state->opened && !state->missed)
			state->l7 = L7_OTHER;
		return 0;
	case L7_HTTP_REQUEST:
		if (packet->direction == state->request_direction)
			return 1;
		if (start != START_HTTP_RESPONSE && start != START_TOO_SHORT) {
			state->l7 = L7_OTHER;
			return 0;
		}
		state->l7 = L7_HTTP;
		return 1;
	default:
		return 1;
	}
}

static __always_inline void spend_budget(struct socket_state *state, u8 direction, u32 copied)
{
	u32 budget = state->budget[direction];

	state->budget[direction] = copied < budget ? budget - copied : 0;
}

/* Returns what the packet was. */
static __always_inline enum total_kind on_tcp(struct __sk_buff *skb, struct socket_state *state, struct packet *packet)
{
	u8 direction = packet->direction & 1;
	int is_dns = state->l7 == L7_DNS || packet->endpoints.local_port == 53 || packet->endpoints.remote_port == 53;

	state->tcp_flags |= packet->tcp_flags;
	if (state->l7 == L7_UNKNOWN && !is_dns)
		is_dns = begins_dns_query(skb, packet->payload_offset, packet->payload_len);
	if (direction == DIRECTION_SENT && packet->payload_len && state->l7 != L7_OTHER)
		learn_tcp_sender(state, skb->sk);
	if (state->l7 == L7_OTHER)
		return packet->payload_len ? TOTAL_PACKETS_OTHER_PROTOCOL : TOTAL_PACKETS_EMPTY;
	if (!(packet->protocols & (is_dns ? PROTOCOL_DNS : PROTOCOL_HTTP))) {
		if (!packet->payload_len)
			return TOTAL_PACKETS_EMPTY;
		miss_packet(state);
		count_left_out(LEFT_OUT_PROTOCOL, packet->payload_len);
		return TOTAL_PACKETS_LEFT_OUT;
	}
	if (packet->payload_len == 0) {
		/* The end of a side is the end of a body without a length. */
		if ((packet->tcp_flags & (FLAG_FIN | FLAG_RST)) && state->l7 != L7_UNKNOWN)
			emit_payload(skb, state, packet, 0);
		return TOTAL_PACKETS_EMPTY;
	}
	if (state->last_direction != direction) {
		state->last_direction = direction;
		state->budget[direction] = packet->message_prefix;
	}
	if (state->l7 == L7_HTTP && packet->payload_len >= START_BYTES && packet->payload_len <= LARGE_RECORD &&
	    packet->payload_len <= state->budget[direction]) {
		follow_protocol(state, packet, emit_whole(skb, state, packet));
		spend_budget(state, direction, packet->payload_len);
		return packet->message;
	}
	if (is_dns)
		state->l7 = L7_DNS;
	else if (!follow_protocol(state, packet, classify_start(skb, packet->payload_offset, packet->payload_len)))
		return TOTAL_PACKETS_OTHER_PROTOCOL;
	spend_budget(state, direction, emit_payload(skb, state, packet, state->budget[direction]));
	return packet->message;
}

static __always_inline void count_datagram(struct __sk_buff *skb, struct socket_state *state, struct packet *packet)
{
	struct udp_key key = { .cookie = packet->cookie, .endpoints = packet->endpoints };
	struct udp_counters *counters = bpf_map_lookup_elem(&udp_flows, &key);
	u32 segments = skb->gso_segs > 1 ? skb->gso_segs : 1;

	if (packet->direction == DIRECTION_SENT && !state->has_sent)
		learn_udp_sender(state);
	if (!counters) {
		struct udp_counters fresh = {
			.start_ns = packet->time_ns,
			.first_direction = packet->direction,
			.protocol = IPPROTO_UDP,
		};

		if (state)
			fresh.owner = state->owner;
		bpf_map_update_elem(&udp_flows, &key, &fresh, BPF_NOEXIST);
		counters = bpf_map_lookup_elem(&udp_flows, &key);
	}
	if (!counters) {
		count_loss(packet->direction & 1, LOSS_UDP_TABLE_FULL, packet->payload_len);
		return;
	}
	counters->last_ns = packet->time_ns;
	if (packet->direction == DIRECTION_SENT) {
		__sync_fetch_and_add(&counters->bytes_sent, packet->payload_len);
		__sync_fetch_and_add(&counters->packets_sent, segments);
	} else {
		__sync_fetch_and_add(&counters->bytes_received, packet->payload_len);
		__sync_fetch_and_add(&counters->packets_received, segments);
	}
	announce_datagrams(packet->direction & 1, counters, &key, packet->time_ns);
}

/* Returns what the packet was. */
static __always_inline enum total_kind on_udp(struct __sk_buff *skb, struct socket_state *state, struct packet *packet)
{
	if (packet->protocols & PROTOCOL_FLOWS)
		count_datagram(skb, state, packet);
	if (!may_be_dns(skb, packet->payload_offset, packet->payload_len, packet->endpoints.local_port,
			packet->endpoints.remote_port))
		return packet->payload_len ? TOTAL_PACKETS_OTHER_PROTOCOL : TOTAL_PACKETS_EMPTY;
	if (!(packet->protocols & PROTOCOL_DNS)) {
		count_left_out(LEFT_OUT_PROTOCOL, packet->payload_len);
		return TOTAL_PACKETS_LEFT_OUT;
	}
	packet->message = MESSAGE_DNS;
	emit_payload(skb, state, packet, packet->message_prefix);
	return TOTAL_PACKETS_DNS;
}

/* A packet of a connection of which nothing is copied: only the flags in its header are kept. */
static __always_inline void pass_by(struct __sk_buff *skb, struct socket_state *state)
{
	u32 offset = sizeof(struct ipv6_header) + offsetof(struct tcp_header, flags);
	u8 *data = (u8 *)(long)skb->data, *end = (u8 *)(long)skb->data_end;
	u8 flags;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (data + 1 > end)
			return;
		offset = (data[0] & 0x0f) * 4 + offsetof(struct tcp_header, flags);
	}
	if (data + offset + 1 > end)
		return;
	flags = state->tcp_flags | data[offset];
	/* Most add nothing, and a write makes the other processors read the socket's state again. */
	if (flags != state->tcp_flags)
		state->tcp_flags = flags;
}

/* Decides for a packet of a socket that has many peers. */
static __always_inline u32 choose_for_packet(struct capture_settings *settings, struct socket_state *state,
					     struct packet *packet)
{
	return settings->checks ? choose(settings, &state->owner, &packet->endpoints, state->role) : CHOSEN;
}

/* Returns what the packet was. */
static __always_inline enum total_kind look_at(struct __sk_buff *skb, u8 direction)
{
	struct packet packet = { .direction = direction };
	struct capture_settings *settings;
	struct socket_state *state;
	struct bpf_sock *sk = skb->sk;
	u32 choice;

	if (!sk)
		return TOTAL_PACKETS_OTHER_TRANSPORT;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	/* Only connections of TCP come to this state. */
	if (state && state->l7 == L7_OTHER) {
		pass_by(skb, state);
		if (direction == DIRECTION_SENT && !state->has_sent)
			learn_tcp_sender(state, sk);
		return TOTAL_PACKETS_OTHER_PROTOCOL;
	}
	settings = current_settings();
	if (!settings)
		return TOTAL_PACKETS_LEFT_OUT;
	if (state && state->generation == settings->generation && state->choice != CHOSEN) {
		count_left_out(state->choice, skb->len);
		miss_packet(state);
		/* It may be that of a process that is chosen. */
		if (direction == DIRECTION_SENT && !state->has_sent)
			learn_tcp_sender(state, sk);
		return TOTAL_PACKETS_LEFT_OUT;
	}
	packet.protocols = settings->protocols;
	packet.message_prefix = settings->message_prefix;
	packet.protocol = read_network_header(skb, &packet);
	if (packet.protocol == IPPROTO_TCP) {
		struct tcp_header tcp;

		if (read_header(skb, packet.transport_offset & MAX_IP_HEADER, &tcp, sizeof(tcp)) != 0)
			goto unreadable;
		packet.payload_offset = packet.transport_offset + (tcp.data_offset >> 4) * 4;
		packet.tcp_flags = tcp.flags;
		packet.seq = bpf_ntohl(tcp.seq);
		packet.ack = bpf_ntohl(tcp.ack);
		set_endpoints(&packet, tcp.source, tcp.destination);
	} else if (packet.protocol == IPPROTO_UDP) {
		packet.payload_offset = packet.transport_offset + sizeof(struct udp_header);
		struct udp_header udp;

		if (read_header(skb, packet.transport_offset & MAX_IP_HEADER, &udp, sizeof(udp)) != 0)
			goto unreadable;
		set_endpoints(&packet, udp.source, udp.destination);
	} else {
		if (!state || (packet.protocol != IPPROTO_ICMP && packet.protocol != IPPROTO_ICMPV6))
			return TOTAL_PACKETS_OTHER_TRANSPORT;
		choice = choose_for_packet(settings, state, &packet);
		if (choice != CHOSEN) {
			count_left_out(choice, skb->len);
			return TOTAL_PACKETS_LEFT_OUT;
		}
		if (packet.protocols & PROTOCOL_FLOWS)
			on_echo(skb, state, &packet.endpoints, packet.transport_offset, packet.protocol, direction);
		return TOTAL_PACKETS_OTHER_TRANSPORT;
	}
	if (skb->len < packet.payload_offset)
		goto unreadable;
	packet.payload_len = skb->len - packet.payload_offset;
	packet.time_ns = bpf_ktime_get_ns();
	/* An accepted socket has its listener's state until it is seen to open. */
	packet.cookie = state && state->opened ? state->cookie : bpf_get_socket_cookie(skb);
	if (!state) {
		state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!state) {
			count_loss(direction, LOSS_SOCKET_STATE_FULL, packet.payload_len);
			return TOTAL_PACKETS_LOST;
		}
		state->cookie = packet.cookie;
		begin_messages(state, settings);
		begin_at_packet(state, sk);
	}
	if (direction == DIRECTION_SENT && !state->has_sent && packet.protocol == IPPROTO_TCP)
		learn_tcp_sender(state, sk);
	/* A socket that listens, and one of UDP, has many peers. */
	if (packet.protocol == IPPROTO_TCP && sk->state != BPF_TCP_LISTEN) {
		choice = choose_connection(settings, state, &packet.endpoints);
		if (choice != CHOSEN)
			miss_packet(state);
	} else {
		choice = choose_for_packet(settings, state, &packet);
	}
	if (choice != CHOSEN) {
		count_left_out(choice, skb->len);
		return TOTAL_PACKETS_LEFT_OUT;
	}
	packet.endpoints.netns = state->netns;
	if (packet.protocol == IPPROTO_TCP)
		return on_tcp(skb, state, &packet);
	return on_udp(skb, state, &packet);
unreadable:
	count_loss(direction, LOSS_PACKET_UNREADABLE, skb->len);
	return TOTAL_PACKETS_LOST;
}

static __always_inline int on_packet(struct __sk_buff *skb, u8 direction)
{
	count_total(direction, look_at(skb, direction), skb->len);
	return 1;
}

/* Both always return 1: the packet goes on. */
SEC("cgroup_skb/ingress")
int packet_received(struct __sk_buff *skb)
{
	return on_packet(skb, DIRECTION_RECEIVED);
}

SEC("cgroup_skb/egress")
int packet_sent(struct __sk_buff *skb)
{
	return on_packet(skb, DIRECTION_SENT);
}

#endif
