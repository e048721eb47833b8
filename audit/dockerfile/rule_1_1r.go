package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11r = rule{audit.Rule{
	ID: "CHG-1.1r", Title: "A pipe fails when its first command fails", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL4006"},
	Why:      "Without pipefail a failed download on the left of a pipe goes unnoticed, and the build goes on with nothing.",
	Fix:      `Add SHELL ["/bin/bash", "-o", "pipefail", "-c"], or begin the RUN with set -o pipefail where the shell knows it.`,
	Evidence: "line and the command left of the pipe",
}, func(c *check) {
	c.held = "no pipe hides a failed download or archive"
	c.each(func(in *instr) {
		s := c.script(in)
		if c.pipefail(in, s) {
			return
		}
		for _, p := range s.pipes {
			if fallible(p.from) {
				c.warn(spot{in: in, observed: p.from.name + " | " + p.to.name + " without pipefail", expected: "set -o pipefail, or two commands joined by &&"})
				return
			}
		}
	})
}}

// fallible reports whether a command's failure would be missed: it fetches,
// decrypts or unpacks, where an empty result looks like success.
func fallible(c call) bool {
	switch c.name {
	case "curl", "wget", "aria2c", "openssl", "gpg", "unzip", "gunzip", "zcat", "xzcat", "git", "aws", "gsutil", "base64":
		return true
	}
	return false
}

// pipefail reports whether the option is in force.
func (f *file) pipefail(at *instr, s *script) bool {
	for _, call := range s.calls {
		if call.name == "set" && (call.has("pipefail") || call.has("-eo", "-euo", "-exo", "-euxo", "-o")) && call.has("pipefail") {
			return true
		}
		if isShell(call.name) && call.has("pipefail") {
			return true
		}
	}
	for st := at.stage; st != nil; st = st.parent {
		for i := len(st.instrs) - 1; i >= 0; i-- {
			in := st.instrs[i]
			sh, ok := in.cmd.(*instructions.ShellCommand)
			if !ok || in.onbuild || in.start > at.start {
				continue
			}
			return strings.Contains(strings.Join(sh.Shell, " "), "pipefail")
		}
	}
	return false
}
