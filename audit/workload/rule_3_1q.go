package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule31q = rule{Rule: audit.Rule{
	ID: "CHG-3.1q", Title: "The root file system is read-only", Severity: audit.High, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0014", "container-security-context-readonlyrootfilesystem", "ECS.5"},
	Why:      "An intruder who cannot write brings no tools along and changes no program.",
	Fix:      "readOnlyRootFilesystem: true; read_only: true; --read-only; with tmpfs where the program writes.",
	Evidence: "the setting of each container, init and ephemeral ones included",
}, each: func(c *check, k *container) {
	c.want(k, k.readOnly, "true", "a read-only root file system")
}}
