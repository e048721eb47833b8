package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule21a = rule{audit.Rule{
	ID: "CHG-2.1a", Title: "COPY, not ADD", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3020", "CIS-DI-0009", "DS-0005"},
	Why:      "ADD also downloads and unpacks, which a reader does not see and an attacker can use; COPY does only what it says.",
	Fix:      "Write COPY. For a download write ADD --checksum=sha256:... URL, for a repository ADD https://host/repo.git#<commit>.",
	Evidence: "line and sources",
}, func(c *check) {
	copies := 0
	c.each(func(in *instr) {
		if in.name == "COPY" {
			copies++
		}
		add, ok := in.cmd.(*instructions.AddCommand)
		if !ok {
			return
		}
		for _, src := range add.SourcePaths {
			c.added(in, add, c.expand(src, environment(in.stage.env)))
		}
	})
	c.held = fmt.Sprintf("%d COPY, no unverified ADD", copies)
}}

func (c *check) added(in *instr, add *instructions.AddCommand, src string) {
	switch {
	case remoteSource(src) && gitSource(src):
		if !pinnedGit(src) && !commitID(add.Checksum) {
			c.fail(spot{in: in, observed: "ADD of a repository without a commit: " + src, expected: "the full commit id behind #"})
		}
	case remoteSource(src):
		if add.Checksum == "" {
			c.fail(spot{in: in, observed: "ADD downloads " + src + " without --checksum", expected: "ADD --checksum=sha256:..."})
		}
	case archive(src):
		c.warn(spot{in: in, observed: "ADD unpacks " + src, expected: "COPY, and unpack in a build stage"})
	default:
		c.fail(spot{in: in, observed: "ADD " + src, expected: "COPY " + src, fix: "Replace ADD by COPY."})
	}
}

func remoteSource(src string) bool {
	return strings.HasPrefix(src, "http://") || strings.HasPrefix(src, "https://") || strings.HasPrefix(src, "ftp://") || gitSource(src)
}

func gitSource(src string) bool {
	url, _, _ := strings.Cut(src, "#")
	url, _, _ = strings.Cut(url, "?")
	return strings.HasPrefix(src, "git@") || strings.HasPrefix(src, "git://") || strings.HasPrefix(src, "ssh://") || strings.Contains(url, "://") && strings.HasSuffix(url, ".git")
}

func pinnedGit(src string) bool {
	rest, ref, _ := strings.Cut(src, "#")
	ref, _, _ = strings.Cut(ref, ":")
	if commitID(ref) {
		return true
	}
	// BuildKit's query form: what "checksum" or its alias says has to be there.
	_, query, _ := strings.Cut(rest, "?")
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if (key == "checksum" || key == "commit") && commitID(value) {
			return true
		}
	}
	return false
}

// commitID reports whether a text is a full commit id.
func commitID(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == ""
}

func archive(src string) bool {
	for _, ext := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"} {
		if strings.HasSuffix(src, ext) {
			return true
		}
	}
	return false
}
