package license

import "strings"

// listed maps short names, in lower case, to the identifiers of the SPDX list.
var listed = map[string]string{
	"apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "artistic": "Artistic-1.0-Perl", "artistic-2.0": "Artistic-2.0",
	"bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause", "bsl-1.0": "BSL-1.0",
	"cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "cc-by-3.0": "CC-BY-3.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-4.0": "CC-BY-SA-4.0",
	"cddl-1.0": "CDDL-1.0", "expat": "MIT", "mit": "MIT", "ftl": "FTL", "gfdl-1.3": "GFDL-1.3-only", "gfdl-1.3+": "GFDL-1.3-or-later",
	"isc": "ISC", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "openssl": "OpenSSL", "psf-2": "PSF-2.0", "python-2.0": "Python-2.0",
	"unicode-3.0": "Unicode-3.0", "unlicense": "Unlicense", "zlib": "Zlib", "w3c": "W3C", "wtfpl": "WTFPL",
}

// gnu are the families whose versions SPDX writes with -only and -or-later.
var gnu = map[string][]string{"agpl": {"3"}, "gpl": {"1", "2", "3"}, "lgpl": {"2", "2.1", "3"}}

// SPDX gives the SPDX identifier of a licence's short name, or a LicenseRef
// made of the name where SPDX lists none.
func SPDX(name string) string {
	lower := strings.ToLower(name)
	if id, ok := listed[lower]; ok {
		return id
	}
	for family, versions := range gnu {
		rest, ok := strings.CutPrefix(lower, family+"-")
		if !ok {
			continue
		}
		version, later := strings.CutSuffix(rest, "+")
		version = strings.TrimSuffix(version, ".0")
		for _, v := range versions {
			if version != v {
				continue
			}
			if !strings.Contains(v, ".") {
				v += ".0"
			}
			suffix := "-only"
			if later {
				suffix = "-or-later"
			}
			return strings.ToUpper(family) + "-" + v + suffix
		}
	}
	return Ref(name)
}

// RefPrefix starts the identifiers of licences that SPDX does not list.
const RefPrefix = "LicenseRef-debian-"

// Ref makes a LicenseRef of a name: letters, digits, "." and "-".
func Ref(name string) string {
	return RefPrefix + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, name[:min(len(name), 100)])
}
