/* form.h — every form is data: one template and one pair of twins show them all.
 *
 * POST answers 303 to the next page, or 422 with the same form: values kept, what is wrong beside
 * the field and at the top.  Passwords are never sent back.
 */
#pragma once
#include "web/page.h"

enum field_type {
    FIELD_TEXT,
    FIELD_EMAIL,
    FIELD_PASSWORD,
    FIELD_AREA,
    FIELD_SELECT,
    FIELD_CHECK,
    FIELD_HIDDEN,
    FIELD_FILES, /* several, of a multipart form */
};
struct form_option {
    str value, label;
};
struct form_field {
    enum field_type type;
    const char *name, *label;
    const char *autocomplete; /* NULL: "off" */
    str value, help, bad;     /* bad: why this value does not do */
    bool required, checked;
    const struct form_option *options; /* of a select */
    size_t option_count;
};
#define FORM_FIELDS_MAX 16
struct form {
    str title, intro;   /* intro: a sentence or two; may be empty */
    str action;         /* address it is posted to */
    const char *submit; /* what the button says */
    bool danger, multipart;
    struct form_field fields[FORM_FIELDS_MAX];
    size_t count;
    str error;      /* what went wrong as a whole */
    str note;       /* what just happened, e.g. "Saved."; role=status */
    str program;    /* the command or request with which a program does the same */
    str form_token; /* set by form_reply */
    bool is_failed; /* 422 */
};

struct form_field *form_add(struct form *f, enum field_type type, const char *name,
                            const char *label, str value);
/* What was posted under this name, as a form or as JSON; ptr NULL when absent. */
str form_value(const struct req *r, const char *name);
/* Marks a field (or, when there is none of this name, the form) as wrong. */
void form_fail(struct form *f, const char *field, str why);
/* The form as a page; `nav` and `address` as in struct page.  A form inside a larger page uses the
 * template form_box and form_token of r->user instead. */
MUST err form_reply(struct req *r, struct form *f, str address);
void form_markdown(struct md *m, const struct form *f);
void form_json(struct json_out *j, const struct form *f);

/* 303.  `path` begins with '/'. */
MUST err form_done(struct req *r, str path);
/* A `next` that leads to this hub, or "/" ("//evil", "/\evil" and other sites do not). */
str form_next(str next);
