/* templates.h — the functions that tools/template makes of templates/: each writes to `out`. */
#pragma once
#include "web/page.h"
#include <string.h>

/* layout.html */
void layout_begin(struct buf *out, const struct page_frame *f);
void nav_link(struct buf *out, const struct page_frame *f, const char *word, const char *label);
void layout_end(struct buf *out, const struct page_frame *f);

/* home.html */
struct home;
struct repo_rows;
void home_page(struct buf *out, const struct home *v);
void home_connect(struct buf *out, const struct home *v);
void home_section(struct buf *out, const struct repo_rows *rows, const char *all, str author);

/* error.html */
struct error_view;
void error_page(struct buf *out, const struct error_view *v);

/* form.html */
struct form;
struct form_field;
void form_page(struct buf *out, const struct form *f);
void form_box(struct buf *out, const struct form *f);
void form_field(struct buf *out, const struct form_field *x);
void form_input(struct buf *out, const struct form_field *x);
void form_help(struct buf *out, const struct form_field *x);
void form_marks(struct buf *out, const struct form_field *x); /* form.c */

/* settings.html */
struct settings_view;
void settings_page(struct buf *out, const struct settings_view *v);
void settings_tab(struct buf *out, const struct settings_view *v, const char *tab,
                  const char *label);

/* rows.html: what several pages show */
void repo_rows(struct buf *out, const struct repo_rows *v);
