/* Programs that begin, processes that begin and end, cgroups that are made: inside the cgroups that are captured. */
#ifndef WEIR_PROCESSES_H
#define WEIR_PROCESSES_H

#include "state.h"
#include "choice.h"
#include "owner.h"

/* Directories and mounts that are followed from an executable up to the root. */
#define EXE_STEPS 40
#define NAME_BYTES 256

static __always_inline struct mount *mount_of(struct vfsmount *visible)
{
	return (struct mount *)((char *)visible - bpf_core_field_offset(struct mount, mnt));
}

/* Writes the names from a file up to the root, as /proc/<pid>/exe has them in the other order, since a program that ends
 * within milliseconds is gone before anybody reads that. Returns the bytes written, 0 where they do not fit. */
static __always_inline u32 write_exe(char *names, struct file *file)
{
	struct vfsmount *visible = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mount = mount_of(visible);
	u64 written = 0;

	for (int step = 0; step < EXE_STEPS; step++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		const void *name;
		long length;

		if (dentry == parent || dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *outer = BPF_CORE_READ(mount, mnt_parent);

			if (outer == mount)
				return written;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = outer;
			continue;
		}
		name = BPF_CORE_READ(dentry, d_name.name);
		/* Tested last, in the register that is used: older verifiers do not carry a bound over to a copy of it. */
		barrier_var(written);
		if (written > EXE_BYTES - NAME_BYTES)
			return 0;
		length = bpf_probe_read_kernel_str(names + written, NAME_BYTES, name);
		if (length <= 0 || length > NAME_BYTES)
			return 0;
		written += length;
		dentry = parent;
	}
	return 0;
}

/* match-proto:v5.8:include/trace/events/sched.h:TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm) */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct capture_settings *settings = current_settings();
	struct exec_event *event;
	long length;

	if (!settings || !is_target(settings, BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		return 0;
	event = bpf_ringbuf_reserve(&control, sizeof(*event), 0);
	if (!event) {
		count_loss(HOOK_PROCESS_EXEC, LOSS_CONTROL_RING_FULL, sizeof(*event));
		return 0;
	}
	event->kind = EVENT_PROCESS_EXEC;
	event->reserved = 0;
	event->time_ns = bpf_ktime_get_ns();
	owner_of_task(&event->process, task);
	length = bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), BPF_CORE_READ(bprm, filename));
	event->filename_len = length > 0 ? length - 1 : 0;
	event->exe_len = write_exe(event->exe, BPF_CORE_READ(bprm, file));
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count_total(HOOK_PROCESS_EXEC, TOTAL_RECORDS, sizeof(*event));
	return 0;
}

/* match-proto:v5.8:include/trace/events/sched.h:TP_PROTO(struct task_struct *parent, struct task_struct *child) */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct capture_settings *settings = current_settings();
	struct fork_event event = { .kind = EVENT_PROCESS_FORK };
	struct owner from;

	/* A thread. */
	if (child->pid != child->tgid)
		return 0;
	if (!settings || !is_target(settings, BPF_CORE_READ(child, cgroups, dfl_cgrp)))
		return 0;
	event.time_ns = bpf_ktime_get_ns();
	owner_of_task(&event.process, child);
	owner_of_task(&from, parent);
	event.parent_pid = from.pid;
	event.parent_start_ns = from.start_ns;
	event.parent_exec_id = from.exec_id;
	send_control(HOOK_PROCESS_FORK, &event, sizeof(event));
	return 0;
}

/* match-proto:v5.8:include/trace/events/sched.h:TP_PROTO(struct task_struct *p) */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct capture_settings *settings = current_settings();
	struct exit_event event = { .kind = EVENT_PROCESS_EXIT };
	u64 start_ns;
	u32 pid;

	/* The last of its threads; the first one may have ended long before. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	if (!settings || !is_target(settings, BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		return 0;
	event.time_ns = bpf_ktime_get_ns();
	owner_of_task(&event.process, task);
	pid = event.process.pid;
	start_ns = event.process.start_ns;
	bpf_map_update_elem(&ended, &pid, &start_ns, BPF_ANY);
	send_control(HOOK_PROCESS_EXIT, &event, sizeof(event));
	return 0;
}

/* match-proto:v5.8:include/trace/events/cgroup.h:TP_PROTO(struct cgroup *cgrp, const char *path) */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_create, struct cgroup *cgroup, const char *path)
{
	struct capture_settings *settings = current_settings();
	struct cgroup_event *event;
	long length;

	/* Of the version 2 hierarchy, which has number 0. Outside of the targets, a pattern may mean it. */
	if (!settings || BPF_CORE_READ(cgroup, root, hierarchy_id) != 0 ||
	    !(settings->tell_cgroups || is_target(settings, cgroup)))
		return 0;
	event = bpf_ringbuf_reserve(&control, sizeof(*event), 0);
	if (!event) {
		count_loss(HOOK_CGROUP_CREATE, LOSS_CONTROL_RING_FULL, sizeof(*event));
		return 0;
	}
	event->kind = EVENT_CGROUP_CREATE;
	event->time_ns = bpf_ktime_get_ns();
	event->id = BPF_CORE_READ(cgroup, kn, id);
	length = bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
	/* One that fills the room may have been longer. */
	event->path_len = length > 0 && length < (long)sizeof(event->path) ? length - 1 : 0;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count_total(HOOK_CGROUP_CREATE, TOTAL_RECORDS, sizeof(*event));
	return 0;
}

#endif
