/* fuzz_yaml.c — whatever stands in a README, the answer is an error or JSON that can be read. */
#include "base/json.h"
#include "hub/card.h"
#include "hub/meta.h"
#include "hub/yaml_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str text = {(const char *)data, size}, json, key, value;
    struct front_matter f = front_matter_split(text);
    struct card_findings findings;
    const struct json *j;
    struct card card;

    require(f.yaml.len + f.body.len <= size);
    if (!yaml_to_json(a, text, 1, &json)) {
        require(!json_parse(a, json, &j));
        for (struct raw_iter it = raw_iter(json); raw_next(&it, &key, &value);)
            require(value.len > 0 && !json_parse(a, value, &j));
    }
    card_read(a, text, &card);
    require(!card.json.ptr || !json_parse(a, card.json, &j));
    require(!card.model_index.ptr || !json_parse(a, card.model_index, &j));
    card_check(a, text, size % 2, &findings);
    require(card_excerpt(a, text, 400).len <= 400);
    arena_free(a);
    return 0;
}
