/* static_files.h — the files of static/, made by tools/embed. */
#pragma once
#include "base/embedded.h"

extern const struct embedded static_files[];
extern const unsigned long static_files_count;
