/* weir's kernel side: one object, a file for each concern.
 *
 * Which sockets are captured is decided by where the cgroup programs are attached; the tracing programs, which see
 * the whole machine, look only at sockets that those have marked (`sockets`) and at processes inside `targets`.
 */
#include "state.h"

#include "owner.h"
#include "tcp_state.h"
#include "packets.h"
#include "processes.h"
#include "iterators.h"

char LICENSE[] SEC("license") = "GPL";
