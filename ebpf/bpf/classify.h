/* What the first bytes of a message look like. Lenient on purpose: user space decides, here only what cannot be HTTP
 * or DNS is left out.
 */
#ifndef WEIR_CLASSIFY_H
#define WEIR_CLASSIFY_H

#include "state.h"

enum message_start {
	START_OTHER = 0,
	START_TOO_SHORT = 1, /* could still become a start line */
	START_HTTP_REQUEST = 2,
	START_HTTP_RESPONSE = 3,
	START_HTTP_UPGRADE = 4, /* 101: what follows is another protocol */
	START_TLS = 5,
};

/* Bytes in which the space after a method must come; the longest registered method has 17. */
#define START_BYTES 32
#define METHOD_BYTES 20

/* 1 for the characters of a token (RFC 9110, section 5.6.2). A table, since the verifier follows every branch of a
 * comparison, in every turn of the loop. */
static const u8 token_chars[256] = {
	['!'] = 1, ['#' ... '\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['0' ... '9'] = 1,
	['A' ... 'Z'] = 1, ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
};

/* A number that lies between 1 and `limit`, a power of two, already: written so that every verifier sees it. Those before
 * Linux 6.8 learn nothing from a comparison with 0, and refuse to copy what could be nothing. */
static __always_inline u64 within(u64 number, u64 limit)
{
	number--;
	barrier_var(number);
	number &= limit - 1;
	barrier_var(number);
	return number + 1;
}

/* What a message begins with whose first START_BYTES bytes, or all of its `length`, are in `start`. */
static __always_inline enum message_start classify(const u8 *start, u64 length)
{
	u64 method = 0;
	u8 next;

	if (start[0] == 'H' && start[1] == 'T' && start[2] == 'T' && start[3] == 'P' && start[4] == '/') {
		if (start[9] == '1' && start[10] == '0' && start[11] == '1')
			return START_HTTP_UPGRADE;
		return START_HTTP_RESPONSE;
	}
	if (start[0] == 0x16 && start[1] == 0x03)
		return START_TLS;
	/* Empty lines before a request are allowed (RFC 9112, section 2.2). */
	if (start[0] == '\r' || start[0] == '\n')
		return START_HTTP_REQUEST;
	for (method = 0; method < METHOD_BYTES; method++) {
		if (!token_chars[start[method]])
			break;
	}
	if (method == 0)
		return START_OTHER;
	if (method >= length)
		return START_TOO_SHORT;
	if (start[method & (START_BYTES - 1)] != ' ')
		return START_OTHER;
	if (method + 1 >= length)
		return START_TOO_SHORT;
	/* origin-form, asterisk-form, absolute-form or authority-form */
	next = start[(method + 1) & (START_BYTES - 1)];
	if (next == '/' || next == '*' || next == '[' || token_chars[next])
		return START_HTTP_REQUEST;
	return START_OTHER;
}

/* The same of a payload that is not copied yet. */
static __noinline enum message_start classify_start(struct __sk_buff *skb, u64 offset, u64 length)
{
	u8 start[START_BYTES] = {};
	u64 available = length < START_BYTES ? length : START_BYTES;

	if (available == 0 || bpf_skb_load_bytes(skb, offset, start, within(available, START_BYTES)) != 0)
		return START_OTHER;
	return classify(start, length);
}

#define DNS_HEADER_BYTES 12
#define DNS_NOTIFY 4 /* this opcode and those above: notify (RFC 1996), update (RFC 2136), stateful operations */

/* RFC 1035, section 4.1.1: a header that a DNS message can have. */
static __always_inline int is_dns_header(const u8 *header)
{
	u16 questions = header[4] << 8 | header[5];
	u16 answers = header[6] << 8 | header[7];
	u16 authorities = header[8] << 8 | header[9];
	u16 additionals = header[10] << 8 | header[11];
	u8 opcode = (header[2] >> 3) & 0x0f;

	if (opcode > 6 || (header[3] & 0x40) || questions > 1 || authorities > 64 || additionals > 64)
		return 0;
	/* A query has a question and no answer, a response at least one of the two. */
	if (header[2] & 0x80)
		return questions + answers > 0 && answers < 512;
	/* A notify may tell the new record there, and an update has its prerequisites there. */
	return questions == 1 && answers <= (opcode >= DNS_NOTIFY ? 64 : 0);
}

static __always_inline int may_be_dns(struct __sk_buff *skb, u32 offset, u32 length, u16 local_port, u16 remote_port)
{
	u8 header[DNS_HEADER_BYTES];

	if (local_port == 53 || remote_port == 53 || local_port == 5353 || remote_port == 5353 || local_port == 5355 ||
	    remote_port == 5355)
		return length > 0;
	if (length < DNS_HEADER_BYTES + 5 || bpf_skb_load_bytes(skb, offset, header, sizeof(header)) != 0)
		return 0;
	return is_dns_header(header);
}

/* Whether a TCP payload begins with the length of a query and the query (RFC 1035, section 4.2.2). */
static __noinline int begins_dns_query(struct __sk_buff *skb, u64 offset, u64 length)
{
	u8 start[2 + DNS_HEADER_BYTES];

	if (length < sizeof(start) + 5 || bpf_skb_load_bytes(skb, offset, start, sizeof(start)) != 0)
		return 0;
	return (u64)(start[0] << 8 | start[1]) + 2 <= length && !(start[4] & 0x80) && is_dns_header(start + 2);
}

#endif
