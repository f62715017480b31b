/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads: the C that the plugin meets. */
#include <stdio.h>
#include <xtables.h>
#include "xt_GLBREDIRECT.h"
