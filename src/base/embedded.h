/* embedded.h — files built into the program by tools/embed. */
#pragma once
struct embedded {
    const char *name;
    const char *bytes; /* a NUL follows */
    unsigned long len;
};
