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

/* repo_head.html */
struct crumbs;
struct repo_head;
void repo_header(struct buf *out, const struct repo_head *h);
void repo_tab(struct buf *out, const struct repo_head *h, const char *tab, const char *tail,
              const char *label);
void crumb_line(struct buf *out, const struct crumbs *c);

/* tree.html */
struct ref_names;
struct tree_row;
struct tree_view;
void tree_page(struct buf *out, const struct tree_view *v);
void tree_line(struct buf *out, const struct tree_row *row);
void ref_picker(struct buf *out, const struct repo_head *h, const struct ref_names *refs,
                const char *page);

/* blob.html */
struct blob_view;
void blob_page(struct buf *out, const struct blob_view *v);
void blob_lines(struct buf *out, const struct blob_view *v); /* blob.c */

/* commits.html */
struct commit_view;
struct commits_view;
struct diff_file;
struct diff_view;
struct refs_view;
void commits_page(struct buf *out, const struct commits_view *v);
void commit_page(struct buf *out, const struct commit_view *v);
void diff_box(struct buf *out, const struct diff_view *v);
void diff_lines(struct buf *out, const struct diff_file *f); /* diff.c */
void refs_page(struct buf *out, const struct repo_head *h, const struct refs_view *v);
void refs_rows(struct buf *out, const struct refs_view *v); /* commits.c */
void ref_line(struct buf *out, const struct repo_head *h, str name, str rev, str commit);

/* pulls.html */
struct pull_view;
struct pulls_view;
void pulls_page(struct buf *out, const struct pulls_view *v);
void pull_page(struct buf *out, const struct pull_view *v);

/* list.html */
struct facet_group;
struct list_view;
void list_page(struct buf *out, const struct list_view *v);
void list_form(struct buf *out, const struct list_view *v);
void list_sort(struct buf *out, const struct list_view *v, const char *value, const char *label);
void facet_box(struct buf *out, const struct facet_group *g);

/* card.html */
struct card_view;
struct fact;
void card_page(struct buf *out, const struct card_view *v);
void fact_line(struct buf *out, const struct fact *f);

/* profile.html */
struct profile_tab;
struct profile_view;
void profile_page(struct buf *out, const struct profile_view *v);
void profile_link(struct buf *out, const struct profile_tab *t);

/* rows.html: what several pages show */
void repo_rows(struct buf *out, const struct repo_rows *v);
