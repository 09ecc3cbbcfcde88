/* defaults.h — the files of a fresh repository. */
#pragma once
#include "store/repo.h"

str default_gitattributes(struct arena *a, enum repo_kind kind);
