package config

import "bytes"

// Clean removes what names a Go program's origin from a copy of it: the build
// information that `go version` reads, the import paths of this project and
// the names of the runtime's functions. They serve tracebacks, which a decoy
// never prints. Lengths do not change. The beginning of an alarm remains.
func Clean(program []byte) []byte {
	out := bytes.Clone(program)
	if at := bytes.Index(out, []byte("\xff Go buildinf:")); at >= 0 {
		end := min(len(out), at+buildInfoHeader)
		if last := bytes.Index(out[at:], []byte(buildInfoEnd)); last >= 0 && last < maxBuildInfo {
			end = at + last + len(buildInfoEnd)
		}
		clear(out[at:end])
	}
	for _, name := range []struct{ old, with string }{
		{"github.com/hardstand/hardstand", "src/internal/platform/portable"},
		{"/multicall", "/processor"},
		{"/canary/", "/common/"},
		{"/decoy/", "/shell/"},
		{"runtime.", "support."},
		{"runtime/", "support/"},
	} {
		replace(out, name.old, name.with)
	}
	return out
}

const (
	buildInfoHeader = 32
	maxBuildInfo    = 16 << 10
	// buildInfoEnd closes the module information (debug.BuildInfo, modload).
	buildInfoEnd = "\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2"
)

// replace overwrites every occurrence; both texts have the same length.
func replace(b []byte, old, with string) {
	for {
		at := bytes.Index(b, []byte(old))
		if at < 0 {
			return
		}
		copy(b[at:], with)
		b = b[at+len(old):]
	}
}
