package elf

import (
	"path"
	"strings"
)

// suppliers are packages whose libraries have other names, by the libraries'
// names up to ".so". Names end as in Debian 12; Debian 13 has "t64" after some.
var suppliers = map[string]string{
	"libc": "libc6", "libm": "libc6", "libmvec": "libc6", "libdl": "libc6", "libpthread": "libc6", "librt": "libc6", "libresolv": "libc6",
	"libutil": "libc6", "libanl": "libc6", "libnsl_compat": "libc6", "libnss_files": "libc6", "libnss_dns": "libc6", "libthread_db": "libc6",
	"libz": "zlib1g", "libcrypto": "libssl", "libssl": "libssl", "libjpeg": "libjpeg62-turbo", "libharfbuzz": "libharfbuzz0b", "libxml2": "libxml2",
	"libglib-2.0": "libglib2.0-0", "libgobject-2.0": "libglib2.0-0", "libgio-2.0": "libglib2.0-0", "libgmodule-2.0": "libglib2.0-0", "libgthread-2.0": "libglib2.0-0",
	"libform": "libncurses6", "libmenu": "libncurses6", "libpanel": "libncurses6", "libformw": "libncursesw6", "libmenuw": "libncursesw6", "libpanelw": "libncursesw6",
	"libtic": "libtinfo6", "libhistory": "libreadline8", "libpam": "libpam0g", "libpam_misc": "libpam0g", "libpamc": "libpam0g",
	"libicudata": "libicu", "libicui18n": "libicu", "libicuio": "libicu", "libicutu": "libicu", "libicuuc": "libicu",
	"libxslt": "libxslt1.1", "libexslt": "libxslt1.1", "libvorbis": "libvorbis0a", "libpulse-simple": "libpulse0", "libunwind-x86_64": "libunwind8", "libgmpxx": "libgmpxx4ldbl",
}

// Package names the Debian package that ships a library: the exceptions above,
// else the convention of Debian Policy 8.1, by which libgcc_s.so.1 is in
// libgcc-s1.
func Package(library string) string {
	name, version, ok := strings.Cut(path.Base(library), ".so")
	if !ok {
		return "that ships " + library
	}
	version = strings.TrimPrefix(version, ".")
	known := suppliers[name]
	switch {
	case strings.HasPrefix(name, "ld-linux") || name == "ld64":
		return "libc6"
	case known == "libssl" || known == "libicu":
		return known + version
	case known != "":
		return known
	case strings.HasPrefix(name, "libpython3."):
		return name
	}
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	if version != "" && name != "" && name[len(name)-1] >= '0' && name[len(name)-1] <= '9' {
		name += "-"
	}
	return name + version
}
