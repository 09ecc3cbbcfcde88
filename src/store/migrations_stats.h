/* migrations_stats.h — the .sql files of migrations/stats-*, in order. */
#pragma once
#include "base/embedded.h"
extern const struct embedded migrations_stats[];
extern const unsigned long migrations_stats_count;
