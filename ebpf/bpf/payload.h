/* Payload into its ring: a prefix of each message (`message_prefix`), in records of fixed sizes. What is left out is told
 * by `payload_len`, so that user space knows every byte's place by its sequence number.
 */
#ifndef WEIR_PAYLOAD_H
#define WEIR_PAYLOAD_H

#include "state.h"
#include "classify.h"
#include "headers.h"

#define TINY_RECORD 128
#define SMALL_RECORD 256
#define MEDIUM_RECORD 1024
#define LARGE_RECORD 4096
/* Records that one packet can fill: what does not fit into them is left out. */
#define RECORDS_PER_PACKET 4

/* A run of payload bytes that one record stands for. */
struct span {
	u32 skipped;	 /* bytes of the packet's payload before it */
	u32 payload_len; /* its bytes */
	u32 captured;	 /* of which so many are copied */
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

#endif
