// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "base.h"
#include "checks.h"
#include "version.h"

/* For `glbctl doctor`: `module!` of the kernel crate has no field for it. */
MODULE_VERSION(GLB_VERSION);

/* --- per-CPU counters ------------------------------------------------------------------------------- */

/* A counter is read in one piece, and added to in one instruction: in any context. */
static_assert(sizeof(long) == sizeof(u64));

/* Zeroed; each CPU's begin at a cache line. No memory for them is an answer, not an emergency. */
u64 __percpu *glb_counters_alloc(size_t count)
{
	return (u64 __percpu *)__alloc_percpu_gfp(array_size(count, sizeof(u64)), SMP_CACHE_BYTES,
						  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

/* Bytes that they take, on all CPUs together. */
u64 glb_counters_bytes(size_t count)
{
	return (u64)round_up(array_size(count, sizeof(u64)), SMP_CACHE_BYTES) * num_possible_cpus();
}

/* May sleep; nobody may use them any more. */
void glb_counters_free(u64 __percpu *counters, size_t count)
{
	glb_percpu_end(counters, array_size(count, sizeof(u64)));
}

void glb_counters_add2(u64 __percpu *counters, size_t first, size_t second)
{
	this_cpu_inc(counters[first]);
	this_cpu_inc(counters[second]);
}

void glb_counters_sent(u64 __percpu *counters, size_t packets, size_t bytes_at, u64 bytes)
{
	this_cpu_inc(counters[packets]);
	this_cpu_add(counters[bytes_at], bytes);
}

void glb_counters_sent_with(u64 __percpu *counters, size_t packets, size_t bytes_at, u64 bytes,
			    u64 __percpu *others)
{
	this_cpu_inc(counters[packets]);
	this_cpu_add(counters[bytes_at], bytes);
	this_cpu_inc(others[0]);
	this_cpu_add(others[1], bytes);
}

void glb_counters_add(u64 __percpu *counters, size_t index, u64 value)
{
	this_cpu_add(counters[index], value);
}

u64 glb_counters_sum(u64 __percpu *counters, size_t index)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[index]);
	return sum;
}

/* --- memory, time and chance ------------------------------------------------------------------------- */

u64 glb_memory_available(void)
{
	long pages = si_mem_available();

	return pages > 0 ? (u64)pages << PAGE_SHIFT : 0;
}

/* Memory that is to be freed; its own first bytes are the link. */
static LLIST_HEAD(glb_dead);

static void glb_free_dead(struct work_struct *work)
{
	struct llist_node *dead = llist_del_all(&glb_dead);

	while (dead) {
		struct llist_node *next = dead->next;

		kvfree(dead);
		dead = next;
		cond_resched();
	}
}

static DECLARE_WORK(glb_free_work, glb_free_dead);

void glb_free_later(void *memory)
{
	llist_add(memory, &glb_dead);
	queue_work(system_dfl_wq, &glb_free_work);
}

void glb_free_wait(void)
{
	flush_work(&glb_free_work);
}

void glb_pause(void)
{
	cond_resched();
}

u64 glb_milliseconds(void)
{
	return jiffies64_to_msecs(get_jiffies_64());
}

/* Those of glb_milliseconds(), without a way over milliseconds where the two agree. */
u64 glb_seconds(void)
{
	if (MSEC_PER_SEC % HZ == 0)
		return div_u64(get_jiffies_64(), HZ);
	return div_u64(glb_milliseconds(), MSEC_PER_SEC);
}

void glb_random(void *bytes, size_t len)
{
	get_random_bytes(bytes, len);
}
