/* yaml_json.h — the front matter of a card as JSON.
 *
 * Pure functions.  Scalars follow the core schema of YAML 1.2, as js-yaml does: `no`, `on` and
 * 2024-01-01 are strings, quoted scalars always are.  Duplicate keys: the last one wins.  Anchors
 * and aliases are expanded within a budget; merge keys are ordinary keys.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define YAML_MAX_BYTES (1u << 20)  /* of one document */
#define YAML_MAX_DEPTH 64          /* as deep as json_parse reads */
#define YAML_MAX_NODES 100000      /* of one document, expanded aliases included */
#define YAML_MAX_ANCHORS 1000      /* of one document */
#define YAML_MAX_OUTPUT (4u << 20) /* bytes of JSON */

struct front_matter {
    bool is_there;       /* false: the text has no front matter and `body` is all of it */
    str yaml;            /* between the two lines of dashes; may be empty */
    str body;            /* what follows the second one */
    unsigned first_line; /* line number of the first line of `yaml` in the text, from 1 */
};
/* Splits a README.  A byte order mark, blank lines before the dashes and CRLF are fine. */
struct front_matter front_matter_split(str text);

/* The JSON text of one YAML document; "null" for an empty one.  Fails with 400 and a sentence that
 * names line and column, counted from `first_line`. */
MUST err yaml_to_json(struct arena *a, str yaml, unsigned first_line, str *ret);
