/* git_odb_test.c — see git/odb.h, git/odb_mem.h, git/oid.h. */
#include "base/buf.h"
#include "git_fixture.h"

static void test_names(void **state)
{
    FIXTURE f = fixture_new();

    (void)state;
    check_str(sha1_hex(f.a, obj_id(OBJ_BLOB, STR("hello\n"))),
              "ce013625030ba8dba906f756967f9e9ca394464a");
    check_str(sha1_hex(f.a, obj_id(OBJ_TREE, STR_NONE)),
              "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    assert_true(sha1_eq(oid_empty_tree, obj_id(OBJ_TREE, STR_NONE)));
}

static void test_read_write(void **state)
{
    FIXTURE f = fixture_new();
    struct odb_mem *over = odb_mem_new(f.odb);
    struct odb *o = odb_mem_odb(over);
    enum obj_type type;
    uint64_t size;
    bool found;
    oid x, y;
    str data;

    (void)state;
    x = put_blob(&f, "below");
    check_ok(odb_write(o, f.a, OBJ_BLOB, STR("above"), &y));
    check_ok(odb_write(o, f.a, OBJ_BLOB, STR("above"), &y));
    assert_int_equal(odb_mem_count(over), 1);
    check_ok(odb_read(o, f.a, x, OBJ_BLOB, &data));
    check_str(data, "below");
    check_ok(odb_header(o, f.a, y, &type, &size, &found));
    assert_true(found && type == OBJ_BLOB && size == 5);
    check_ok(odb_find(f.odb, f.a, y, &type, &data, &found));
    assert_false(found);
    check_fails(odb_read(f.odb, f.a, y, OBJ_BLOB, &data), 500);
    check_fails(odb_read(o, f.a, y, OBJ_TREE, &data), 500);
    odb_mem_free(over);
}

static void test_large_comes_in_parts(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf text = BUF(2u << 20), joined = BUF(2u << 20);
    struct odb_part part;
    uint32_t random = 1;
    oid id;
    str back;

    (void)state;
    while (text.len < 700000) { /* hard to pack, so that it stays large */
        random = random * 1664525 + 1013904223;
        buf_addc(&text, (char)(random >> 24));
    }
    check_ok(odb_write(f.odb, f.a, OBJ_BLOB, buf_str(&text), &id));
    for (unsigned i = 0;; i++) {
        check_ok(odb_stored(f.odb, f.a, id, i, &part));
        assert_true(part.bytes.len <= ODB_PART);
        buf_add(&joined, part.bytes);
        if (part.is_last)
            break;
    }
    assert_true(joined.len > 2 * ODB_PART);
    assert_true(obj_inflate(f.a, buf_str(&joined), text.len, &back));
    assert_true(str_eq(back, buf_str(&text)));
}

static void test_inflate_is_exact(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf zeros = BUF(1u << 20), packed = BUF(1u << 20);
    str back = STR("untouched");

    (void)state;
    memset(buf_room(&zeros, 500000), 0, 500000);
    zeros.len = 500000;
    obj_deflate(buf_str(&zeros), &packed);
    assert_true(packed.len < 5000); /* a small bomb */
    assert_false(obj_inflate(f.a, buf_str(&packed), 499999, &back));
    assert_false(obj_inflate(f.a, buf_str(&packed), 500001, &back));
    assert_false(obj_inflate(f.a, buf_str(&packed), 0, &back));
    assert_false(obj_inflate(f.a, str_first(buf_str(&packed), packed.len - 1), 500000, &back));
    check_str(back, "untouched");
    buf_addc(&packed, 'x');
    assert_false(obj_inflate(f.a, buf_str(&packed), 500000, &back));
    packed.len--;
    assert_true(obj_inflate(f.a, buf_str(&packed), 500000, &back));
    assert_false(obj_inflate(f.a, STR("no zlib stream"), 3, &back));
    buf_clear(&packed);
    obj_deflate(STR_NONE, &packed);
    assert_true(obj_inflate(f.a, buf_str(&packed), 0, &back));
    assert_int_equal(back.len, 0);
}

static void test_containers(void **state)
{
    AUTO_OID_MAP struct oid_map m = {0};
    AUTO_OIDS struct oid_list l = {0};

    (void)state;
    assert_null(oid_map_get(&m, OID_ZERO));
    for (uint32_t i = 0; i < 5000; i++) {
        oid id = {{0}};
        bool is_new;

        memcpy(id.b + 8, &i, sizeof i); /* all begin alike */
        *oid_map_put(&m, id, &is_new) = i;
        assert_true(is_new);
        oid_list_add(&l, id);
    }
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(*oid_map_get(&m, l.ids[i]), i);
    assert_false(oid_set_add(&m, l.ids[7]));
    assert_false(oid_set_has(&m, oid_empty_tree));
    assert_int_equal(m.count, 5000);
    oid_list_reverse(&l);
    assert_int_equal(*oid_map_get(&m, l.ids[0]), 4999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_large_comes_in_parts),
        cmocka_unit_test(test_inflate_is_exact),
        cmocka_unit_test(test_containers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
