package image

import (
	"archive/tar"
	"fmt"
	"io/fs"

	"github.com/hardstand/hardstand/audit"
)

var rule29l = rule{audit.Rule{
	ID: "CHG-2.9l", Title: "The image has no set-id programs", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0008"},
	Why:      "A set-id program turns any user into its owner, mostly root.",
	Fix:      "Remove the program, or RUN chmod a-s on it in the stage that is copied from.",
	Evidence: "layer, path, mode and owner",
}, func(c *check) {
	c.method = "modes of the files of the final file system"
	list := c.matching(func(e *entry) bool { return e.kind == tar.TypeReg && e.mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 })
	c.files(audit.Fail, list, "no set-id bit", func(e *entry) string { return fmt.Sprintf("%v, owner %d:%d", e.mode, e.uid, e.gid) },
		fmt.Sprintf("none among %d files", len(c.sorted)))
}}
