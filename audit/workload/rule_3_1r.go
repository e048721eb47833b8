package workload

import (
	"fmt"
	"github.com/hardstand/hardstand/audit"
	"strings"
)

var rule31r = rule{Rule: audit.Rule{
	ID: "CHG-3.1r", Title: "What may be written is small, and nothing in it can be executed", Severity: audit.Low, Since: 1, Kinds: kindsAll,

	Why:      "A writable place without limits fills the node's memory or disk; one that allows execution is where intruders put their tools.",
	Fix:      "tmpfs: /tmp:rw,noexec,nosuid,nodev,size=64m; emptyDir: {medium: Memory, sizeLimit: 64Mi}; EFS with transit encryption.",
	Evidence: "the mount and its options",
}, each: func(c *check, k *container) {
	broken := false
	for _, m := range k.mounts {
		if fault := m.fault(); fault != "" {
			broken = true
			c.warn(k, m.at, shorten(m.target)+": "+fault, "noexec, nosuid, nodev and a size; encryption for network file systems")
		}
	}
	if !broken {
		c.pass(k, k.at, fmt.Sprintf("%d mounts", len(k.mounts)))
	}
}}

func (m mount) fault() string {
	if m.kind == "nfs" {
		return "a network file system without encryption in transit"
	}
	if m.kind != "tmpfs" || m.readOnly {
		return ""
	}
	var lacks []string
	if !m.bounded {
		lacks = append(lacks, "size")
	}
	// Docker adds noexec, nosuid and nodev by itself where nothing is said of
	// them.
	for _, o := range strings.Split(m.options, ",") {
		if !m.fixed && (o == "exec" || o == "suid" || o == "dev") {
			lacks = append(lacks, "no"+o)
		}
	}
	if len(lacks) == 0 {
		return ""
	}
	return "it lacks " + strings.Join(lacks, ", ")
}
