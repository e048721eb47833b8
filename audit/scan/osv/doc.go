// Package osv reads vulnerability databases in the OSV format, offline: a
// directory, a zip, an index built beforehand, an HTTP mirror or an OCI
// artefact. It answers which entries name a package and whether one of them
// affects a version. It fails closed: a database that is missing, truncated,
// not the one that was asked for, or silent about an ecosystem is an error and
// never an empty answer.
//
// Formats: the OSV schema 1.7 (https://ossf.github.io/osv-schema/) and the
// layout of its exports, <Ecosystem>/all.zip with one JSON file an entry.
package osv

import "strings"

// Limits on what a database may hold.
const (
	MaxFile    = 1 << 30   // bytes of one zip or index file
	MaxEntry   = 32 << 20  // bytes of one entry, unpacked
	MaxTotal   = 8 << 30   // bytes of all entries, unpacked
	MaxEntries = 2_000_000 // entries of one database file
)

// Parent cuts the release off an ecosystem: "Debian" of "Debian:13".
func Parent(ecosystem string) string {
	parent, _, _ := strings.Cut(ecosystem, ":")
	return parent
}

// Covers reports whether an entry's ecosystem speaks about an installed one.
// An entry without a release is about all of them, and Ubuntu marks its
// long-term releases: "Ubuntu:24.04:LTS" covers "Ubuntu:24.04".
func Covers(entry, installed string) bool {
	return entry == installed || entry == Parent(installed) || strings.TrimSuffix(entry, ":LTS") == installed
}
