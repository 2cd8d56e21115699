/* Private to gpu/: where op.c and memory.c tell time.c what runs. All of it does nothing while it is off. */
#ifndef LETHE_GPU_TIME_OWN_H
#define LETHE_GPU_TIME_OWN_H

#include "gpu/cost.h"
#include "gpu/time.h"
#include "gpu/vk.h"

/* Before record_begin: may run what was recorded, to make room for more stamps. */
MUST_USE int timer_room(struct gpu *g, struct status *st);
/* Around the one command between record_begin and record_end. Only the first part of a call counts it. */
MUST_USE int timer_start(struct gpu *g, VkCommandBuffer commands, const char *name,
                         const struct op_cost *cost, bool first, struct status *st);
void timer_stop(struct gpu *g, VkCommandBuffer commands);

#endif
