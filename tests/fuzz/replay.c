/* replay.c — runs a fuzz target over files and folders of inputs, without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 4u << 20, len;
    uint8_t *p;

    if (!f)
        return perror(path), 1;
    p = malloc(cap);
    if (!p)
        return fclose(f), 1;
    len = fread(p, 1, cap, f);
    fclose(f);
    LLVMFuzzerTestOneInput(p, len);
    free(p);
    return 0;
}

static int run(const char *path)
{
    struct stat st;
    struct dirent *e;
    DIR *d;
    int bad = 0;

    if (stat(path, &st) != 0)
        return 0; /* a target without a corpus yet */
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    d = opendir(path);
    while (d && (e = readdir(d))) {
        char name[4096];

        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        bad |= run(name);
    }
    if (d)
        closedir(d);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++)
        bad |= run(argv[i]);
    return bad;
}
