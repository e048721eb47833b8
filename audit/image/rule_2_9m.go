package image

import (
	"archive/tar"
	"io/fs"

	"github.com/hardstand/hardstand/audit"
)

var rule29m = rule{audit.Rule{
	ID: "CHG-2.9m", Title: "Nothing in the image may be written by everybody", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "What everybody may write, an intruder replaces, whichever account was taken.",
	Fix:      "COPY --chmod=0644 (0755 for programs and directories); shared directories need the sticky bit, as /tmp has.",
	Evidence: "layer, path and mode",
}, func(c *check) {
	c.method = "modes of the files and directories of the final file system"
	list := c.matching(func(e *entry) bool {
		switch e.kind {
		case tar.TypeReg:
			return e.mode&0o002 != 0
		case tar.TypeDir:
			return e.mode&0o002 != 0 && e.mode&fs.ModeSticky == 0
		}
		return false
	})
	c.files(audit.Fail, list, "not writable by others", func(e *entry) string { return e.mode.String() }, "none")
}}
