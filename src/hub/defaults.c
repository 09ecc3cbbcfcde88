/* defaults.c — .gitattributes of a fresh repository (hub-api.md 5.5). */
#include "hub/defaults.h"
#include "base/buf.h"

#define LFS " filter=lfs diff=lfs merge=lfs -text\n"

static const char *const common[] = {"*.7z",          "*.arrow",
                                     "*.bin",         "*.bz2",
                                     "*.ckpt",        "*.ftz",
                                     "*.gz",          "*.h5",
                                     "*.joblib",      "*.lfs.*",
                                     "*.mlmodel",     "*.model",
                                     "*.msgpack",     "*.npy",
                                     "*.npz",         "*.onnx",
                                     "*.ot",          "*.parquet",
                                     "*.pb",          "*.pickle",
                                     "*.pkl",         "*.pt",
                                     "*.pth",         "*.rar",
                                     "*.safetensors", "saved_model/**/*",
                                     "*.tar.*",       "*.tar",
                                     "*.tflite",      "*.tgz",
                                     "*.wasm",        "*.xz",
                                     "*.zip",         "*.zst",
                                     "*tfevents*"};

static const char *const for_datasets[] = {"*.avro",
                                           "*.lz4",
                                           "*.mds",
                                           "# Audio files - uncompressed",
                                           "*.pcm",
                                           "*.sam",
                                           "*.raw",
                                           "# Audio files - compressed",
                                           "*.aac",
                                           "*.flac",
                                           "*.mp3",
                                           "*.ogg",
                                           "*.wav",
                                           "# Image files - uncompressed",
                                           "*.bmp",
                                           "*.gif",
                                           "*.png",
                                           "*.tiff",
                                           "# Image files - compressed",
                                           "*.jpg",
                                           "*.jpeg",
                                           "*.webp",
                                           "# Video files",
                                           "*.mp4",
                                           "*.webm"};

static void add(struct buf *b, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_add(b, str_c(lines[i]));
        buf_add(b, lines[i][0] == '#' ? STR("\n") : STR(LFS));
    }
}

str default_gitattributes(struct arena *a, enum repo_kind kind)
{
    AUTO_BUF struct buf b = BUF(16384);

    add(&b, common, sizeof common / sizeof *common);
    if (kind == REPO_DATASET)
        add(&b, for_datasets, sizeof for_datasets / sizeof *for_datasets);
    return arena_str(a, buf_str(&b));
}
