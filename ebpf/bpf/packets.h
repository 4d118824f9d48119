/* Packets at the sockets of the captured cgroups: payload of HTTP and DNS into the payload ring, UDP counters into
 * their table. Everything else leaves early.
 *
 * Only a prefix of each message is copied (`message_prefix`), in records of fixed sizes; what is left out is told by
 * `payload_len`, so that user space knows every byte's place by its sequence number.
 */
#ifndef WEIR_PACKETS_H
#define WEIR_PACKETS_H

#include "state.h"
#include "choice.h"
#include "classify.h"
#include "owner.h"
#include "echo.h"
#include "tcp_state.h"

#define TINY_RECORD 128
#define SMALL_RECORD 256
#define MEDIUM_RECORD 1024
#define LARGE_RECORD 4096
/* Records that one packet can fill: what does not fit into them is left out. */
#define RECORDS_PER_PACKET 4

/* The longest header of IPv4 has 60 bytes; as a mask it tells the verifier so. */
#define MAX_IP_HEADER 63

#define FLAG_FIN 0x01
#define FLAG_RST 0x04

struct ipv4_header {
	u8 version_and_length;
	u8 tos;
	__be16 total_length;
	__be16 id;
	__be16 fragment;
	u8 ttl;
	u8 protocol;
	__be16 checksum;
	u32 source;
	u32 destination;
};

struct ipv6_header {
	__be32 version_and_flow;
	__be16 payload_length;
	u8 next_header;
	u8 hop_limit;
	u8 source[16];
	u8 destination[16];
};

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 seq;
	__be32 ack;
	u8 data_offset;
	u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

struct udp_header {
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 checksum;
};

/* A run of payload bytes that one record stands for. */
struct span {
	u32 skipped;	 /* bytes of the packet's payload before it */
	u32 payload_len; /* its bytes */
	u32 captured;	 /* of which so many are copied */
};

struct packet {
	struct endpoints endpoints;
	u64 time_ns;
	u64 cookie;
	u32 transport_offset;
	u32 payload_offset;
	u32 payload_len;
	u32 seq;
	u32 ack;
	u32 message_prefix;
	u8 protocol;
	u8 tcp_flags;
	u8 direction; /* also the hook */
	u8 message;   /* enum message_kind: what its payload begins with */
	u8 protocols; /* that are captured */
	u8 reserved[3];
};

#define RECORD(bytes)                                                                                                  \
	struct payload_record_##bytes {                                                                                \
		struct payload_event header;                                                                           \
		u8 data[bytes];                                                                                        \
	}
RECORD(0);
RECORD(128);
RECORD(256);
RECORD(1024);
RECORD(4096);

static __always_inline void fill_header(struct payload_event *header, struct socket_state *state,
					struct packet *packet, struct span *span)
{
	header->time_ns = packet->time_ns;
	header->cookie = packet->cookie;
	header->owner = state->owner;
	header->role = state->role;
	header->endpoints = packet->endpoints;
	header->seq = packet->seq + span->skipped;
	header->ack = packet->ack;
	header->payload_len = span->payload_len;
	header->captured = span->captured;
	header->direction = packet->direction;
	header->protocol = packet->protocol;
	header->tcp_flags = packet->tcp_flags;
	header->reserved = 0;
}

#define EMIT_WITH_DATA(bytes)                                                                                          \
	do {                                                                                                           \
		struct payload_record_##bytes *record = bpf_ringbuf_reserve(&payload, sizeof(*record), 0);             \
		if (!record)                                                                                           \
			goto full;                                                                                     \
		fill_header(&record->header, state, packet, span);                           \
		if (bpf_skb_load_bytes(skb, packet->payload_offset + span->skipped, record->data,                      \
				       within(captured, bytes)) != 0) {                                                \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                                                 \
			count_loss(packet->direction & 1, LOSS_PACKET_UNREADABLE, span->payload_len);                          \
			return;                                                                                        \
		}                                                                                                      \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                                          \
	} while (0)

static __noinline void emit_record(struct __sk_buff *skb, struct socket_state *state, struct packet *packet,
				   struct span *span)
{
	u64 captured = span->captured;

	barrier_var(captured);
	if (captured == 0) {
		struct payload_record_0 *record = bpf_ringbuf_reserve(&payload, sizeof(*record), 0);
		if (!record)
			goto full;
		fill_header(&record->header, state, packet, span);
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	} else if (captured <= SMALL_RECORD) {
		EMIT_WITH_DATA(256);
	} else if (captured <= MEDIUM_RECORD) {
		EMIT_WITH_DATA(1024);
	} else if (captured <= LARGE_RECORD) {
		EMIT_WITH_DATA(4096);
	}
	count_total(packet->direction & 1, TOTAL_RECORDS, captured);
	return;
full:
	/* The packet's first record holds the start of what it begins. */
	count_lost_message(packet->direction & 1, LOSS_PAYLOAD_RING_FULL,
			   span->skipped == 0 ? packet->message & (MESSAGE_KINDS - 1) : MESSAGE_NONE,
			   span->payload_len);
}

/* The last chunk of a chunked body without trailers (RFC 9112, section 7.1). */
#define LAST_CHUNK_BYTES 5

/* Whether the payload ends with the last chunk. */
static __always_inline int ends_with_last_chunk(struct __sk_buff *skb, struct packet *packet)
{
	u32 offset = packet->payload_offset + packet->payload_len - LAST_CHUNK_BYTES;
	u8 tail[LAST_CHUNK_BYTES];

	if (bpf_skb_load_bytes(skb, offset, tail, sizeof(tail)) != 0)
		return 0;
	return tail[0] == '0' && tail[1] == '\r' && tail[2] == '\n' && tail[3] == '\r' && tail[4] == '\n';
}

/* The rest of a packet, which is not copied: its place in the stream, and where a chunked body ends with it, that end,
 * so that the message is known to be over. */
static __always_inline void emit_rest(struct __sk_buff *skb, struct socket_state *state, struct packet *packet,
				      struct span *span)
{
	u32 rest = packet->payload_len - span->skipped;
	int is_last = rest >= LAST_CHUNK_BYTES && packet->protocol == IPPROTO_TCP && ends_with_last_chunk(skb, packet);

	span->captured = 0;
	span->payload_len = is_last ? rest - LAST_CHUNK_BYTES : rest;
	if (span->payload_len || !is_last)
		emit_record(skb, state, packet, span);
	if (is_last) {
		span->skipped += span->payload_len;
		span->payload_len = LAST_CHUNK_BYTES;
		span->captured = LAST_CHUNK_BYTES;
		emit_record(skb, state, packet, span);
	}
}

/* Copies up to `limit` bytes of the payload, in as many records as that takes, and tells of the rest; returns how many
 * it copied. */
static __always_inline u32 emit_payload(struct __sk_buff *skb, struct socket_state *state, struct packet *packet,
					u32 limit)
{
	u32 left = packet->payload_len < limit ? packet->payload_len : limit;
	struct span span = {};
	u32 copied;

	for (int i = 0; i < RECORDS_PER_PACKET && left; i++) {
		span.captured = left > LARGE_RECORD ? LARGE_RECORD : left;
		span.payload_len = span.captured;
		emit_record(skb, state, packet, &span);
		span.skipped += span.captured;
		left -= span.captured;
	}
	copied = span.skipped;
	if (copied < packet->payload_len || packet->payload_len == 0)
		emit_rest(skb, state, packet, &span);
	return copied;
}

/* Which message a packet of HTTP begins. What looks like a message of the other side is a part of a body. */
static __always_inline u8 message_of(struct socket_state *state, struct packet *packet, enum message_start start)
{
	int is_asking = packet->direction == state->request_direction;

	if (start == START_HTTP_REQUEST && (is_asking || state->l7 == L7_UNKNOWN))
		return MESSAGE_REQUEST;
	if ((start == START_HTTP_RESPONSE || start == START_HTTP_UPGRADE) && (!is_asking || state->l7 == L7_UNKNOWN))
		return MESSAGE_RESPONSE;
	return MESSAGE_NONE;
}

#define EMIT_WHOLE(bytes)                                                                                              \
	do {                                                                                                           \
		struct payload_record_##bytes *record = bpf_ringbuf_reserve(&payload, sizeof(*record), 0);             \
		if (!record)                                                                                           \
			goto full;                                                                                     \
		fill_header(&record->header, state, packet, &span);                                                    \
		if (bpf_skb_load_bytes(skb, packet->payload_offset, record->data, within(length, bytes)) != 0) {       \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                                                 \
			count_loss(packet->direction & 1, LOSS_PACKET_UNREADABLE, length);                             \
			return START_OTHER;                                                                            \
		}                                                                                                      \
		__builtin_memcpy(start, record->data, START_BYTES);                                                    \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                                          \
	} while (0)

/* Hands over a packet that is copied whatever it begins with, whose payload has START_BYTES at least and fits into one
 * record; returns what it begins with. That is nearly every packet of HTTP, and one helper less than looking before
 * copying. */
static __noinline enum message_start emit_whole(struct __sk_buff *skb, struct socket_state *state,
						struct packet *packet)
{
	struct span span = { .payload_len = packet->payload_len, .captured = packet->payload_len };
	u64 length = packet->payload_len;
	enum message_start begins;
	u8 start[START_BYTES];

	barrier_var(length);
	if (length < START_BYTES || length > LARGE_RECORD)
		return START_OTHER;
	if (length <= TINY_RECORD)
		EMIT_WHOLE(128);
	else if (length <= SMALL_RECORD)
		EMIT_WHOLE(256);
	else if (length <= MEDIUM_RECORD)
		EMIT_WHOLE(1024);
	else
		EMIT_WHOLE(4096);
	count_total(packet->direction & 1, TOTAL_RECORDS, length);
	return classify(start, length);
full:
	begins = classify_start(skb, packet->payload_offset, length);
	count_lost_message(packet->direction & 1, LOSS_PAYLOAD_RING_FULL, message_of(state, packet, begins), length);
	return begins;
}

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
	int is_dns = packet->endpoints.local_port == 53 || packet->endpoints.remote_port == 53;

	state->tcp_flags |= packet->tcp_flags;
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

static __always_inline void set_endpoints(struct packet *packet, u16 source_port, u16 destination_port)
{
	struct endpoints *ends = &packet->endpoints;

	/* The addresses were put in as source and destination. */
	if (packet->direction == DIRECTION_SENT) {
		ends->local_port = bpf_ntohs(source_port);
		ends->remote_port = bpf_ntohs(destination_port);
	} else {
		ends->local_port = bpf_ntohs(destination_port);
		ends->remote_port = bpf_ntohs(source_port);
	}
}

/* Reads bytes of the headers: straight from the packet where they are in its first part, as headers nearly always are,
 * since calls of helpers are what costs. */
static __always_inline int read_header(struct __sk_buff *skb, u32 offset, void *to, u32 size)
{
	u8 *from = (u8 *)(long)skb->data + offset;

	if (from + size > (u8 *)(long)skb->data_end)
		return bpf_skb_load_bytes(skb, offset, to, size);
	__builtin_memcpy(to, from, size);
	return 0;
}

/* Reads the IP header; returns the transport protocol, or 0 where it is none of ours. */
static __always_inline u8 read_network_header(struct __sk_buff *skb, struct packet *packet)
{
	u8 *source = packet->direction == DIRECTION_SENT ? packet->endpoints.local : packet->endpoints.remote;
	u8 *destination = packet->direction == DIRECTION_SENT ? packet->endpoints.remote : packet->endpoints.local;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ipv4_header ip;

		if (read_header(skb, 0, &ip, sizeof(ip)) != 0)
			return 0;
		source[10] = source[11] = destination[10] = destination[11] = 0xff;
		__builtin_memcpy(source + 12, &ip.source, 4);
		__builtin_memcpy(destination + 12, &ip.destination, 4);
		packet->transport_offset = (ip.version_and_length & 0x0f) * 4;
		return ip.protocol;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6_header ip;

		if (read_header(skb, 0, &ip, sizeof(ip)) != 0)
			return 0;
		__builtin_memcpy(source, ip.source, 16);
		__builtin_memcpy(destination, ip.destination, 16);
		packet->transport_offset = sizeof(ip);
		return ip.next_header;
	}
	return 0;
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
