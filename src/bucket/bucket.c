/* bucket.c — life cycle of buckets: create, info, list, settings, delete. */
#include "bucket/bucket.h"
