/* Programs that begin and processes that end, inside the cgroups that are captured. */
#ifndef WEIR_PROCESSES_H
#define WEIR_PROCESSES_H

#include "state.h"
#include "owner.h"

/* Depth to which cgroups are followed up to the root. */
#define CGROUP_LEVELS 16

static __always_inline int is_target(struct cgroup *cgroup)
{
	if (capture_all)
		return 1;
	for (int level = 0; level < CGROUP_LEVELS && cgroup; level++) {
		u64 id = BPF_CORE_READ(cgroup, kn, id);
		struct cgroup_subsys_state *parent;

		if (bpf_map_lookup_elem(&targets, &id))
			return 1;
		parent = BPF_CORE_READ(cgroup, self.parent);
		if (!parent)
			return 0;
		cgroup = BPF_CORE_READ(parent, cgroup);
	}
	return 0;
}

/* match-proto:v5.8:include/trace/events/sched.h:TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm) */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct process_event *event;
	long length;

	if (!is_target(BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		return 0;
	event = bpf_ringbuf_reserve(&control, sizeof(*event), 0);
	if (!event) {
		count_loss(LOSS_CONTROL_RING_FULL, sizeof(*event));
		return 0;
	}
	event->kind = EVENT_PROCESS_EXEC;
	event->time_ns = bpf_ktime_get_ns();
	owner_of_task(&event->process, task);
	length = bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), BPF_CORE_READ(bprm, filename));
	event->filename_len = length > 0 ? length - 1 : 0;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count_total(TOTAL_CONTROL_RECORDS, sizeof(*event));
	return 0;
}

/* match-proto:v5.8:include/trace/events/sched.h:TP_PROTO(struct task_struct *p) */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct process_event *event;
	u64 start_ns;
	u32 pid;

	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	if (!is_target(BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		return 0;
	event = bpf_ringbuf_reserve(&control, sizeof(*event), 0);
	if (!event) {
		count_loss(LOSS_CONTROL_RING_FULL, sizeof(*event));
		return 0;
	}
	event->kind = EVENT_PROCESS_EXIT;
	event->filename_len = 0;
	event->filename[0] = 0;
	event->time_ns = bpf_ktime_get_ns();
	owner_of_task(&event->process, task);
	pid = event->process.pid;
	start_ns = event->process.start_ns;
	bpf_map_update_elem(&ended, &pid, &start_ns, BPF_ANY);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count_total(TOTAL_CONTROL_RECORDS, sizeof(*event));
	return 0;
}

#endif
