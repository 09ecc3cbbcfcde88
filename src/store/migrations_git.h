/* migrations_git.h — the .sql files of migrations/git-*, in order. */
#pragma once
#include "base/embedded.h"
extern const struct embedded migrations_git[];
extern const unsigned long migrations_git_count;
