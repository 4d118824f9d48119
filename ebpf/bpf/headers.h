/* The headers of packets: who sends to whom, and where the payload is. */
#ifndef WEIR_HEADERS_H
#define WEIR_HEADERS_H

#include "state.h"

/* The longest header of IPv4 has 60 bytes; as a mask it tells the verifier so. */
#define MAX_IP_HEADER 63

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

/* A packet as far as it was looked at. */
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

#endif
