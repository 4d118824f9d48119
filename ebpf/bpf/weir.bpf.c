/* weir's kernel side: one object, a file for each concern.
 *
 * Which sockets are captured is decided by where the cgroup programs are attached; the tracing programs, which see
 * the whole machine, look only at sockets that those have marked (`sockets`) and at processes inside `targets`.
 */
#include "state.h"

#include "choice.h"
#include "owner.h"
#include "tcp_state.h"
#include "packets.h"
#include "processes.h"
#include "iterators.h"

char LICENSE[] SEC("license") = "GPL";

/* Types that only records have are described in the object's BTF through these, for the test that compares layouts. */
const struct payload_event *layout_of_payload_event __attribute__((unused));
const struct tcp_event *layout_of_tcp_event __attribute__((unused));
const struct udp_event *layout_of_udp_event __attribute__((unused));
const struct release_event *layout_of_release_event __attribute__((unused));
const struct exec_event *layout_of_exec_event __attribute__((unused));
const struct exit_event *layout_of_exit_event __attribute__((unused));
const struct fork_event *layout_of_fork_event __attribute__((unused));
const struct cgroup_event *layout_of_cgroup_event __attribute__((unused));
