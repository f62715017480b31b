/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of what the code assumes about its callers. A shipped module does not contain them. Modules for the debug kernel
 * do, and so do modules that are built with `make modules CHECKS=1`, which run on any kernel.
 */
#ifndef _GLB_CHECKS_H
#define _GLB_CHECKS_H

#include <linux/bug.h>
#include <linux/delay.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#if defined(GLB_CHECKS) || defined(CONFIG_KASAN)
#define GLB_CHECKED 1
#define GLB_CHECK(condition) WARN_ON_ONCE(!(condition))
#else
#define GLB_CHECKED 0
#define GLB_CHECK(condition) ((void)sizeof(condition))
#endif

/* Per-CPU memory is this CPU's alone: bottom halves are off. */
#define GLB_CHECK_BH_OFF() GLB_CHECK(in_softirq())
/* Routes, devices, sockets and tables are looked at without references. */
#define GLB_CHECK_RCU() GLB_CHECK(rcu_read_lock_held() || rcu_read_lock_bh_held())

/*
 * Ends per-CPU memory of `size` bytes. KASAN does not see its use after its end, so here it is poisoned for a while: who
 * still reads it meets the poison, and who still writes to it leaves a trace. May sleep.
 */
static inline void glb_percpu_end(void __percpu *memory, size_t size)
{
	int cpu;

	if (GLB_CHECKED && memory) {
		for_each_possible_cpu(cpu)
			memset(per_cpu_ptr(memory, cpu), 0x6b, size);
		msleep(20);
		for_each_possible_cpu(cpu)
			GLB_CHECK(!memchr_inv(per_cpu_ptr(memory, cpu), 0x6b, size));
	}
	free_percpu(memory);
}

#endif /* _GLB_CHECKS_H */
