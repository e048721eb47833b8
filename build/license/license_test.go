package license_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{})
}

const machine = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: example
`

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want license.Info
	}{
		"one":      {machine + "\nFiles: *\nCopyright: x\nLicense: Expat\n Permission is hereby granted.\n", license.Info{Names: []string{"Expat"}, Expression: "MIT"}},
		"of_whole": {machine + "License: GPL-2\n\nFiles: debian/*\nLicense: ISC\n", license.Info{Names: []string{"GPL-2", "ISC"}, Expression: "GPL-2.0-only AND ISC"}},
		"and_or": {machine + "\nFiles: *\nLicense: GPL-2+ or Artistic and ISC\n",
			license.Info{Names: []string{"Artistic", "GPL-2+", "ISC"}, Expression: "GPL-2.0-or-later OR (Artistic-1.0-Perl AND ISC)"}},
		"comma": {machine + "\nFiles: *\nLicense: GPL-2+ or Artistic, and ISC\n",
			license.Info{Names: []string{"Artistic", "GPL-2+", "ISC"}, Expression: "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND ISC"}},
		"alternatives_of_one_file": {machine + "\nFiles: a\nLicense: LGPL-2.1 or MPL-1.1\n\nFiles: b\nLicense: Zlib\n",
			license.Info{Names: []string{"LGPL-2.1", "MPL-1.1", "Zlib"}, Expression: "(LGPL-2.1-only OR MPL-1.1) AND Zlib"}},
		"terms_once": {machine + "\nFiles: a\nLicense: ISC and Expat\n\nFiles: b\nLicense: ISC and Zlib\n",
			license.Info{Names: []string{"Expat", "ISC", "Zlib"}, Expression: "ISC AND MIT AND Zlib"}},
		"exception": {machine + "\nFiles: *\nLicense: GPL-2+ with OpenSSL exception\n",
			license.Info{Names: []string{"GPL-2+ with OpenSSL exception"}, Expression: "LicenseRef-debian-GPL-2--with-OpenSSL-exception"}},
		"texts_elsewhere": {machine + "\nFiles: *\nLicense: GPL-3+\n\nLicense: BSD-3-clause\n the text of one that no file has\n",
			license.Info{Names: []string{"GPL-3+"}, Expression: "GPL-3.0-or-later"}},
		"prose": {"This is GCC. See /usr/share/common-licenses/GPL-3 and `/usr/share/common-licenses/LGPL-2.1'.\n",
			license.Info{Names: []string{"GPL-3", "LGPL-2.1", "unknown"}}},
		"format_but_no_licence": {machine + "\nFiles: *\nCopyright: x\n", license.Info{Names: []string{"unknown"}}},
		"empty":                 {"", license.Info{Names: []string{"unknown"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, license.Parse([]byte(tc.text))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(machine + "\nFiles: *\nLicense: GPL-2+ or Artistic, and ISC\n text\n"))
	f.Add([]byte("see /usr/share/common-licenses/GPL-3."))
	f.Fuzz(func(t *testing.T, data []byte) {
		info := license.Parse(data)
		if len(info.Names) == 0 {
			t.Error("a file without a single name")
		}
		if diff := cmp.Diff(info, license.Parse(data)); diff != "" {
			t.Error(diff)
		}
	})
}
