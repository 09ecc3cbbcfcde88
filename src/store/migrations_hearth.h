/* migrations_hearth.h — the .sql files of migrations/hearth-*, in order. */
#pragma once
#include "base/embedded.h"
extern const struct embedded migrations_hearth[];
extern const unsigned long migrations_hearth_count;
