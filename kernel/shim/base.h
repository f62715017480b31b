/* SPDX-License-Identifier: GPL-2.0 */
/* Per-CPU counters, memory, time and chance. */
#ifndef _GLB_BASE_H
#define _GLB_BASE_H

#include <linux/types.h>

/* Per-CPU arrays of 64-bit counters. */
u64 __percpu *glb_counters_alloc(size_t count);
u64 glb_counters_bytes(size_t count);
void glb_counters_free(u64 __percpu *counters, size_t count);
void glb_counters_add2(u64 __percpu *counters, size_t first, size_t second);
/* A packet that was sent, and its bytes; and the same of `others`, whose first two are packets and bytes. */
void glb_counters_sent(u64 __percpu *counters, size_t packets, size_t bytes_at, u64 bytes);
void glb_counters_sent_with(u64 __percpu *counters, size_t packets, size_t bytes_at, u64 bytes,
			    u64 __percpu *others);
void glb_counters_add(u64 __percpu *counters, size_t index, u64 value);
u64 glb_counters_sum(u64 __percpu *counters, size_t index);

/* Bytes that could be had without swapping. */
u64 glb_memory_available(void);

/* Frees memory of kvmalloc, of a pointer's size at least, in a worker; any context. */
void glb_free_later(void *memory);
/* Returns when all of it is free; may sleep. To be called before the module goes. */
void glb_free_wait(void);

/* Lets other tasks run; process context. */
void glb_pause(void);

/* Time and chance. */
u64 glb_milliseconds(void);
u64 glb_seconds(void);
void glb_random(void *bytes, size_t len);

#endif /* _GLB_BASE_H */
