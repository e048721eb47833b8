package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/build/elf"
)

var rule29n = rule{audit.Rule{
	ID: "CHG-2.9n", Title: "The program is static, or the image has all its libraries", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "A program that lacks a library does not start; one that has them all needs nothing else of a distribution.",
	Fix:      "Link statically (CGO_ENABLED=0), or choose the smallest base that has the libraries named here.",
	Evidence: "the programs and what they need",
}, func(c *check) {
	c.method = "needs of every ELF program followed as the loader would"
	img := &elf.Image{Files: map[string]*elf.Info{}, Resolve: c.resolve, MultiArch: multiArch[c.config.Architecture]}
	var unread []*entry
	for _, e := range c.sorted {
		if e.elf != nil {
			img.Files[e.path] = e.elf
		} else if e.isELF && e.size > maxELF {
			unread = append(unread, e)
		}
	}
	for _, e := range unread {
		c.add(audit.Finding{Verdict: audit.Unknown, Locator: c.at(e), Needs: fmt.Sprintf("a program of at most %d bytes: this one is not looked into", maxELF)})
	}
	lack := map[string][]string{}
	for _, m := range img.Check() {
		if f := img.Files[m.File]; f.Interp != "" {
			lack[m.File] = append(lack[m.File], m.Library)
		}
	}
	if len(lack) == 0 && len(unread) == 0 {
		c.pass("%d ELF files, and nothing that they need is missing", len(img.Files))
		return
	}
	main := c.entrypoint()
	var others []*entry
	for file, libraries := range lack {
		e := c.tree.files[file]
		if e == main {
			slices.Sort(libraries)
			c.add(audit.Finding{Verdict: audit.Fail, Locator: c.at(e), Observed: "the image lacks " + shorten(strings.Join(libraries, ", ")), Expected: "every library that the program needs"})
		} else {
			others = append(others, e)
		}
	}
	slices.SortFunc(others, func(a, b *entry) int { return strings.Compare(a.path, b.path) })
	c.files(audit.Warn, others, "every library that the program needs", func(e *entry) string {
		return "the image lacks " + shorten(strings.Join(lack[e.path], ", "))
	}, "")
}}

var multiArch = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "386": "i386-linux-gnu", "arm": "arm-linux-gnueabihf",
	"ppc64le": "powerpc64le-linux-gnu", "s390x": "s390x-linux-gnu", "riscv64": "riscv64-linux-gnu"}

// entrypoint is the file that the image starts, nil if there is none.
func (s *subject) entrypoint() *entry {
	argv := slices.Concat(s.config.Config.Entrypoint, s.config.Config.Cmd)
	if len(argv) == 0 {
		return nil
	}
	return s.program(argv[0])
}
