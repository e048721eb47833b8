package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule28h = rule{audit.Rule{
	ID: "CHG-2.8h", Title: "Nothing asks for a shell where there is none", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "On scratch or distroless the shell form of CMD, ENTRYPOINT, HEALTHCHECK or RUN fails, some of them only at run time.",
	Fix:      "Write the JSON form, and run commands in a build stage.",
	Evidence: "line and the base without a shell",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	base := c.rootBase(c.target)
	if base != "scratch" && !parseImage(base).minimal(c.opts.Minimal) {
		c.notApplicable("the base " + base + " may have a shell")
		return
	}
	c.held = "no shell is used on " + base
	for _, s := range c.chain() {
		if bringsShell(s) {
			return
		}
		for _, in := range s.instrs {
			if !in.onbuild && wantsShell(in) {
				c.fail(spot{in: in, observed: in.name + " needs a shell, which " + base + " does not have", expected: "the JSON form"})
			}
		}
	}
}}

// bringsShell reports whether a stage copies or unpacks what may be a whole
// system, as images built with ADD rootfs.tar do.
func bringsShell(s *stage) bool {
	for _, in := range s.instrs {
		switch cmd := in.cmd.(type) {
		case *instructions.AddCommand:
			for _, src := range cmd.SourcePaths {
				if archive(src) {
					return true
				}
			}
		case *instructions.CopyCommand:
			for _, src := range cmd.SourcePaths {
				if p := strings.TrimSuffix(src, "/"); p == "" || p == "/bin" || strings.HasSuffix(p, "/sh") || strings.HasSuffix(p, "busybox") || strings.Contains(p, "rootfs") {
					return true
				}
			}
		case *instructions.ShellCommand:
			return true
		}
	}
	return false
}

func wantsShell(in *instr) bool {
	switch cmd := in.cmd.(type) {
	case *instructions.CmdCommand:
		return cmd.PrependShell
	case *instructions.EntrypointCommand:
		return cmd.PrependShell
	case *instructions.RunCommand:
		return cmd.PrependShell
	case *instructions.HealthCheckCommand:
		return cmd.Health != nil && len(cmd.Health.Test) > 0 && cmd.Health.Test[0] == "CMD-SHELL"
	}
	return false
}
