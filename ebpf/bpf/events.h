/* What the programs hand to user space. `src/events.rs` mirrors every structure; a test compares both with the
 * object's BTF. Fixed-width members only, padding explicit, addresses always 16 bytes (IPv4 as ::ffff:a.b.c.d).
 */
#ifndef WEIR_EVENTS_H
#define WEIR_EVENTS_H

#include <linux/types.h>

#define COMM_BYTES 16
#define FILENAME_BYTES 256
/* Room for the names of the directories that lead to an executable, and for one more of any length. */
#define EXE_BYTES 512
#define CGROUP_PATH_BYTES 512

/* First member of each record of the control ring. */
enum event_kind {
	EVENT_TCP_OPEN = 1,
	EVENT_TCP_CLOSE = 2,
	EVENT_TCP_COUNTERS = 3,
	EVENT_UDP_OPEN = 4,
	EVENT_SOCKET_RELEASE = 5,
	EVENT_PROCESS_EXEC = 6,
	EVENT_PROCESS_EXIT = 7,
	EVENT_TCP_FOUND = 8,
	EVENT_TCP_LISTEN = 9,
	EVENT_PROCESS_FORK = 10,
	EVENT_CGROUP_CREATE = 11,
	EVENT_TCP_LEFT_OUT = 12,
};

enum packet_direction {
	DIRECTION_SENT = 0,
	DIRECTION_RECEIVED = 1,
};

enum socket_role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

/* Where a program is attached. The first two are those of `enum packet_direction`. */
enum hook {
	HOOK_PACKET_SENT = 0,
	HOOK_PACKET_RECEIVED = 1,
	HOOK_SOCKET_CREATE = 2,
	HOOK_SOCKET_RELEASE = 3,
	HOOK_TCP_STATE = 4,
	HOOK_PROCESS_EXEC = 5,
	HOOK_PROCESS_EXIT = 6,
	HOOK_FIND_SOCKETS = 7,
	HOOK_PROCESS_FORK = 8,
	HOOK_CGROUP_CREATE = 9,
	HOOKS = 10,
};

/* Why something was lost. */
enum loss_reason {
	LOSS_PAYLOAD_RING_FULL = 0,
	LOSS_CONTROL_RING_FULL = 1,
	LOSS_PACKET_UNREADABLE = 2,
	LOSS_UDP_TABLE_FULL = 3,
	LOSS_SOCKET_STATE_FULL = 4,
	LOSS_REASONS = 5,
};

/* What a packet begins with, as far as its first bytes tell. */
enum message_kind {
	MESSAGE_NONE = 0,
	MESSAGE_REQUEST = 1,
	MESSAGE_RESPONSE = 2,
	MESSAGE_DNS = 3,
	MESSAGE_KINDS = 4,
};

/* What passed at a hook. Each run of a packet program counts one of those before TOTAL_RECORDS, whatever becomes of the
 * records, so that their sum is the number of its runs. */
enum total_kind {
	TOTAL_PACKETS_CONTINUED = 0, /* payload inside a message */
	TOTAL_PACKETS_REQUEST = 1,   /* of these three `enum message_kind` is the index */
	TOTAL_PACKETS_RESPONSE = 2,
	TOTAL_PACKETS_DNS = 3,
	TOTAL_PACKETS_EMPTY = 4,	   /* TCP without payload */
	TOTAL_PACKETS_OTHER_PROTOCOL = 5,  /* of a connection or with payload that is none of ours */
	TOTAL_PACKETS_OTHER_TRANSPORT = 6, /* neither TCP nor UDP, or of no socket */
	TOTAL_PACKETS_LOST = 7,		   /* in `losses` */
	TOTAL_PACKETS_LEFT_OUT = 8,	   /* by choice, in `left_out` */
	TOTAL_RECORDS = 9,		   /* handed over in a ring */
	TOTAL_KINDS = 10,
};

/* Why traffic is not captured, by choice; an index into the `left_out` map. */
enum choice {
	CHOSEN = 0, /* it is captured */
	LEFT_OUT_PROCESS = 1,
	LEFT_OUT_PORT = 2,
	LEFT_OUT_ADDRESS = 3,
	LEFT_OUT_PROTOCOL = 4,
	CHOICES = 5,
	LEFT_OUT_CGROUP = 5, /* not counted */
};

/* Bits of `capture_settings.protocols`. */
#define PROTOCOL_HTTP 0x1
#define PROTOCOL_DNS 0x2
#define PROTOCOL_FLOWS 0x4

/* What to capture; `bpf/choice.h` says how it is read. */
struct capture_settings {
	__u32 generation; /* from 1 */
	__u32 message_prefix; /* bytes of a message that are copied at most */
	__u8 protocols;
	__u8 checks;
	__u8 capture_all; /* every cgroup: no look-up in `targets` */
	__u8 tell_cgroups; /* whether new cgroups are told */
	__u32 reserved;
};

#define PORT_SET_BYTES 8192

/* A bit for each port. */
struct port_lists {
	__u8 only[PORT_SET_BYTES];
	__u8 except[PORT_SET_BYTES];
};

/* A prefix in the list of a generation: of an address (16 bytes, as in `endpoints`) or of a process's name. */
struct listed_key {
	__u32 prefix_bits; /* those of the generation counted */
	__u32 generation;
	__u8 bytes[16];
};

/* The process that a socket belongs to. pid 0: unknown. */
struct owner {
	__u64 start_ns; /* start of the process, nanoseconds since boot */
	__u64 cgroup_id;
	__u32 pid; /* thread group id */
	__u32 exec_id; /* which of the programs that it executed one after the other: low half of task_struct.self_exec_id */
	char comm[COMM_BYTES];
};

/* The two ends of a socket; ports in host byte order. */
struct endpoints {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 netns; /* low half of the network namespace's cookie */
};

/* One packet, or a run of bytes inside a large one; `captured` bytes of payload follow. */
struct payload_event {
	__u64 time_ns; /* monotonic clock */
	__u64 cookie;
	struct owner owner;
	struct endpoints endpoints;
	__u32 seq;
	__u32 ack;
	__u32 payload_len; /* bytes of payload on the wire that this record stands for */
	__u32 captured;	   /* of which so many follow */
	__u8 direction;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 tcp_flags;
	__u8 role;
	__u32 reserved;
};

/* A TCP connection: opened, closed, or its counters so far. */
struct tcp_event {
	__u32 kind;
	__u8 role;
	__u8 tcp_flags;
	__u8 old_state;
	__u8 state;
	__u64 time_ns;
	__u64 cookie;
	struct owner owner;
	struct endpoints endpoints;
	__u64 start_ns;	  /* opened, monotonic clock */
	__u64 connect_ns; /* SYN to established; 0 where not seen */
	__u64 bytes_sent; /* payload, each byte once */
	__u64 bytes_received;
	__u64 packets_sent;
	__u64 packets_received;
	__u32 retransmits;
	__u32 rtt_us; /* smoothed; 0 where unknown */
	__u32 rtt_min_us;
	__u16 error;	  /* errno of the socket; ECONNABORTED where this end has reset the connection */
	__u8 was_opened;  /* its opening was seen */
	__u8 was_told;	  /* a record before this one has told of it */
	__u32 snd_nxt; /* next sequence number each way */
	__u32 rcv_nxt;
};

/* The first packet between a UDP socket and a peer. Its counters stand in the `udp_flows` map. For ICMP echo the local
 * port is the identifier of the requests, and the remote one 0. */
struct udp_key {
	__u64 cookie;
	struct endpoints endpoints;
};

struct udp_counters {
	__u64 start_ns;
	__u64 last_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 packets_sent;
	__u64 packets_received;
	__u64 rtt_ns; /* of ICMP echo: smoothed; 0 where unknown */
	__u64 rtt_min_ns;
	__u64 echo_sent_ns; /* the request that waits for its reply */
	struct owner owner;
	__u32 announced;
	__u16 echo_sequence;
	__u8 first_direction;
	__u8 protocol; /* IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6 */
};

struct udp_event {
	__u32 kind;
	__u32 reserved;
	__u64 time_ns;
	struct udp_key key;
};

/* A socket was closed by its last owner. */
struct release_event {
	__u32 kind;
	__u32 reserved;
	__u64 time_ns;
	__u64 cookie;
};

/* A process began to run a program. */
struct exec_event {
	__u32 kind;
	__u32 filename_len; /* as given to execve(2) */
	__u64 time_ns;
	struct owner process;
	__u32 exe_len; /* 0 where the path was too long */
	__u32 reserved;
	char filename[FILENAME_BYTES];
	char exe[EXE_BYTES]; /* names on the way from the file up to the root, each with a 0 behind it */
};

/* A process ended. */
struct exit_event {
	__u32 kind;
	__u32 reserved;
	__u64 time_ns;
	struct owner process;
};

/* A process began, as a copy of another. */
struct fork_event {
	__u32 kind;
	__u32 parent_pid;
	__u64 time_ns;
	struct owner process;
	__u64 parent_start_ns;
	__u32 parent_exec_id;
	__u32 reserved;
};

/* A cgroup was made. */
struct cgroup_event {
	__u32 kind;
	__u32 path_len;
	__u64 time_ns;
	__u64 id;
	char path[CGROUP_PATH_BYTES]; /* from the root of the hierarchy */
};

struct tally {
	__u64 events;
	__u64 bytes;
};

#endif
