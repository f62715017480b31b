/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GLB_TESTDEV_SHAPE_H
#define GLB_TESTDEV_SHAPE_H

#include <linux/skbuff.h>

#include "spec.h"

/* Makes the buffer that a driver, or GRO after it, would pass to the stack. May sleep. */
struct sk_buff *glb_shape(struct net_device *dev, const struct glb_spec *spec);

#endif
