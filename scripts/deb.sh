#!/bin/sh
# deb.sh — builds build-deb/hearth_VERSION_ARCH.deb from packaging/debian/, with dpkg-deb alone.
#
# Dependencies are what dpkg-shlibdeps reads from the program. The same tree gives the same package.
set -eu
cd "$(dirname "$0")/.."
umask 022

here=packaging/debian
root=build-deb/root
version=$(sed -n "s/^project(.* version: '\([^']*\)'.*/\1/p" meson.build)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y meson.build)}
export SOURCE_DATE_EPOCH

[ -f build-deb/build.ninja ] || meson setup build-deb --prefix=/usr -Dstrip=true
ninja -C build-deb src/hearth
rm -rf "$root" build-deb/debian
DESTDIR=$PWD/$root meson install -C build-deb --no-rebuild >build-deb/install.txt

put() # put MODE FILE TARGET
{
    install -D -m "$1" "$2" "$root$3"
}

# hearth.conf: every setting of the program, commented out with its default.
{
    cat $here/conf-head
    "$root/usr/bin/hearth" serve --help | awk '
        /^  --/ && $1 != "--data" && $0 !~ /for measurements/ {
            name = substr($1, 3); gsub("-", "_", name)
            match($0, /\([^()]*\)$/); value = substr($0, RSTART + 1, RLENGTH - 2); gsub("\"", "", value)
            text = substr($0, 1, RSTART - 2); sub(/^ *[^ ]+ */, "", text)
            printf "\n# %s\n#%s =%s\n", text, name, value == "" ? "" : " " value
        }'
} >build-deb/hearth.conf
put 644 build-deb/hearth.conf /etc/hearth/hearth.conf
put 644 $here/hearth.service /lib/systemd/system/hearth.service

for file in docs/access.md docs/guide/*; do
    put 644 "$file" "/usr/share/doc/hearth/${file##*/}"
done
put 644 LICENSE /usr/share/doc/hearth/copyright
put 644 packaging/hearth.1 /usr/share/man/man1/hearth.1
gzip -9n "$root/usr/share/man/man1/hearth.1"
if [ -f CHANGELOG.md ]; then
    put 644 CHANGELOG.md /usr/share/doc/hearth/changelog
    gzip -9n "$root/usr/share/doc/hearth/changelog"
fi

# dpkg-shlibdeps wants a source package around it: two lines are enough.
mkdir -p build-deb/debian
printf 'Source: hearth\n\nPackage: hearth\nArchitecture: any\n' >build-deb/debian/control
libraries=$(cd build-deb && dpkg-shlibdeps -O root/usr/bin/hearth 2>shlibdeps.txt | sed 's/^shlibs:Depends=//')
arch=$(dpkg --print-architecture)

mkdir "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SHLIBS@/$libraries/" \
    -e "s/@SIZE@/$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)/" $here/control >"$root/DEBIAN/control"
put 644 $here/conffiles /DEBIAN/conffiles
for script in postinst prerm postrm; do
    put 755 "$here/$script" "/DEBIAN/$script"
done
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\n' | LC_ALL=C sort | xargs md5sum) \
    >build-deb/md5sums
put 644 build-deb/md5sums /DEBIAN/md5sums

dpkg-deb --root-owner-group --build "$root" build-deb >build-deb/package.txt
echo "build-deb/hearth_${version}_$arch.deb"
