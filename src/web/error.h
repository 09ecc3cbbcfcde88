/* error.h — what an error page shows. */
#pragma once
#include "base/str.h"

struct error_view {
    int status;
    str text, request_id;
};
